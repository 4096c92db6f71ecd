//! Encodes an entry as the bytes of its line without the sequence number: `"id":"…",…,"success":true}`.
//!
//! The field order is fixed, absent values are left out, and redaction happens while encoding. No code of the
//! application runs here.

mod inherited;
mod json;
mod limit;
mod metadata;
mod buffer;
mod scalar;

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::context::RequestContext;
use crate::entry::{Entry, Values};
use crate::error::Result;
use crate::redact::{Decisions, Path, Rules};
use crate::snapshot::{Node, Tree};
use buffer::{Buffer, max_escaped_len};
use inherited::{Field, Inherited};
pub use json::is_hazard;
pub use json::{MAX_DEPTH, too_deep};
use scalar::{address, amount, hyphenated};

/// The settings that apply to every line of a logger.
#[derive(Debug)]
pub struct Envelope {
    /// The redaction rules.
    pub rules: Rules,
    /// The host name in each line.
    pub hostname: String,
    /// The currency of amounts without one.
    pub default_currency: String,
}

/// The buffers of an encoding thread, reused from line to line.
#[derive(Debug, Default)]
pub struct Scratch {
    buffer: Buffer,
    inherited: Inherited,
    decisions: Decisions,
}

impl Scratch {
    /// Returns the body that was encoded last.
    #[inline]
    pub fn body(&self) -> &[u8] {
        self.buffer.written()
    }
}

thread_local! {
    static SCRATCH: RefCell<Option<Box<Scratch>>> = const { RefCell::new(None) };
}

/// Runs `work` with the buffers of this thread. Uses new ones while the thread is being torn down, and in a
/// nested call.
#[inline]
pub fn with_scratch<T>(work: impl FnOnce(&mut Scratch) -> T) -> T {
    let mut work = Some(work);
    let mut run = |scratch: &mut Scratch| work.take().map(|work| work(scratch));
    let outcome = SCRATCH.try_with(|scratch| {
        scratch.try_borrow_mut().ok().and_then(|mut scratch| run(scratch.get_or_insert_default()))
    });
    match outcome {
        Ok(Some(done)) => done,
        _ => run(&mut Scratch::default())
            .expect("`work` has not run, since the thread's buffers were not available"),
    }
}

/// An upper bound for the keys, the quotes and all values whose length does not depend on the caller. A
/// custom module or action and an amount have at most 64 bytes each.
const FIXED_LEN: usize = 1_024;

impl Envelope {
    /// Encodes the body of a line into `scratch`.
    ///
    /// # Errors
    /// `is_invalid` for an invalid module or action and for JSON nested too deeply; `is_too_large` if the
    /// line is too long.
    #[inline]
    pub fn encode(
        &self,
        scratch: &mut Scratch,
        entry: &Entry<'_>,
        context: Option<&RequestContext>,
        id: Uuid,
        now: Timestamp,
    ) -> Result<()> {
        entry.module.check()?;
        entry.action.check()?;
        let Scratch { buffer, inherited, decisions } = scratch;
        buffer.clear();
        inherited.with(context, |inherited, extra| {
            self.body(buffer, entry, (inherited, extra), decisions, (id, now))
        })?;
        limit::check(buffer.written())
    }

    /// Not inlined, since it is called from several places and its parts are inlined into it.
    #[inline(never)]
    fn body(
        &self,
        buffer: &mut Buffer,
        entry: &Entry<'_>,
        (inherited, extra): (&Inherited, &BTreeMap<String, Value>),
        decisions: &mut Decisions,
        stamp: (Uuid, Timestamp),
    ) -> Result<()> {
        self.head(buffer, entry, inherited, stamp);
        if entry.old_values.is_some() || entry.new_values.is_some() {
            self.snapshot(buffer, "old_values", entry.old_values.as_ref())?;
            self.snapshot(buffer, "new_values", entry.new_values.as_ref())?;
        }
        metadata::write(buffer, (entry.facts, &entry.metadata), extra, (&self.rules, decisions))?;
        self.tail(buffer, entry, inherited)
    }

    /// Writes the fields up to the currency.
    #[inline(always)]
    fn head(
        &self,
        buffer: &mut Buffer,
        entry: &Entry<'_>,
        inherited: &Inherited,
        (id, now): (Uuid, Timestamp),
    ) {
        let currency = first_of([&entry.currency, &self.default_currency]);
        let text_len = max_escaped_len([
            currency,
            &entry.description,
            &entry.user,
            &entry.user_role,
            &entry.on_behalf_of,
            &entry.company_id,
            &entry.branch_id,
            &entry.entity_type,
            &entry.entity_id,
            &entry.reference_no,
        ]);
        let out = buffer.reserve(FIXED_LEN.saturating_add(inherited.len()).saturating_add(text_len));
        let out = out.put(b"\"id\":\"").filled(|slot| hyphenated(slot, id));
        let out = out.put(b"\",\"timestamp\":\"").filled(|slot| now.write_rfc3339(slot));
        let out = out.put(b"\",\"level\":\"").word(entry.level.as_str().as_bytes());
        let out = out.put(b"\",\"module\":\"").word(entry.module.as_str().as_bytes());
        let out = out.put(b"\",\"action\":\"").word(entry.action.as_str().as_bytes()).put(b"\"");
        let out = out.field(b",\"description\":\"", &entry.description);
        let out = if entry.user.is_empty() && entry.user_role.is_empty() {
            inherited.copy(out, Field::User, Field::UserRole)
        } else {
            let out = inherited.field(out, b",\"user\":\"", &entry.user, Field::User);
            inherited.field(out, b",\"user_role\":\"", &entry.user_role, Field::UserRole)
        };
        let out = out.field(b",\"on_behalf_of\":\"", &entry.on_behalf_of);
        let out = if entry.company_id.is_empty() && entry.branch_id.is_empty() {
            inherited.copy(out, Field::Company, Field::Branch)
        } else {
            let out = inherited.field(out, b",\"company_id\":\"", &entry.company_id, Field::Company);
            inherited.field(out, b",\"branch_id\":\"", &entry.branch_id, Field::Branch)
        };
        let out = out.field(b",\"entity_type\":\"", &entry.entity_type);
        let out = out.field(b",\"entity_id\":\"", &entry.entity_id);
        let out = out.field(b",\"reference_no\":\"", &entry.reference_no);
        let out = match &entry.amount {
            Some(value) => amount(out.put(b",\"amount\":"), value).field(b",\"currency\":\"", currency),
            None => out,
        };
        let remaining = out.remaining();
        buffer.commit(remaining);
    }

    /// Writes the fields from the request id on.
    #[inline(always)]
    fn tail(&self, buffer: &mut Buffer, entry: &Entry<'_>, inherited: &Inherited) -> Result<()> {
        let text_len = max_escaped_len([
            &entry.request_id,
            &entry.session_id,
            &self.hostname,
            &entry.method,
            &entry.endpoint,
        ]);
        let out = buffer.reserve(FIXED_LEN.saturating_add(inherited.len()).saturating_add(text_len));
        let out = if entry.request_id.is_empty() && entry.session_id.is_empty() && entry.ip.is_none() {
            inherited.copy(out, Field::Request, Field::Ip)
        } else {
            let out = inherited.field(out, b",\"request_id\":\"", &entry.request_id, Field::Request);
            let out = inherited.field(out, b",\"session_id\":\"", &entry.session_id, Field::Session);
            if entry.ip.is_some() {
                address(out, entry.ip)
            } else {
                inherited.copy(out, Field::Ip, Field::Ip)
            }
        };
        let out = out.field(b",\"hostname\":\"", &self.hostname);
        let out = out.field(b",\"method\":\"", &entry.method).field(b",\"endpoint\":\"", &entry.endpoint);
        let out = match entry.status {
            Some(status) => out.put(b",\"status\":").unsigned(status.into()),
            None => out,
        };
        let out = if entry.success { out.put(b",\"success\":true") } else { out.put(b",\"success\":false") };
        let remaining = match &entry.control_record {
            None => out.put(b"}").remaining(),
            Some(record) => {
                let remaining = out.put(b",\"auditx\":").remaining();
                buffer.commit(remaining);
                buffer.append(|out| json::value(out, record, None))?;
                buffer.reserve(1).put(b"}").remaining()
            }
        };
        buffer.commit(remaining);
        Ok(())
    }

    #[cold]
    fn snapshot(&self, buffer: &mut Buffer, name: &str, values: Option<&Values>) -> Result<()> {
        match values {
            None => Ok(()),
            Some(Values::Json(values)) => self.tree(buffer, name, values),
            Some(Values::Exact(values)) => self.tree(buffer, name, values),
        }
    }

    fn tree(&self, buffer: &mut Buffer, name: &str, values: &impl Tree) -> Result<()> {
        match values.node() {
            Node::Null => Ok(()),
            Node::Object if values.members().next().is_none() => Ok(()),
            _ => buffer.append(|out| {
                out.extend_from_slice(b",\"");
                out.extend_from_slice(name.as_bytes());
                out.extend_from_slice(b"\":");
                json::value(out, values, Some((&self.rules, Path::root(name))))
            }),
        }
    }
}

/// Writes human-readable text: escaped as in JSON, but without the surrounding quotes and with inner quotes
/// unchanged.
pub fn plain_text(out: &mut Vec<u8>, text: &str) {
    for (index, part) in text.split('"').enumerate() {
        if index > 0 {
            out.push(b'"');
        }
        let start = out.len();
        json::text(out, part);
        out.pop();
        out.remove(start);
    }
}

/// Writes one compact JSON object, redacted like metadata.
pub fn plain_fields(out: &mut Vec<u8>, fields: &Map<String, Value>, rules: Option<&Rules>) -> Result<()> {
    for (index, (name, value)) in fields.iter().enumerate() {
        out.push(if index == 0 { b'{' } else { b',' });
        json::text(out, name);
        out.push(b':');
        match rules {
            Some(rules) => json::redacted(out, value, rules, Path::root("metadata").join(name))?,
            None => json::value(out, value, None)?,
        }
    }
    out.push(b'}');
    Ok(())
}

#[inline]
fn first_of([first, second]: [&str; 2]) -> &str {
    if first.is_empty() { second } else { first }
}

#[cfg(test)]
mod property;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
