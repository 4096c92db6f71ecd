//! JSON as it stands in a line: compact, one line, valid UTF-8, harmless on a terminal, acceptable to `jsonb`.

use std::fmt;
use std::io::Write;

use crate::error::{Error, Result};
use crate::redact::{Decision, Path, REDACTED, Rules};
use crate::snapshot::{Node, Tree};

/// `serde_json` and others stop reading at 128 levels; the line itself and its field take two.
pub(crate) const MAX_DEPTH: usize = 100;

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

/// Whether a character breaks lines, steers a terminal or reorders text: those that a line of the trail holds only escaped.
#[must_use]
pub fn is_hazard(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Where the first byte stands that cannot be copied without a look at its character.
pub(super) fn first_stop(text: &str) -> Option<usize> {
    text.bytes().position(|byte| STOPS[usize::from(byte)])
}

/// A quoted string. Escapes read back as what was given; only U+0000, which `jsonb` refuses, becomes U+FFFD.
pub(super) fn text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut rest = text;
    while let Some(stop) = first_stop(rest) {
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

/// One character as it stands in a line; `room` is for those that have to be made.
pub(super) fn escape(c: char, room: &mut [u8; 6]) -> &[u8] {
    match c {
        '"' => b"\\\"",
        '\\' => b"\\\\",
        '\n' => b"\\n",
        '\r' => b"\\r",
        '\t' => b"\\t",
        '\0' => "\u{fffd}".as_bytes(),
        c if is_hazard(c) => {
            let digit = |shift: u32| HEX[(u32::from(c) >> shift & 0xf) as usize];
            *room = [b'\\', b'u', digit(12), digit(8), digit(4), digit(0)];
            room
        }
        c => c.encode_utf8(room).as_bytes(),
    }
}

/// A number where JSON has one, else text.
pub(super) fn float(out: &mut Vec<u8>, value: f64) {
    if value.is_finite() {
        out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
    } else {
        text(out, &value.to_string());
    }
}

/// What needs no quotes and no escapes.
pub(super) fn displayed(out: &mut Vec<u8>, value: &(impl fmt::Display + ?Sized)) {
    write!(out, "{value}").expect("a Vec takes what is written");
}

/// Any JSON value, its members redacted.
pub(super) fn value(out: &mut Vec<u8>, value: &impl Tree, rules: RulesAt<'_>) -> Result<()> {
    nested(out, value, rules, 0)
}

/// Any JSON value, itself subject to the rules.
pub(super) fn redacted(out: &mut Vec<u8>, value: &impl Tree, rules: &Rules, path: Path<'_>) -> Result<()> {
    nested_redacted(out, value, rules, path, 0)
}

/// Why a value with more than [`MAX_DEPTH`] levels is refused.
pub(crate) fn too_deep() -> String {
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
