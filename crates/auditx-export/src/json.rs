//! Writes compact JSON objects member by member into a buffer.

use memchr::memchr2;

use crate::text::Style;

static STRING: Style = Style::new(
    b"\"\\",
    |c| match c {
        '"' => Some("\\\""),
        '\\' => Some("\\\\"),
        '\n' => Some("\\n"),
        '\r' => Some("\\r"),
        '\t' => Some("\\t"),
        _ => None,
    },
    "\\u",
);

/// Existing escapes are kept.
static STORED: Style = Style::new(b"", |_| None, "\\u");

/// Appends a quoted string that parses back to `text`.
pub(crate) fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    STRING.write(out, text);
    out.push(b'"');
}

/// Appends JSON from a line with the same digits and escapes, without spaces between tokens, and with harmful
/// characters escaped.
pub(crate) fn stored(out: &mut Vec<u8>, json: &str) {
    let mut rest = json;
    while let Some(quote) = memchr::memchr(b'"', rest.as_bytes()) {
        tokens(out, &rest[..quote]);
        let end = end_of_string(&rest.as_bytes()[quote..]) + quote;
        STORED.write(out, &rest[quote..end]);
        rest = &rest[end..];
    }
    tokens(out, rest);
}

fn tokens(out: &mut Vec<u8>, json: &str) {
    out.extend(json.bytes().filter(|byte| !byte.is_ascii_whitespace()));
}

/// The end of the string that begins with the quote at the start of `text`.
fn end_of_string(text: &[u8]) -> usize {
    let mut at = 1;
    while let Some(found) = text.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        at += found;
        if text[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    text.len()
}

/// The members of an object that is being written.
pub(crate) struct Object<'o> {
    out: &'o mut Vec<u8>,
    /// The offset after the opening brace.
    start: usize,
}

impl<'o> Object<'o> {
    /// Appends an object with its braces.
    pub(crate) fn write(out: &'o mut Vec<u8>, members: impl FnOnce(&mut Object<'_>)) {
        out.push(b'{');
        let start = out.len();
        members(&mut Object { out, start });
        out.push(b'}');
    }

    fn key(&mut self, key: &str) {
        if self.out.len() > self.start {
            self.out.push(b',');
        }
        string(self.out, key);
        self.out.push(b':');
    }

    /// Adds a text, unless it is empty.
    pub(crate) fn text(&mut self, key: &str, text: &str) {
        if !text.is_empty() {
            self.key(key);
            string(self.out, text);
        }
    }

    pub(crate) fn number(&mut self, key: &str, number: impl itoa::Integer) {
        self.key(key);
        self.out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }

    pub(crate) fn flag(&mut self, key: &str, is_set: bool) {
        self.key(key);
        self.out.extend_from_slice(if is_set { b"true" } else { b"false" });
    }

    /// Adds JSON from the line.
    pub(crate) fn stored(&mut self, key: &str, json: &str) {
        self.key(key);
        stored(self.out, json);
    }

    /// Adds the output of the closure, which must be one JSON value.
    pub(crate) fn value(&mut self, key: &str, value: impl FnOnce(&mut Vec<u8>)) {
        self.key(key);
        value(self.out);
    }

    /// Adds a list of the texts that are not empty, unless all are.
    pub(crate) fn texts(&mut self, key: &str, texts: &[&str]) {
        let mut present = texts.iter().filter(|text| !text.is_empty());
        let Some(first) = present.next() else { return };
        self.key(key);
        self.out.push(b'[');
        string(self.out, first);
        for text in present {
            self.out.push(b',');
            string(self.out, text);
        }
        self.out.push(b']');
    }

    /// Adds an object, unless it has no members.
    pub(crate) fn object(&mut self, key: &str, members: impl FnOnce(&mut Object<'_>)) {
        self.nested(key, b"{", b"}", members);
    }

    /// Adds a list of one object, unless that has no members.
    pub(crate) fn list_of_one(&mut self, key: &str, members: impl FnOnce(&mut Object<'_>)) {
        self.nested(key, b"[{", b"}]", members);
    }

    fn nested(&mut self, key: &str, open: &[u8], close: &[u8], members: impl FnOnce(&mut Object<'_>)) {
        let before = self.out.len();
        self.key(key);
        self.out.extend_from_slice(open);
        let start = self.out.len();
        members(&mut Object { out: self.out, start });
        if self.out.len() == start {
            self.out.truncate(before);
        } else {
            self.out.extend_from_slice(close);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_json_loses_only_spaces_between_tokens() {
        let mut out = Vec::new();
        stored(
            &mut out,
            "{ \"a b\" : 1.10 ,\t\"q\\\"\\\\\" : [ 0.30000000000000004 , \"x \u{202e}\u{7f} y\" ] }",
        );
        assert_eq!(
            String::from_utf8(out).unwrap(),
            r#"{"a b":1.10,"q\"\\":[0.30000000000000004,"x \u202e\u007f y"]}"#
        );
    }

    #[test]
    fn json_that_ends_inside_a_string_does_not_panic() {
        for text in ["\"", "\"\\", "{\"a", "{\"a\\\"", "[\"é\\é"] {
            stored(&mut Vec::new(), text);
        }
    }

    #[test]
    fn empty_members_are_omitted() {
        let mut out = Vec::new();
        Object::write(&mut out, |o| {
            o.text("none", "");
            o.object("empty", |o| o.object("deeper", |o| o.texts("none", &["", ""])));
            o.number("n", 1);
            o.list_of_one("l", |o| o.flag("f", true));
            o.texts("t", &["a", "", "b"]);
        });
        assert_eq!(String::from_utf8(out).unwrap(), r#"{"n":1,"l":[{"f":true}],"t":["a","b"]}"#);
    }
}
