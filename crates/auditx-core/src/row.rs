//! A line's fields where they lie, found in one pass without building anything.

mod entry;
mod field;
mod json;

use std::borrow::Cow;

use crate::line::parse_seq;

pub use field::{Field, FieldKind};
pub use json::{Json, unescaped};
use json::{Walker, Wrong, is_plain, next_quote};

/// A field's name as it stands in a line, `"user":`, to be compared as one number.
struct Key {
    text: u128,
    mask: u128,
    len: usize,
}

/// In the order of the line.
const KEYS: [Key; Field::COUNT] = {
    let mut keys = [const { Key { text: 0, mask: 0, len: 0 } }; Field::COUNT];
    let mut place = 0;
    while place < Field::COUNT {
        keys[place] = Key::of(Field::ALL[place].name());
        place += 1;
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

/// The first bytes of a text as one number.
struct Beginning(u128);

impl Beginning {
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

/// One entry, as it stands in its line. Costs one walk over the line and no allocation.
///
/// It refuses text that is no JSON, a field of another type than the format has, and a field that stands there twice.
#[derive(Debug, Clone)]
pub struct Row<'l> {
    line: &'l str,
    seq: Option<u64>,
    present: u32,
    /// Where each field's value lies.
    spans: [(u32, u32); Field::COUNT],
}

impl<'l> Row<'l> {
    /// Reads a line without its newline.
    ///
    /// # Errors
    /// Why the line is no entry, in words.
    pub fn read(line: &'l [u8]) -> Result<Self, String> {
        match line.first() {
            None => return Err("an empty line".to_owned()),
            Some(0) => return Err("NUL bytes, as a file system leaves them after a power loss".to_owned()),
            Some(_) => {}
        }
        let text = std::str::from_utf8(line)
            .map_err(|error| format!("not UTF-8, {} bytes into the line", error.valid_up_to()))?;
        Self::read_text(text)
    }

    /// The same, of text.
    ///
    /// # Errors
    /// As [`Row::read`].
    pub fn read_text(line: &'l str) -> Result<Self, String> {
        let mut row =
            Self { line, seq: parse_seq(line.as_bytes()), present: 0, spans: [(0, 0); Field::COUNT] };
        if row.walk_plain().is_none() {
            row.present = 0;
            row.walk().map_err(|Wrong { what, at }| format!("no entry: {what}, {at} bytes into the line"))?;
        }
        if row.seq.is_none() && !row.has(Field::Timestamp) && !row.has(Field::Description) {
            return Err("JSON, but no entry: it has neither timestamp nor description".to_owned());
        }
        Ok(row)
    }

    /// The usual line: compact, its fields in the order of the format, without a backslash. None where it is another, or none at
    /// all.
    fn walk_plain(&mut self) -> Option<()> {
        let bytes = self.line.as_bytes();
        if bytes.first() != Some(&b'{') || !is_plain(bytes) {
            return None;
        }
        let (mut at, mut next) = (1, 0);
        loop {
            let begin_of = Beginning::of(bytes, at);
            let place = next + KEYS.get(next..)?.iter().position(|key| begin_of.is(key))?;
            (at, next) = (at + KEYS[place].len, place + 1);
            let begin = at;
            let first = *bytes.get(begin)?;
            at = match (Field::ALL[place].kind(), first) {
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
            self.put(place, (begin, at));
            match *bytes.get(at)? {
                b',' => at += 1,
                b'}' => return (at + 1 == bytes.len()).then_some(()),
                _ => return None,
            }
        }
    }

    fn walk(&mut self) -> Result<(), Wrong> {
        let mut walker = Walker::new(self.line);
        let wrong = |what, at| Err(Wrong { what, at });
        if !walker.take(b'{') {
            return wrong("an object is due", walker.at);
        }
        if !walker.take(b'}') {
            loop {
                self.field(&mut walker)?;
                if walker.take(b'}') {
                    break;
                }
                if !walker.take(b',') {
                    return wrong("a comma is due", walker.at);
                }
            }
        }
        walker.skip_space();
        if walker.at == self.line.len() { Ok(()) } else { wrong("more than one object", walker.at) }
    }

    #[inline]
    fn field(&mut self, walker: &mut Walker<'l>) -> Result<(), Wrong> {
        let (begin, end, is_escaped) = walker.string()?;
        let field = if is_escaped {
            Field::named(unescaped(&self.line[begin..end]).as_bytes())
        } else {
            Field::named(&walker.bytes[begin..end])
        };
        if !walker.take(b':') {
            return Err(Wrong { what: "a colon is due", at: walker.at });
        }
        let value = walker.value(1)?;
        match field {
            Some(field) => self.note(field, value),
            None => Ok(()),
        }
    }

    #[inline]
    fn note(&mut self, field: Field, (begin, end): (usize, usize)) -> Result<(), Wrong> {
        let bit = 1 << field as u32;
        if self.present & bit != 0 {
            return Err(Wrong { what: "a field stands there twice", at: begin });
        }
        let first = self.line.as_bytes()[begin];
        let is_right = match field.kind() {
            FieldKind::Text => first == b'"',
            FieldKind::Number => first.is_ascii_digit() || first == b'-',
            FieldKind::Bool => first == b't' || first == b'f',
            FieldKind::Object => first == b'{',
            FieldKind::Any => true,
        };
        if !is_right {
            // The origin writes absent values as null.
            return if first == b'n' && (self.seq.is_none() || field == Field::Status) {
                Ok(())
            } else {
                Err(Wrong { what: "a field of another type than it has", at: begin })
            };
        }
        self.put(field as usize, (begin, end));
        Ok(())
    }

    #[inline(always)]
    fn put(&mut self, place: usize, (begin, end): (usize, usize)) {
        self.present |= 1 << place;
        // A line is far shorter than 4 GiB.
        let short = |at| u32::try_from(at).unwrap_or(u32::MAX);
        self.spans[place] = (short(begin), short(end));
    }

    /// The line, without its newline.
    #[must_use]
    pub fn line(&self) -> &'l str {
        self.line
    }

    /// The line as an object: also with the fields that the format does not have.
    #[must_use]
    pub fn object(&self) -> Json<'l> {
        Json::of(self.line.trim_matches([' ', '\t', '\r', '\n']))
    }

    /// Its number in the trail; none of the origin's lines.
    #[must_use]
    pub fn seq(&self) -> Option<u64> {
        self.seq
    }

    /// Whether the field is there.
    #[must_use]
    #[inline]
    pub fn has(&self, field: Field) -> bool {
        self.present & (1 << field as u32) != 0
    }

    /// The field's value as it stands: with quotation marks and escapes.
    #[must_use]
    #[inline]
    pub fn raw(&self, field: Field) -> Option<&'l str> {
        let (begin, end) = self.spans[field as usize];
        self.has(field).then(|| &self.line[begin as usize..end as usize])
    }

    /// The field's value.
    #[must_use]
    pub fn get(&self, field: Field) -> Option<Json<'l>> {
        self.raw(field).map(Json::of)
    }

    /// The field's text, or the digits of its number; empty where there is none, and of objects.
    #[must_use]
    pub fn text(&self, field: Field) -> Cow<'l, str> {
        self.get(field).and_then(Json::text).unwrap_or_default()
    }

    /// Whether it says that what it tells of succeeded. The origin's lines may leave it out, which is no failure.
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
        Row::read(line.as_bytes()).unwrap_err()
    }

    #[test]
    fn fields_are_found_in_any_order_with_any_spaces() {
        let line = r#"{"timestamp": "2026-11-25T10:00:00Z", "us\u0065r": "Aung \"A\"", "amount": 1e2, "metadata": {"user": "x"}}"#;
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
    fn what_is_no_entry_says_why_and_where() {
        assert_eq!(why(""), "an empty line");
        assert!(why("\0\0").starts_with("NUL bytes"));
        assert!(Row::read(b"{\"seq\":1,\"user\":\"\xff\"}").unwrap_err().starts_with("not UTF-8, 17"));
        assert_eq!(
            why(r#"{"seq":1,"user":"a","user":"b"}"#),
            "no entry: a field stands there twice, 27 bytes into the line"
        );
        assert_eq!(
            why(r#"{"seq":1,"user":5}"#),
            "no entry: a field of another type than it has, 16 bytes into the line"
        );
        assert_eq!(
            why(r#"{"seq":1,"user":null}"#),
            "no entry: a field of another type than it has, 16 bytes into the line"
        );
        assert!(why(r#"{"a":1}"#).contains("neither timestamp nor description"));
        assert!(why(r#"{"seq":1,"user":"a"} x"#).contains("more than one object"));
        assert!(why(r#"{"seq":1,"user":"a""#).contains("a comma is due"));
        assert!(why("[]").contains("an object is due"));
    }
}
