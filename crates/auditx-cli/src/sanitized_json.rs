//! JSON that is safe to print: the same values, with control and bidirectional characters escaped.

use auditx_format::encode::is_hazard;
use auditx_reader::Json;

/// Writes valid JSON text on one line. Lines that this library wrote contain no such characters and are
/// unchanged.
pub(crate) fn text(json: &str, out: &mut Vec<u8>) {
    if json.bytes().all(|byte| (b' '..0x7f).contains(&byte)) {
        out.extend_from_slice(json.as_bytes());
        return;
    }
    for c in json.chars() {
        match c {
            // JSON allows these only between values.
            '\t' | '\r' | '\n' => out.push(b' '),
            _ if is_hazard(c) => escape(c, out),
            _ => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

/// Writes one value.
pub(crate) fn value(value: Json<'_>, out: &mut Vec<u8>) {
    match value {
        Json::Text(raw) => {
            out.push(b'"');
            text(raw, out);
            out.push(b'"');
        }
        Json::Number(raw) | Json::Object(raw) | Json::Array(raw) => text(raw, out),
        Json::Bool(true) => out.extend_from_slice(b"true"),
        Json::Bool(false) => out.extend_from_slice(b"false"),
        Json::Null => out.extend_from_slice(b"null"),
    }
}

/// Writes text as a JSON string.
pub(crate) fn quoted(plain: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for c in plain.chars() {
        match c {
            '"' | '\\' => out.extend_from_slice(&[b'\\', if c == '"' { b'"' } else { b'\\' }]),
            _ if is_hazard(c) => escape(c, out),
            _ => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}

fn escape(c: char, out: &mut Vec<u8>) {
    for unit in c.encode_utf16(&mut [0; 2]) {
        out.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped_and_values_stay() {
        let json = "{\"a\":\t\"\u{202e}x\u{7f}\u{9b}\", \"b\":\"ကခဂ\"}";
        let mut out = Vec::new();
        text(json, &mut out);
        let safe = String::from_utf8(out).unwrap();
        assert_eq!(safe, r#"{"a": "\u202ex\u007f\u009b", "b":"ကခဂ"}"#);
        let parsed = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(parsed(&safe), parsed(json));

        let mut out = Vec::new();
        quoted("a\"\\\n", &mut out);
        assert_eq!(out, br#""a\"\\\u000a""#);
    }
}
