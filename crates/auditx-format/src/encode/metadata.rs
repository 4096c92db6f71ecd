//! Encodes the metadata object: the pairs of the entry, then those of its context whose keys the entry lacks.

use std::collections::BTreeMap;

use serde_json::Value;

use super::buffer::{Buffer, Reserved, max_escaped_len};
use super::json::{self, RulesAt};
use super::scalar::{amount, ip};
use crate::entry::{Fact, MetadataValue, Pairs};
use crate::error::Result;
use crate::redact::{Decision, Decisions, Path, REDACTED, Rules};

/// An upper bound for a number, an amount or an address, and for the punctuation around a key or a text.
const FIXED_LEN: usize = 80;

#[inline(always)]
pub(super) fn write(
    buffer: &mut Buffer,
    (facts, own): (&[Fact<'_>], &Pairs<'_>),
    extra: &BTreeMap<String, Value>,
    (rules, decisions): (&Rules, &mut Decisions),
) -> Result<()> {
    let mut opened = false;
    // A pair of the entry's own replaces a fact with its key.
    let is_replaced = |(name, _): &&Fact<'_>| own.iter().any(|(own, _)| own == name);
    facts.iter().filter(|fact| !is_replaced(fact)).chain(own.iter()).try_for_each(
        |(name, value)| -> Result<()> {
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
        },
    )?;
    if !extra.is_empty() {
        inherit(buffer, &mut opened, (facts, own), extra, (rules, decisions))?;
    }
    if opened {
        let remaining = buffer.reserve(1).put(b"}").remaining();
        buffer.commit(remaining);
    }
    Ok(())
}

/// Writes the pairs of the context whose keys the entry lacks.
#[cold]
fn inherit(
    buffer: &mut Buffer,
    opened: &mut bool,
    (facts, own): (&[Fact<'_>], &Pairs<'_>),
    extra: &BTreeMap<String, Value>,
    (rules, decisions): (&Rules, &mut Decisions),
) -> Result<()> {
    for (name, value) in extra {
        if facts.iter().chain(own.iter()).any(|(own, _)| own == name.as_str()) {
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

/// Writes a key and its colon.
#[inline]
fn key<'r>(out: Reserved<'r>, opened: &mut bool, name: &str) -> Reserved<'r> {
    let out = if std::mem::replace(opened, true) { out.put(b",\"") } else { out.put(b",\"metadata\":{\"") };
    out.text(name).put(b"\":")
}

#[inline]
fn open(buffer: &mut Buffer, opened: &mut bool, name: &str) {
    let out = buffer.reserve(max_escaped_len([name]).saturating_add(FIXED_LEN));
    let remaining = key(out, opened, name).remaining();
    buffer.commit(remaining);
}

#[inline(always)]
fn text(buffer: &mut Buffer, opened: &mut bool, name: &str, text: &str) {
    let out = buffer.reserve(max_escaped_len([name, text]).saturating_add(FIXED_LEN));
    let remaining = key(out, opened, name).put(b"\"").text(text).put(b"\"").remaining();
    buffer.commit(remaining);
}

#[inline]
fn plain(buffer: &mut Buffer, value: &MetadataValue<'_>, rules: RulesAt<'_>) -> Result<()> {
    match value {
        MetadataValue::Text(value) => buffer.append(|out| json::text(out, value)),
        MetadataValue::Float(value) if value.is_finite() => {
            short(buffer, |out| out.raw(zmij::Buffer::new().format_finite(*value).as_bytes()));
        }
        // JSON has no such number.
        MetadataValue::Float(value) => buffer.append(|out| json::text(out, &value.to_string())),
        MetadataValue::Json(value) => return buffer.append(|out| json::value(out, value, rules)),
        MetadataValue::Bool(true) => short(buffer, |out| out.put(b"true")),
        MetadataValue::Bool(false) => short(buffer, |out| out.put(b"false")),
        MetadataValue::Integer(value) => short(buffer, |out| out.signed(*value)),
        MetadataValue::Unsigned(value) => short(buffer, |out| out.unsigned(*value)),
        MetadataValue::Amount(value) => short(buffer, |out| amount(out, value)),
        MetadataValue::Address(value) => short(buffer, |out| ip(out.put(b"\""), *value).put(b"\"")),
    }
    Ok(())
}

#[inline]
fn short(buffer: &mut Buffer, write: impl for<'r> FnOnce(Reserved<'r>) -> Reserved<'r>) {
    let remaining = write(buffer.reserve(FIXED_LEN)).remaining();
    buffer.commit(remaining);
}

#[cold]
fn hidden(value: &MetadataValue<'_>, rules: &Rules, decision: Decision) -> Result<String> {
    Ok(match (decision, value) {
        (Decision::Hash, MetadataValue::Text(text)) => {
            // Text is hashed without quotes, so that equal texts in other fields have equal hashes.
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
