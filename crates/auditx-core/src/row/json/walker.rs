//! Going over JSON text from the left, strictly as RFC 8259 has it, without building anything.

/// As deep as `serde_json` goes.
const MAX_DEPTH: u32 = 127;

/// What is wrong, and at which byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) what: &'static str,
    pub(crate) at: usize,
}

type Result<T> = std::result::Result<T, Wrong>;

/// Goes over JSON text from the left.
#[derive(Debug, Clone)]
pub(crate) struct Walker<'t> {
    pub(crate) bytes: &'t [u8],
    pub(crate) at: usize,
}

impl<'t> Walker<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Self { bytes: text.as_bytes(), at: 0 }
    }

    #[inline]
    fn wrong<T>(&self, what: &'static str) -> Result<T> {
        Err(Wrong { what, at: self.at })
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[inline]
    pub(crate) fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    /// The next byte that is no space, if it is this one.
    #[inline]
    pub(crate) fn take(&mut self, byte: u8) -> bool {
        if self.peek() != Some(byte) {
            self.skip_space();
            if self.peek() != Some(byte) {
                return false;
            }
        }
        self.at += 1;
        true
    }

    /// A string: where its text lies, between the quotation marks, and whether it has escapes.
    #[inline]
    pub(crate) fn string(&mut self) -> Result<(usize, usize, bool)> {
        if !self.take(b'"') {
            return self.wrong("a string is due");
        }
        let begin = self.at;
        let mut is_escaped = false;
        loop {
            match self.stop_of_string() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok((begin, self.at - 1, is_escaped));
                }
                Some(b'\\') => {
                    is_escaped = true;
                    self.escape()?;
                }
                Some(_) => return self.wrong("a control character in a string"),
                None => return self.wrong("a string without its end"),
            }
        }
    }

    /// Goes to what ends a run of plain characters: a quotation mark, a backslash or a control character.
    #[inline]
    fn stop_of_string(&mut self) -> Option<u8> {
        const EACH: u64 = u64::from_ne_bytes([1; 8]);
        const HIGH: u64 = EACH << 7;
        let zeros_in = |word: u64| word.wrapping_sub(EACH) & !word;
        while let Some(chunk) = self.bytes[self.at..].first_chunk() {
            let word = u64::from_le_bytes(*chunk);
            let controls = word.wrapping_sub(EACH * 0x20) & !word;
            let quotes = zeros_in(word ^ (EACH * u64::from(b'"')));
            let backslashes = zeros_in(word ^ (EACH * u64::from(b'\\')));
            // The lowest mark is exact; those above it may be carries.
            let stops = (quotes | backslashes | controls) & HIGH;
            if stops != 0 {
                self.at += (stops.trailing_zeros() / 8) as usize;
                return self.peek();
            }
            self.at += 8;
        }
        while let Some(byte) = self.peek() {
            if byte == b'"' || byte == b'\\' || byte < 0x20 {
                return Some(byte);
            }
            self.at += 1;
        }
        None
    }

    #[cold]
    fn escape(&mut self) -> Result<()> {
        match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => {
                let high = self.hex(self.at + 2)?;
                let mut len = 6;
                if (0xd800..0xdc00).contains(&high) {
                    let is_pair = self.bytes.get(self.at + 6..self.at + 8) == Some(b"\\u")
                        && (0xdc00..0xe000).contains(&self.hex(self.at + 8)?);
                    if !is_pair {
                        return self.wrong("half a surrogate pair");
                    }
                    len = 12;
                } else if (0xdc00..0xe000).contains(&high) {
                    return self.wrong("half a surrogate pair");
                }
                self.at += len;
            }
            _ => return self.wrong("an escape that JSON does not have"),
        }
        Ok(())
    }

    fn hex(&self, at: usize) -> Result<u32> {
        let digits = self.bytes.get(at..at + 4).and_then(|digits| std::str::from_utf8(digits).ok());
        digits
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
            .ok_or(Wrong { what: "an escape without four hexadecimal digits", at: self.at })
    }

    /// Any value: where its text lies.
    #[inline]
    pub(crate) fn value(&mut self, depth: u32) -> Result<(usize, usize)> {
        self.skip_space();
        let begin = self.at;
        match self.peek() {
            Some(b'"') => {
                self.string()?;
            }
            Some(b'{' | b'[') => self.nested(depth)?,
            Some(b't') => self.literal(b"true")?,
            Some(b'f') => self.literal(b"false")?,
            Some(b'n') => self.literal(b"null")?,
            Some(b'-' | b'0'..=b'9') => self.number()?,
            _ => return self.wrong("a value is due"),
        }
        Ok((begin, self.at))
    }

    pub(crate) fn literal(&mut self, literal: &[u8]) -> Result<()> {
        if !self.bytes[self.at..].starts_with(literal) {
            return self.wrong("a value is due");
        }
        self.at += literal.len();
        Ok(())
    }

    pub(crate) fn number(&mut self) -> Result<()> {
        self.at += usize::from(self.peek() == Some(b'-'));
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        Ok(())
    }

    #[inline]
    fn digits(&mut self) -> Result<()> {
        let begin = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == begin { self.wrong("a number without a digit") } else { Ok(()) }
    }

    fn nested(&mut self, depth: u32) -> Result<()> {
        if depth >= MAX_DEPTH {
            return self.wrong("values within values, too deep");
        }
        let is_object = self.peek() == Some(b'{');
        let end = if is_object { b'}' } else { b']' };
        self.at += 1;
        if self.take(end) {
            return Ok(());
        }
        loop {
            if is_object {
                self.string()?;
                if !self.take(b':') {
                    return self.wrong("a colon is due");
                }
            }
            self.value(depth + 1)?;
            if self.take(end) {
                return Ok(());
            }
            if !self.take(b',') {
                return self.wrong("a comma is due");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(text: &str) -> Result<(usize, usize)> {
        let mut walker = Walker::new(text);
        let span = walker.value(0)?;
        walker.skip_space();
        if walker.at == text.len() { Ok(span) } else { walker.wrong("more than a value") }
    }

    #[test]
    fn what_is_json_is_what_serde_json_takes() {
        for text in [
            "{}",
            "[]",
            "{\"a\":1}",
            "{ \"a\" : [ 1 , 2.5e-3 , -0 , true , null ] }",
            "\"\\u00e9\\ud83d\\ude00\"",
            "01",
            "1.",
            "-",
            "1e",
            "+1",
            "\"\\ud800\"",
            "\"\\udc00\"",
            "\"\\ud800\\u0041\"",
            "\"\\x\"",
            "\"\n\"",
            "{\"a\"}",
            "{\"a\":}",
            "[1,]",
            "{,}",
            "[1 2]",
            "tru",
            "nul",
            "",
            "\"",
            "\"abc",
            "{\"a\":1",
            "0.5",
            "1E+2",
            "\"\\u12g4\"",
            "\"\\u+123\"",
            "12345678901234567890",
            "\"a longer text with a quotation \\\" mark\"",
            "{\"a\":{\"b\":[[],{}]}}",
        ] {
            let theirs = serde_json::from_str::<serde_json::Value>(text);
            assert_eq!(walk(text).is_ok(), theirs.is_ok(), "{text}: {theirs:?}");
        }
        for depth in 125..130 {
            let text = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
            let theirs = serde_json::from_str::<serde_json::Value>(&text);
            assert_eq!(walk(&text).is_ok(), theirs.is_ok(), "{depth}: {theirs:?}");
        }
    }
}
