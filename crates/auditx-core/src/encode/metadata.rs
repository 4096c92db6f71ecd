//! The object of free key-values: the entry's own, then those of its context that the entry has not.

use std::collections::BTreeMap;

use serde_json::Value;

use super::json::{self, RulesAt};
use super::pen::{Buffer, Pen, room_for};
use super::scalar::{amount, ip};
use crate::entry::{MetadataValue, Pairs};
use crate::error::Result;
use crate::redact::{Decision, Decisions, Path, REDACTED, Rules};

/// For a number, an amount or an address, and for what stands around a key or a text.
const ROOM: usize = 80;

#[inline(always)]
pub(super) fn write(
    buffer: &mut Buffer,
    own: &Pairs<'_>,
    extra: &BTreeMap<String, Value>,
    (rules, decisions): (&Rules, &mut Decisions),
) -> Result<()> {
    let mut opened = false;
    own.iter().try_for_each(|(name, value)| {
        match (decisions.decide(rules, name), value) {
            (Decision::Keep, MetadataValue::Text(value)) => text(buffer, &mut opened, name, value),
            (Decision::Keep, _) => {
                open(buffer, &mut opened, name);
                plain(buffer, value, Some((rules, Path::root("metadata").join(name))))?;
            }
            (other, _) => {
                let shown = hidden(value, rules, other)?;
                text(buffer, &mut opened, name, &shown);
            }
        }
        Ok(())
    })?;
    if !extra.is_empty() {
        inherit(buffer, &mut opened, own, extra, (rules, decisions))?;
    }
    if opened {
        let left = buffer.pen(1).put(b"}").left();
        buffer.put_down(left);
    }
    Ok(())
}

/// What the context has and the entry has not.
#[cold]
fn inherit(
    buffer: &mut Buffer,
    opened: &mut bool,
    own: &Pairs<'_>,
    extra: &BTreeMap<String, Value>,
    (rules, decisions): (&Rules, &mut Decisions),
) -> Result<()> {
    for (name, value) in extra {
        if own.iter().any(|(own, _)| own == name.as_str()) {
            continue;
        }
        let root = Path::root("metadata");
        match (decisions.decide(rules, name), value) {
            (Decision::Keep, Value::String(value)) => text(buffer, opened, name, value),
            (Decision::Keep, _) => {
                open(buffer, opened, name);
                buffer.append(|out| json::value(out, value, Some((rules, root.join(name)))))?;
            }
            _ => {
                open(buffer, opened, name);
                buffer.append(|out| json::redacted(out, value, rules, root.join(name)))?;
            }
        }
    }
    Ok(())
}

/// A key and its colon.
#[inline]
fn key<'r>(pen: Pen<'r>, opened: &mut bool, name: &str) -> Pen<'r> {
    let pen = if std::mem::replace(opened, true) { pen.put(b",\"") } else { pen.put(b",\"metadata\":{\"") };
    pen.text(name).put(b"\":")
}

#[inline]
fn open(buffer: &mut Buffer, opened: &mut bool, name: &str) {
    let pen = buffer.pen(room_for([name]).saturating_add(ROOM));
    let left = key(pen, opened, name).left();
    buffer.put_down(left);
}

#[inline(always)]
fn text(buffer: &mut Buffer, opened: &mut bool, name: &str, text: &str) {
    let pen = buffer.pen(room_for([name, text]).saturating_add(ROOM));
    let left = key(pen, opened, name).put(b"\"").text(text).put(b"\"").left();
    buffer.put_down(left);
}

#[inline]
fn plain(buffer: &mut Buffer, value: &MetadataValue<'_>, rules: RulesAt<'_>) -> Result<()> {
    match value {
        MetadataValue::Text(value) => buffer.append(|out| json::text(out, value)),
        MetadataValue::Float(value) => buffer.append(|out| json::float(out, *value)),
        MetadataValue::Json(value) => return buffer.append(|out| json::value(out, value, rules)),
        MetadataValue::Bool(true) => short(buffer, |pen| pen.put(b"true")),
        MetadataValue::Bool(false) => short(buffer, |pen| pen.put(b"false")),
        MetadataValue::Integer(value) => short(buffer, |pen| pen.signed(*value)),
        MetadataValue::Unsigned(value) => short(buffer, |pen| pen.unsigned(*value)),
        MetadataValue::Amount(value) => short(buffer, |pen| amount(pen, value)),
        MetadataValue::Address(value) => short(buffer, |pen| ip(pen.put(b"\""), *value).put(b"\"")),
    }
    Ok(())
}

#[inline]
fn short(buffer: &mut Buffer, write: impl for<'r> FnOnce(Pen<'r>) -> Pen<'r>) {
    let left = write(buffer.pen(ROOM)).left();
    buffer.put_down(left);
}

#[cold]
fn hidden(value: &MetadataValue<'_>, rules: &Rules, decision: Decision) -> Result<String> {
    Ok(match (decision, value) {
        (Decision::Hash, MetadataValue::Text(text)) => {
            // Text is hashed without its quotes, so that it compares equal to the same text elsewhere.
            rules.hashed(text.as_bytes())
        }
        (Decision::Hash, other) => {
            let mut whole = Buffer::default();
            plain(&mut whole, other, None)?;
            rules.hashed(whole.written())
        }
        _ => REDACTED.to_owned(),
    })
}
