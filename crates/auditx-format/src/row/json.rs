//! JSON values as slices of their text. Nothing is allocated, which keeps scanning gigabytes of lines
//! affordable.
//!
//! The scanner is strict (RFC 8259). Text that was scanned once is known to be valid, and is then read again
//! without checks.

mod plain;
mod walker;

use std::borrow::Cow;

use crate::error::{Error, Result};

pub(super) use plain::{is_plain, next_quote};
pub(super) use walker::{SyntaxError, Walker};

/// A value in text that has been validated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Json<'t> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// The digits as written.
    Number(&'t str),
    /// The text between the quotation marks, with its escapes; see [`Json::text`].
    Text(&'t str),
    /// With its brackets; see [`Json::members`].
    Object(&'t str),
    /// With its brackets; see [`Json::items`].
    Array(&'t str),
}

impl<'t> Json<'t> {
    /// Parses text that consists of one JSON value. `None` for any other text.
    pub fn read(text: &'t str) -> Option<Self> {
        Self::parse(text).ok()
    }

    /// Like [`Json::read`], for text whose author is told what is wrong with it.
    ///
    /// # Errors
    /// `is_invalid` if the text is not JSON. The message has the reason and the byte.
    pub fn parse(text: &'t str) -> Result<Self> {
        let mut walker = Walker::new(text);
        let value = walker.value(0);
        walker.skip_space();
        match value {
            Ok((begin, end)) if walker.at == text.len() => Ok(Self::of(&text[begin..end])),
            Ok(_) => Err(not_json("text after the value", walker.at)),
            Err(SyntaxError { what, at }) => Err(not_json(what, at)),
        }
    }

    /// Creates a value from validated text.
    pub(crate) fn of(text: &'t str) -> Self {
        match text.as_bytes().first() {
            Some(b'"') => Self::Text(&text[1..text.len() - 1]),
            Some(b'{') => Self::Object(text),
            Some(b'[') => Self::Array(text),
            Some(b't') => Self::Bool(true),
            Some(b'f') => Self::Bool(false),
            Some(b'n') | None => Self::Null,
            Some(_) => Self::Number(text),
        }
    }

    /// Returns the value as text: strings without escapes, numbers and literals as written; `None` for
    /// objects and arrays.
    #[must_use]
    pub fn text(self) -> Option<Cow<'t, str>> {
        match self {
            Self::Text(raw) => Some(unescaped(raw)),
            Self::Number(digits) => Some(Cow::Borrowed(digits)),
            Self::Bool(true) => Some(Cow::Borrowed("true")),
            Self::Bool(false) => Some(Cow::Borrowed("false")),
            Self::Null => Some(Cow::Borrowed("null")),
            Self::Object(_) | Self::Array(_) => None,
        }
    }

    /// Iterates over the members of an object in order; empty for any other value.
    pub fn members(self) -> impl Iterator<Item = (Cow<'t, str>, Json<'t>)> {
        let inner = if let Self::Object(text) = self { inside(text) } else { Walker::new("") };
        Parts { walker: inner, is_object: true }.map(|(key, value)| (unescaped(key), value))
    }

    /// Iterates over the items of an array; empty for any other value.
    pub fn items(self) -> impl Iterator<Item = Json<'t>> {
        let inner = if let Self::Array(text) = self { inside(text) } else { Walker::new("") };
        Parts { walker: inner, is_object: false }.map(|(_, value)| value)
    }

    /// Returns the member with this name; the last one if there are several.
    #[must_use]
    pub fn member(self, name: &str) -> Option<Json<'t>> {
        self.members().filter(|(key, _)| key == name).last().map(|(_, value)| value)
    }
}

fn not_json(what: &str, at: usize) -> Error {
    Error::invalid(format!("not JSON: {what} at byte {at}"))
}

fn inside(text: &str) -> Walker<'_> {
    Walker::new(&text[1..text.len() - 1])
}

struct Parts<'t> {
    walker: Walker<'t>,
    is_object: bool,
}

impl<'t> Iterator for Parts<'t> {
    type Item = (&'t str, Json<'t>);

    fn next(&mut self) -> Option<Self::Item> {
        let Self { walker, is_object } = self;
        walker.take(b',');
        let text = |bytes: &'t [u8]| std::str::from_utf8(bytes).unwrap_or_default();
        let mut key = "";
        if *is_object {
            let (begin, end, _) = walker.string().ok()?;
            key = text(&walker.bytes[begin..end]);
            walker.take(b':');
        }
        let (begin, end) = walker.value(0).ok()?;
        Some((key, Json::of(text(&walker.bytes[begin..end]))))
    }
}

/// Resolves the escapes in the text between the quotation marks of a JSON string.
///
/// ```
/// assert_eq!(auditx_format::row::unescaped(r"caf\u00e9"), "café");
/// ```
#[must_use]
pub fn unescaped(raw: &str) -> Cow<'_, str> {
    if memchr::memchr(b'\\', raw.as_bytes()).is_none() {
        return Cow::Borrowed(raw);
    }
    // The text is a validated JSON string, so parsing succeeds.
    serde_json::from_str(&format!("\"{raw}\"")).map_or(Cow::Borrowed(raw), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_is_not_json_has_a_reason_and_a_byte() {
        assert_eq!(Json::parse(" [1] ").unwrap(), Json::Array("[1]"));
        for (text, why) in [
            ("", "not JSON: expected a value at byte 0"),
            (r#"{"a":1 "b":2}"#, "not JSON: expected a comma at byte 7"),
            ("1 2", "not JSON: text after the value at byte 2"),
        ] {
            let error = Json::parse(text).unwrap_err();
            assert!(error.is_invalid());
            assert_eq!(error.to_string(), why);
        }
    }

    #[test]
    fn members_are_unescaped_and_the_last_duplicate_wins() {
        let json = Json::of(r#"{"a":1, "b\n":"x\u0041", "n": {"a":[true,null,"t"]}, "a":2}"#);
        let keys: Vec<_> = json.members().map(|(key, _)| key.into_owned()).collect();
        assert_eq!(keys, ["a", "b\n", "n", "a"]);
        assert_eq!(json.member("a"), Some(Json::Number("2")));
        assert_eq!(json.member("b\n").and_then(Json::text).as_deref(), Some("xA"));
        let items: Vec<_> = json.member("n").and_then(|n| n.member("a")).unwrap().items().collect();
        assert_eq!(items, [Json::Bool(true), Json::Null, Json::Text("t")]);
        assert_eq!(json.member("none"), None);
    }
}
