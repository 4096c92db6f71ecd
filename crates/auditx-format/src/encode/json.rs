//! Writes JSON as it appears in a line: compact, on one line, valid UTF-8, safe on a terminal, accepted by
//! `jsonb`.

use std::fmt;
use std::io::Write;

use crate::error::{Error, Result};
use crate::redact::{Decision, Path, REDACTED, Rules};
use crate::snapshot::{Node, Tree};

/// The nesting limit. `serde_json` and other parsers stop at 128 levels; the line and its field take two of
/// them.
pub const MAX_DEPTH: usize = 100;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// The redaction rules and the path of the value; `None` for values that are stored unchanged.
pub(super) type RulesAt<'r> = Option<(&'r Rules, Path<'r>)>;

/// The bytes that end a run which can be copied unchanged: those that JSON escapes, DEL, and the first bytes
/// of characters that break lines (U+0085, U+2028, U+2029), control a terminal (C1) or reorder text
/// (bidirectional controls, U+FEFF).
const SPECIAL: [bool; 256] = {
    let mut special = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        special[byte] = true;
        byte += 1;
    }
    special[b'"' as usize] = true;
    special[b'\\' as usize] = true;
    special[0x7f] = true;
    special[0xc2] = true;
    special[0xd8] = true;
    special[0xe2] = true;
    special[0xef] = true;
    special
};

/// Returns whether a character breaks lines, controls a terminal or reorders text. Lines of the trail contain
/// such characters only escaped.
#[must_use]
pub fn is_hazard(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{feff}')
        || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Returns the offset of the first byte whose character may need an escape.
pub(super) fn first_special(text: &str) -> Option<usize> {
    text.bytes().position(|byte| SPECIAL[usize::from(byte)])
}

/// Writes a quoted string. It reads back unchanged, except that U+0000, which `jsonb` rejects, becomes
/// U+FFFD.
pub(super) fn text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut rest = text;
    while let Some(stop) = first_special(rest) {
        let (run, tail) = rest.split_at(stop);
        out.extend_from_slice(run.as_bytes());
        let mut chars = tail.chars();
        let Some(c) = chars.next() else { break };
        out.extend_from_slice(escape(c, &mut [0; 6]));
        rest = chars.as_str();
    }
    out.extend_from_slice(rest.as_bytes());
    out.push(b'"');
}

/// Returns one character as written in a line. `buffer` holds the result if it is not a constant.
pub(super) fn escape(c: char, buffer: &mut [u8; 6]) -> &[u8] {
    match c {
        '"' => b"\\\"",
        '\\' => b"\\\\",
        '\n' => b"\\n",
        '\r' => b"\\r",
        '\t' => b"\\t",
        '\0' => "\u{fffd}".as_bytes(),
        c if is_hazard(c) => {
            let digit = |shift: u32| HEX[(u32::from(c) >> shift & 0xf) as usize];
            *buffer = [b'\\', b'u', digit(12), digit(8), digit(4), digit(0)];
            buffer
        }
        c => c.encode_utf8(buffer).as_bytes(),
    }
}

/// Writes a value that needs neither quotes nor escapes.
pub(super) fn displayed(out: &mut Vec<u8>, value: &(impl fmt::Display + ?Sized)) {
    write!(out, "{value}").expect("writing to a Vec does not fail");
}

/// Writes any JSON value with its members redacted.
pub(super) fn value(out: &mut Vec<u8>, value: &impl Tree, rules: RulesAt<'_>) -> Result<()> {
    nested(out, value, rules, 0)
}

/// Writes any JSON value, to which the rules apply as well.
pub(super) fn redacted(out: &mut Vec<u8>, value: &impl Tree, rules: &Rules, path: Path<'_>) -> Result<()> {
    nested_redacted(out, value, rules, path, 0)
}

/// Returns the message for a value with more than [`MAX_DEPTH`] levels.
pub fn too_deep() -> String {
    format!(
        "JSON nested deeper than {MAX_DEPTH} levels could not be read back: flatten it, or store it as text"
    )
}

fn nested_redacted(
    out: &mut Vec<u8>,
    value: &impl Tree,
    rules: &Rules,
    path: Path<'_>,
    depth: usize,
) -> Result<()> {
    match (rules.decide(path), value.node()) {
        (Decision::Keep, _) => return nested(out, value, Some((rules, path)), depth),
        (Decision::Mask, _) => text(out, REDACTED),
        (Decision::Hash, Node::Text(plain)) => text(out, &rules.hashed(plain.as_bytes())),
        (Decision::Hash, _) => {
            let mut plain = Vec::new();
            nested(&mut plain, value, None, depth)?;
            text(out, &rules.hashed(&plain));
        }
    }
    Ok(())
}

fn nested<T: Tree>(out: &mut Vec<u8>, value: &T, rules: RulesAt<'_>, depth: usize) -> Result<()> {
    if depth > MAX_DEPTH {
        return Err(Error::invalid(too_deep()));
    }
    match value.node() {
        Node::Null => out.extend_from_slice(b"null"),
        Node::Bool(true) => out.extend_from_slice(b"true"),
        Node::Bool(false) => out.extend_from_slice(b"false"),
        Node::Number(number) => displayed(out, number),
        Node::Text(string) => text(out, string),
        Node::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                nested(out, item, rules, depth + 1)?;
            }
            out.push(b']');
        }
        Node::Object => {
            out.push(b'{');
            for (index, (name, member)) in value.members().enumerate() {
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
