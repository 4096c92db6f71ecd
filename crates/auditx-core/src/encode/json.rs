//! JSON as it stands in a line: compact, one line, valid UTF-8, harmless on a terminal, acceptable to `jsonb`.

use serde_json::Value;

use crate::error::{Error, Result};
use crate::redact::{Decision, Path, REDACTED, Rules};

/// `serde_json` and others stop reading at 128 levels; the line itself and its field take two.
const MAX_DEPTH: usize = 100;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Rules, and where in the entry they are asked; none for values that are stored as they are.
pub(super) type RulesAt<'r> = Option<(&'r Rules, Path<'r>)>;

/// Which bytes end a run that can be copied as it is: what JSON escapes, DEL, and the first bytes of characters that
/// break lines (U+0085, U+2028, U+2029), steer a terminal (C1) or reorder text (bidirectional controls, U+FEFF).
const STOPS: [bool; 256] = {
    let mut stops = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        stops[byte] = true;
        byte += 1;
    }
    stops[b'"' as usize] = true;
    stops[b'\\' as usize] = true;
    stops[0x7f] = true;
    stops[0xc2] = true;
    stops[0xd8] = true;
    stops[0xe2] = true;
    stops[0xef] = true;
    stops
};

fn is_hazard(c: char) -> bool {
    matches!(c,
        '\u{80}'..='\u{9f}' | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// A quoted string. Escapes read back as what was given; only U+0000, which `jsonb` refuses, becomes U+FFFD.
pub(super) fn text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut rest = text;
    while let Some(stop) = rest.bytes().position(|byte| STOPS[usize::from(byte)]) {
        let (run, tail) = rest.split_at(stop);
        out.extend_from_slice(run.as_bytes());
        let mut chars = tail.chars();
        let Some(c) = chars.next() else { break };
        escape(out, c);
        rest = chars.as_str();
    }
    out.extend_from_slice(rest.as_bytes());
    out.push(b'"');
}

fn escape(out: &mut Vec<u8>, c: char) {
    match c {
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        '\n' => out.extend_from_slice(b"\\n"),
        '\r' => out.extend_from_slice(b"\\r"),
        '\t' => out.extend_from_slice(b"\\t"),
        '\0' => out.extend_from_slice("\u{fffd}".as_bytes()),
        c if u32::from(c) < 0x20 || c == '\u{7f}' || is_hazard(c) => {
            out.extend_from_slice(b"\\u");
            for shift in [12, 8, 4, 0] {
                out.push(HEX[(u32::from(c) >> shift & 0xf) as usize]);
            }
        }
        c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

/// A number where JSON has one, else text.
pub(super) fn float(out: &mut Vec<u8>, value: f64) {
    match serde_json::Number::from_f64(value) {
        Some(number) => out.extend_from_slice(number.to_string().as_bytes()),
        None => text(out, &value.to_string()),
    }
}

/// Any JSON value, its members redacted.
pub(super) fn value(out: &mut Vec<u8>, value: &Value, rules: RulesAt<'_>) -> Result<()> {
    nested(out, value, rules, 0)
}

/// Any JSON value, itself subject to the rules.
pub(super) fn redacted(out: &mut Vec<u8>, value: &Value, rules: &Rules, path: Path<'_>) -> Result<()> {
    nested_redacted(out, value, rules, path, 0)
}

fn nested_redacted(
    out: &mut Vec<u8>,
    value: &Value,
    rules: &Rules,
    path: Path<'_>,
    depth: usize,
) -> Result<()> {
    match (rules.decide(path), value) {
        (Decision::Keep, _) => return nested(out, value, Some((rules, path)), depth),
        (Decision::Mask, _) => text(out, REDACTED),
        (Decision::Hash, Value::String(plain)) => text(out, &rules.hashed(plain.as_bytes())),
        (Decision::Hash, other) => {
            let mut plain = Vec::new();
            nested(&mut plain, other, None, depth)?;
            text(out, &rules.hashed(&plain));
        }
    }
    Ok(())
}

fn nested(out: &mut Vec<u8>, value: &Value, rules: RulesAt<'_>, depth: usize) -> Result<()> {
    if depth > MAX_DEPTH {
        return Err(Error::invalid(format!(
            "JSON nested deeper than {MAX_DEPTH} levels could not be read back: flatten it, or store it as text"
        )));
    }
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Value::String(string) => text(out, string),
        Value::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                nested(out, item, rules, depth + 1)?;
            }
            out.push(b']');
        }
        Value::Object(map) => {
            out.push(b'{');
            for (index, (name, member)) in map.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                text(out, name);
                out.push(b':');
                match &rules {
                    Some((rules, path)) => nested_redacted(out, member, rules, path.join(name), depth + 1)?,
                    None => nested(out, member, None, depth + 1)?,
                }
            }
            out.push(b'}');
        }
    }
    Ok(())
}
