//! A strict JSON scanner (RFC 8259) that does not allocate.

/// The nesting limit of `serde_json`.
const MAX_DEPTH: u32 = 127;

/// A syntax error and its byte offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    pub(crate) what: &'static str,
    pub(crate) at: usize,
}

type Result<T> = std::result::Result<T, SyntaxError>;

/// Scans JSON text from left to right.
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
    fn fail<T>(&self, what: &'static str) -> Result<T> {
        Err(SyntaxError { what, at: self.at })
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

    /// Skips white space and consumes `byte` if it comes next. Returns whether it did.
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

    /// Scans a string. Returns the byte range between the quotation marks, and whether it contains escapes.
    #[inline]
    pub(crate) fn string(&mut self) -> Result<(usize, usize, bool)> {
        if !self.take(b'"') {
            return self.fail("expected a string");
        }
        let begin = self.at;
        let mut is_escaped = false;
        loop {
            match self.next_special() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok((begin, self.at - 1, is_escaped));
                }
                Some(b'\\') => {
                    is_escaped = true;
                    self.escape()?;
                }
                Some(_) => return self.fail("control character in a string"),
                None => return self.fail("unterminated string"),
            }
        }
    }

    /// Skips plain characters up to a quotation mark, a backslash or a control character, and returns that.
    #[inline]
    fn next_special(&mut self) -> Option<u8> {
        const EACH: u64 = u64::from_ne_bytes([1; 8]);
        const HIGH: u64 = EACH << 7;
        let zeros_in = |word: u64| word.wrapping_sub(EACH) & !word;
        while let Some(chunk) = self.bytes[self.at..].first_chunk() {
            let word = u64::from_le_bytes(*chunk);
            let controls = word.wrapping_sub(EACH * 0x20) & !word;
            let quotes = zeros_in(word ^ (EACH * u64::from(b'"')));
            let backslashes = zeros_in(word ^ (EACH * u64::from(b'\\')));
            // The lowest set bit is exact; higher ones may be carries.
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
                        return self.fail("unpaired surrogate");
                    }
                    len = 12;
                } else if (0xdc00..0xe000).contains(&high) {
                    return self.fail("unpaired surrogate");
                }
                self.at += len;
            }
            _ => return self.fail("invalid escape"),
        }
        Ok(())
    }

    fn hex(&self, at: usize) -> Result<u32> {
        let digits = self.bytes.get(at..at + 4).and_then(|digits| std::str::from_utf8(digits).ok());
        digits
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
            .ok_or(SyntaxError { what: "escape without four hexadecimal digits", at: self.at })
    }

    /// Scans any value and returns its byte range.
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
            _ => return self.fail("expected a value"),
        }
        Ok((begin, self.at))
    }

    pub(crate) fn literal(&mut self, literal: &[u8]) -> Result<()> {
        if !self.bytes[self.at..].starts_with(literal) {
            return self.fail("expected a value");
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
        if self.at == begin { self.fail("number without a digit") } else { Ok(()) }
    }

    fn nested(&mut self, depth: u32) -> Result<()> {
        if depth >= MAX_DEPTH {
            return self.fail("values nested too deeply");
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
                    return self.fail("expected a colon");
                }
            }
            self.value(depth + 1)?;
            if self.take(end) {
                return Ok(());
            }
            if !self.take(b',') {
                return self.fail("expected a comma");
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
        if walker.at == text.len() { Ok(span) } else { walker.fail("unexpected text after the value") }
    }

    #[test]
    fn the_scanner_accepts_what_serde_json_accepts() {
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
            let expected = serde_json::from_str::<serde_json::Value>(text);
            assert_eq!(walk(text).is_ok(), expected.is_ok(), "{text}: {expected:?}");
        }
        for depth in 125..130 {
            let text = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
            let expected = serde_json::from_str::<serde_json::Value>(&text);
            assert_eq!(walk(&text).is_ok(), expected.is_ok(), "{depth}: {expected:?}");
        }
    }
}
