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

pub(super) fn write(
    buffer: &mut Buffer,
    own: &Pairs<'_>,
    extra: &BTreeMap<String, Value>,
    (rules, decisions): (&Rules, &mut Decisions),
) -> Result<()> {
    let mut opened = false;
    for (name, value) in own.iter() {
        open(buffer, &mut opened, name);
        match decisions.decide(rules, name) {
            Decision::Keep => plain(buffer, value, Some((rules, Path::root("metadata").join(name))))?,
            other => hidden(buffer, value, rules, other)?,
        }
    }
    for (name, value) in extra {
        if own.iter().any(|(own, _)| own == name.as_str()) {
            continue;
        }
        open(buffer, &mut opened, name);
        let root = Path::root("metadata");
        match (decisions.decide(rules, name), value) {
            (Decision::Keep, Value::String(value)) => text(buffer, value),
            (Decision::Keep, _) => {
                buffer.append(|out| json::value(out, value, Some((rules, root.join(name)))))?
            }
            _ => buffer.append(|out| json::redacted(out, value, rules, root.join(name)))?,
        }
    }
    if opened {
        let left = buffer.pen(1).put(b"}").left();
        buffer.put_down(left);
    }
    Ok(())
}

#[inline]
fn open(buffer: &mut Buffer, opened: &mut bool, name: &str) {
    let pen = buffer.pen(room_for(name).saturating_add(ROOM));
    let pen = if std::mem::replace(opened, true) { pen.put(b",\"") } else { pen.put(b",\"metadata\":{\"") };
    let left = pen.text(name).put(b"\":").left();
    buffer.put_down(left);
}

#[inline]
fn text(buffer: &mut Buffer, text: &str) {
    let left = buffer.pen(room_for(text).saturating_add(ROOM)).put(b"\"").text(text).put(b"\"").left();
    buffer.put_down(left);
}

#[inline]
fn plain(buffer: &mut Buffer, value: &MetadataValue<'_>, rules: RulesAt<'_>) -> Result<()> {
    match value {
        MetadataValue::Text(value) => text(buffer, value),
        MetadataValue::Float(value) => buffer.append(|out| json::float(out, *value)),
        MetadataValue::Json(value) => return buffer.append(|out| json::value(out, value, rules)),
        MetadataValue::Bool(true) => short(buffer, |pen| pen.put(b"true")),
        MetadataValue::Bool(false) => short(buffer, |pen| pen.put(b"false")),
        MetadataValue::Integer(value) => short(buffer, |pen| pen.integer(*value)),
        MetadataValue::Unsigned(value) => short(buffer, |pen| pen.integer(*value)),
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
fn hidden(buffer: &mut Buffer, value: &MetadataValue<'_>, rules: &Rules, decision: Decision) -> Result<()> {
    let shown = match (decision, value) {
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
    };
    text(buffer, &shown);
    Ok(())
}
