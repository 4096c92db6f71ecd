//! Locates the fields of a line in one pass, without allocating.

mod entry;
mod field;
mod json;

use std::borrow::Cow;
use std::fmt;

use crate::moment::Moment;

use auditx_tlog::parse_seq;

pub use field::{Field, FieldKind};
pub use json::{Json, unescaped};
use json::{SyntaxError, Walker, is_plain, next_quote};

/// The name of a field as written in a line, `"user":`, compared as one number.
struct Key {
    text: u128,
    mask: u128,
    len: usize,
}

/// The keys in the order of the format.
const KEYS: [Key; Field::COUNT] = {
    let mut keys = [const { Key { text: 0, mask: 0, len: 0 } }; Field::COUNT];
    let mut index = 0;
    while index < Field::COUNT {
        keys[index] = Key::of(Field::ALL[index].name());
        index += 1;
    }
    keys
};

impl Key {
    const fn of(name: &str) -> Self {
        let name = name.as_bytes();
        let len = name.len() + 3;
        let mut text = [0; 16];
        text[0] = b'"';
        let mut at = 0;
        while at < name.len() {
            text[at + 1] = name[at];
            at += 1;
        }
        text[len - 2] = b'"';
        text[len - 1] = b':';
        Self { text: u128::from_le_bytes(text), mask: u128::MAX >> (8 * (16 - len)), len }
    }
}

/// The first 16 bytes of a text as one number.
struct Head(u128);

impl Head {
    #[inline(always)]
    fn of(bytes: &[u8], at: usize) -> Self {
        let rest = bytes.get(at..).unwrap_or_default();
        Self(u128::from_le_bytes(rest.first_chunk().copied().unwrap_or_else(|| {
            let mut padded = [0; 16];
            padded[..rest.len()].copy_from_slice(rest);
            padded
        })))
    }

    #[inline(always)]
    fn is(&self, key: &Key) -> bool {
        (self.0 ^ key.text) & key.mask == 0
    }
}

/// Why a line is not an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotAnEntry(String);

impl NotAnEntry {
    fn new(why: &str) -> Self {
        Self(why.to_owned())
    }
}

impl fmt::Display for NotAnEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NotAnEntry {}

/// One entry as byte ranges into its line. Costs one pass over the line and no allocation.
///
/// Rejects text that is not JSON, a field whose type differs from the format, and a duplicate field.
#[derive(Debug, Clone)]
pub struct Row<'l> {
    line: &'l str,
    seq: Option<u64>,
    present: u32,
    /// The byte range of each field's value.
    spans: [(u32, u32); Field::COUNT],
}

impl<'l> Row<'l> {
    /// Parses a line without its newline.
    ///
    /// # Errors
    /// If the line is not an entry.
    pub fn read(line: &'l [u8]) -> Result<Self, NotAnEntry> {
        match line.first() {
            None => return Err(NotAnEntry::new("an empty line")),
            Some(0) => return Err(NotAnEntry::new("NUL bytes, as left by a file system after a power loss")),
            Some(_) => {}
        }
        let text = std::str::from_utf8(line)
            .map_err(|error| NotAnEntry(format!("not UTF-8, {} bytes into the line", error.valid_up_to())))?;
        Self::read_text(text)
    }

    /// Like [`Row::read`], for text that is known to be UTF-8.
    ///
    /// # Errors
    /// As [`Row::read`].
    pub fn read_text(line: &'l str) -> Result<Self, NotAnEntry> {
        let mut row =
            Self { line, seq: parse_seq(line.as_bytes()), present: 0, spans: [(0, 0); Field::COUNT] };
        if row.walk_plain().is_none() {
            row.present = 0;
            row.walk().map_err(|SyntaxError { what, at }| {
                NotAnEntry(format!("not an entry: {what} at byte {at}"))
            })?;
        }
        if row.seq.is_none() && !row.has(Field::Timestamp) && !row.has(Field::Description) {
            return Err(NotAnEntry::new("JSON, but not an entry: it has neither timestamp nor description"));
        }
        Ok(row)
    }

    /// Fast path for the usual line: compact, with its fields in the order of the format, and without a
    /// backslash. `None` if the line differs or is invalid.
    fn walk_plain(&mut self) -> Option<()> {
        let bytes = self.line.as_bytes();
        if bytes.first() != Some(&b'{') || !is_plain(bytes) {
            return None;
        }
        let (mut at, mut next) = (1, 0);
        loop {
            let head = Head::of(bytes, at);
            let index = next + KEYS.get(next..)?.iter().position(|key| head.is(key))?;
            (at, next) = (at + KEYS[index].len, index + 1);
            let begin = at;
            let first = *bytes.get(begin)?;
            at = match (Field::ALL[index].kind(), first) {
                (FieldKind::Text | FieldKind::Any, b'"') => next_quote(bytes, begin + 1)? + 1,
                (FieldKind::Number | FieldKind::Any, b'-' | b'0'..=b'9') => {
                    let mut walker = Walker { bytes, at: begin };
                    walker.number().ok()?;
                    walker.at
                }
                (FieldKind::Bool, b't' | b'f') | (FieldKind::Object, b'{') | (FieldKind::Any, _) => {
                    let mut walker = Walker { bytes, at: begin };
                    walker.value(1).ok()?;
                    walker.at
                }
                _ => return None,
            };
            self.put(index, (begin, at));
            match *bytes.get(at)? {
                b',' => at += 1,
                b'}' => return (at + 1 == bytes.len()).then_some(()),
                _ => return None,
            }
        }
    }

    fn walk(&mut self) -> Result<(), SyntaxError> {
        let mut walker = Walker::new(self.line);
        let fail = |what, at| Err(SyntaxError { what, at });
        if !walker.take(b'{') {
            return fail("expected an object", walker.at);
        }
        if !walker.take(b'}') {
            loop {
                self.field(&mut walker)?;
                if walker.take(b'}') {
                    break;
                }
                if !walker.take(b',') {
                    return fail("expected a comma", walker.at);
                }
            }
        }
        walker.skip_space();
        if walker.at == self.line.len() { Ok(()) } else { fail("text after the object", walker.at) }
    }

    #[inline]
    fn field(&mut self, walker: &mut Walker<'l>) -> Result<(), SyntaxError> {
        let (begin, end, is_escaped) = walker.string()?;
        let field = if is_escaped {
            Field::named(unescaped(&self.line[begin..end]).as_bytes())
        } else {
            Field::named(&walker.bytes[begin..end])
        };
        if !walker.take(b':') {
            return Err(SyntaxError { what: "expected a colon", at: walker.at });
        }
        let value = walker.value(1)?;
        match field {
            Some(field) => self.set(field, value),
            None => Ok(()),
        }
    }

    #[inline]
    fn set(&mut self, field: Field, (begin, end): (usize, usize)) -> Result<(), SyntaxError> {
        let bit = 1 << field as u32;
        if self.present & bit != 0 {
            return Err(SyntaxError { what: "duplicate field", at: begin });
        }
        let first = self.line.as_bytes()[begin];
        let has_right_type = match field.kind() {
            FieldKind::Text => first == b'"',
            FieldKind::Number => first.is_ascii_digit() || first == b'-',
            FieldKind::Bool => first == b't' || first == b'f',
            FieldKind::Object => first == b'{',
            FieldKind::Any => true,
        };
        if !has_right_type {
            // Legacy lines store absent values as null.
            return if first == b'n' && (self.seq.is_none() || field == Field::Status) {
                Ok(())
            } else {
                Err(SyntaxError { what: "wrong type of a field", at: begin })
            };
        }
        self.put(field as usize, (begin, end));
        Ok(())
    }

    #[inline(always)]
    fn put(&mut self, index: usize, (begin, end): (usize, usize)) {
        self.present |= 1 << index;
        // A line is much shorter than 4 GiB.
        let short = |at| u32::try_from(at).unwrap_or(u32::MAX);
        self.spans[index] = (short(begin), short(end));
    }

    /// Returns the line without its newline.
    #[must_use]
    pub fn line(&self) -> &'l str {
        self.line
    }

    /// Returns the line as an object, including fields that are not part of the format.
    #[must_use]
    pub fn object(&self) -> Json<'l> {
        Json::of(self.line.trim_matches([' ', '\t', '\r', '\n']))
    }

    /// Returns the sequence number; `None` for a legacy line.
    #[must_use]
    pub fn seq(&self) -> Option<u64> {
        self.seq
    }

    /// Returns whether the field is present.
    #[must_use]
    #[inline]
    pub fn has(&self, field: Field) -> bool {
        self.present & (1 << field as u32) != 0
    }

    /// Returns the value of the field as written, with quotation marks and escapes.
    #[must_use]
    #[inline]
    pub fn raw(&self, field: Field) -> Option<&'l str> {
        let (begin, end) = self.spans[field as usize];
        self.has(field).then(|| &self.line[begin as usize..end as usize])
    }

    /// Returns the value of the field.
    #[must_use]
    pub fn get(&self, field: Field) -> Option<Json<'l>> {
        self.raw(field).map(Json::of)
    }

    /// Returns the text of the field, or the digits of a number; empty if the field is absent or an object.
    #[must_use]
    pub fn text(&self, field: Field) -> Cow<'l, str> {
        self.get(field).and_then(Json::text).unwrap_or_default()
    }

    /// Returns the time of the entry; `None` if it has no valid one.
    #[inline]
    #[must_use]
    pub fn moment(&self) -> Option<Moment> {
        Moment::parse(&self.text(Field::Timestamp))
    }

    /// Returns whether the recorded action succeeded. Legacy lines may omit the field, which means success.
    #[must_use]
    pub fn is_success(&self) -> bool {
        match self.get(Field::Success) {
            Some(Json::Bool(success)) => success,
            _ => self.seq.is_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(line: &str) -> String {
        Row::read(line.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn fields_are_found_in_any_order_with_any_spacing() {
        let line = concat!(
            r#"{"timestamp": "2026-11-25T10:00:00Z", "us\u0065r": "Aung \"A\"", "amount": 1e2, "#,
            r#""metadata": {"user": "x"}}"#
        );
        let row = Row::read(line.as_bytes()).unwrap();
        assert_eq!((row.seq(), row.is_success()), (None, true));
        assert_eq!(row.text(Field::User), "Aung \"A\"");
        assert_eq!(row.raw(Field::Amount), Some("1e2"));
        assert_eq!(row.get(Field::Metadata).unwrap().member("user"), Some(Json::Text("x")));
        assert_eq!((row.has(Field::Level), row.text(Field::Level).as_ref()), (false, ""));
        let own = Row::read(br#"{"seq":7,"id":"i","success":false}"#).unwrap();
        assert_eq!((own.seq(), own.is_success(), own.text(Field::Seq).as_ref()), (Some(7), false, "7"));
    }

    #[test]
    fn an_invalid_line_is_rejected_with_reason_and_offset() {
        assert_eq!(why(""), "an empty line");
        assert!(why("\0\0").starts_with("NUL bytes"));
        assert!(
            Row::read(b"{\"seq\":1,\"user\":\"\xff\"}").unwrap_err().to_string().starts_with("not UTF-8, 17")
        );
        assert_eq!(why(r#"{"seq":1,"user":"a","user":"b"}"#), "not an entry: duplicate field at byte 27");
        assert_eq!(why(r#"{"seq":1,"user":5}"#), "not an entry: wrong type of a field at byte 16");
        assert_eq!(why(r#"{"seq":1,"user":null}"#), "not an entry: wrong type of a field at byte 16");
        assert!(why(r#"{"a":1}"#).contains("neither timestamp nor description"));
        assert!(why(r#"{"seq":1,"user":"a"} x"#).contains("text after the object"));
        assert!(why(r#"{"seq":1,"user":"a""#).contains("expected a comma"));
        assert!(why("[]").contains("expected an object"));
    }
}
