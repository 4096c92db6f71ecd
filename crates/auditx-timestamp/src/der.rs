//! Reads and writes DER (X.690): values of a tag, a length and a content.
//!
//! Readers return `None` for what is not DER. Every value is a slice of the input, so what was signed is
//! hashed as it came. Times with fractions of a second and sets in any order, which authorities write, are
//! the callers' to accept.

pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const NULL: u8 = 0x05;
pub(crate) const OID: u8 = 0x06;
pub(crate) const GENERALIZED_TIME: u8 = 0x18;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;

/// The tag of field `[number]` whose content is one value or more.
pub(crate) const fn constructed(number: u8) -> u8 {
    0xa0 | number
}

/// The tag of field `[number]` whose content is plain.
pub(crate) const fn primitive(number: u8) -> u8 {
    0x80 | number
}

/// One value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Value<'a> {
    pub(crate) tag: u8,
    pub(crate) content: &'a [u8],
    /// With tag and length.
    pub(crate) whole: &'a [u8],
}

/// Consecutive values.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Reads the next value.
    pub(crate) fn value(&mut self) -> Option<Value<'a>> {
        let (&tag, rest) = self.0.split_first()?;
        // Tags of several bytes occur in none of the formats.
        if tag & 0x1f == 0x1f {
            return None;
        }
        let (&first, rest) = rest.split_first()?;
        let (len, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x83 => {
                let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                let len = digits.iter().fold(0, |len, digit| len << 8 | usize::from(*digit));
                let is_shortest = digits[0] != 0 && len >= 0x80;
                (len, Some(rest).filter(|_| is_shortest)?)
            }
            // Among them 0x80, a length that is not known yet, which is BER.
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(len)?;
        let whole = &self.0[..self.0.len() - rest.len()];
        self.0 = rest;
        Some(Value { tag, content, whole })
    }

    /// Reads the next value, which must have this tag. Returns its content.
    pub(crate) fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.value().filter(|value| value.tag == tag).map(|value| value.content)
    }

    /// Reads the next value if it has this tag. The outer `None`: it is not DER.
    pub(crate) fn optional(&mut self, tag: u8) -> Option<Option<&'a [u8]>> {
        if self.0.first() == Some(&tag) { self.expect(tag).map(Some) } else { Some(None) }
    }

    /// Reads the next value, whose content is a sequence of values.
    pub(crate) fn sequence(&mut self) -> Option<Reader<'a>> {
        self.expect(SEQUENCE).map(Reader)
    }

    /// Returns `None` unless everything was read.
    pub(crate) fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Reads the one value in these bytes, which must have this tag. Returns its content.
pub(crate) fn only(bytes: &[u8], tag: u8) -> Option<&[u8]> {
    let mut reader = Reader::new(bytes);
    let content = reader.expect(tag)?;
    reader.end()?;
    Some(content)
}

/// Reads an integer that is not negative and has at most 64 bits, from its content.
pub(crate) fn unsigned(content: &[u8]) -> Option<u64> {
    let is_shortest = match content {
        [] => false,
        [0, second, ..] => *second >= 0x80,
        [first, ..] => *first < 0x80,
    };
    let digits = content.strip_prefix(&[0]).filter(|digits| !digits.is_empty()).unwrap_or(content);
    let number = digits.iter().fold(0, |number, digit| number << 8 | u64::from(*digit));
    (is_shortest && digits.len() <= 8).then_some(number)
}

/// Writes a value.
pub(crate) fn written(tag: u8, content: &[u8]) -> Vec<u8> {
    let len = content.len().to_be_bytes();
    let digits = &len[len.iter().take_while(|digit| **digit == 0).count()..];
    let mut value = vec![tag];
    match digits {
        [] => value.push(0),
        [len] if *len < 0x80 => value.push(*len),
        digits => {
            value.extend(u8::try_from(digits.len()).map(|count| 0x80 | count));
            value.extend(digits);
        }
    }
    value.extend(content);
    value
}

/// Writes an integer.
pub(crate) fn written_unsigned(number: u64) -> Vec<u8> {
    let bytes = number.to_be_bytes();
    let digits = &bytes[bytes.iter().take(7).take_while(|digit| **digit == 0).count()..];
    let sign: &[u8] = if digits[0] >= 0x80 { &[0] } else { &[] };
    written(INTEGER, &[sign, digits].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_values_are_read_back() {
        for len in [0, 1, 127, 128, 255, 256, 65_535, 65_536] {
            let content = vec![7; len];
            let value = written(OCTET_STRING, &content);
            assert_eq!(only(&value, OCTET_STRING), Some(&*content), "{len}");
            assert_eq!(only(&value[..value.len() - 1], OCTET_STRING), None, "{len}");
        }
        for number in [0, 1, 127, 128, 255, 256, u64::MAX >> 1, u64::MAX] {
            let value = written_unsigned(number);
            assert_eq!(only(&value, INTEGER).and_then(unsigned), Some(number));
        }
    }

    #[test]
    fn other_spellings_are_refused() {
        let refused: [&[u8]; 7] = [
            &[4, 0x80, 0, 0],
            &[4, 0x81, 1, 7],
            &[4, 0x82, 0, 0x80],
            &[4, 2, 7],
            &[0x1f, 0x81, 1],
            &[4, 0x84, 0, 0, 0, 1, 7],
            &[4],
        ];
        for bytes in refused {
            assert!(Reader::new(bytes).value().is_none(), "{bytes:x?}");
        }
        let integers: [&[u8]; 4] = [&[], &[0, 1], &[0x80], &[1, 0, 0, 0, 0, 0, 0, 0, 0]];
        for content in integers {
            assert_eq!(unsigned(content), None, "{content:x?}");
        }
    }
}
