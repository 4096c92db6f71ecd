//! An entry into the bytes of its line, all but the sequence number: `"id":"…",…,"success":true}`.
//!
//! Field order is fixed; absent values are left out; redaction happens on the way. No code of the caller's runs here.

mod inherited;
mod json;
mod limit;
mod metadata;
mod pen;
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
use inherited::{Field, Inherited};
pub use json::is_hazard;
pub(crate) use json::{MAX_DEPTH, too_deep};
use pen::{Buffer, room_for};
use scalar::{address, amount, hyphenated};

pub use limit::MAX_LINE;

/// What every line of a logger shares.
#[derive(Debug)]
pub(crate) struct Envelope {
    pub(crate) rules: Rules,
    pub(crate) hostname: String,
    pub(crate) default_currency: String,
}

/// What a thread encodes with, and keeps from line to line.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    buffer: Buffer,
    inherited: Inherited,
    decisions: Decisions,
}

impl Desk {
    /// The body that was encoded last.
    #[inline]
    pub(crate) fn body(&self) -> &[u8] {
        self.buffer.written()
    }
}

thread_local! {
    static DESK: RefCell<Option<Box<Desk>>> = const { RefCell::new(None) };
}

/// Lends this thread's desk; a new one while the thread is torn down or the desk is lent already.
#[inline]
pub(crate) fn with_desk<T>(work: impl FnOnce(&mut Desk) -> T) -> T {
    let mut work = Some(work);
    let mut run = |desk: &mut Desk| work.take().map(|work| work(desk));
    let lent = DESK
        .try_with(|desk| desk.try_borrow_mut().ok().and_then(|mut desk| run(desk.get_or_insert_default())));
    match lent {
        Ok(Some(done)) => done,
        _ => run(&mut Desk::default()).expect("work has not run yet: the desk could not be lent"),
    }
}

/// For the keys, the quotes and everything of a size that does not depend on the caller. A module or an action of an
/// application's own has 64 bytes, an amount too.
const ROOM: usize = 1_024;

impl Envelope {
    /// Makes the line's body on the desk.
    ///
    /// # Errors
    /// `is_invalid` for words that are none and JSON nested too deeply, `is_too_large` for what exceeds a line.
    #[inline]
    pub(crate) fn encode(
        &self,
        desk: &mut Desk,
        entry: &Entry<'_>,
        context: Option<&RequestContext>,
        id: Uuid,
        now: Timestamp,
    ) -> Result<()> {
        entry.module.check()?;
        entry.action.check()?;
        let Desk { buffer, inherited, decisions } = desk;
        buffer.clear();
        inherited.with(context, |inherited, extra| {
            self.body(buffer, entry, (inherited, extra), decisions, (id, now))
        })?;
        limit::check(buffer.written())
    }

    /// One function with its parts inlined into it, and called from several places.
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
        metadata::write(buffer, &entry.metadata, extra, (&self.rules, decisions))?;
        self.tail(buffer, entry, inherited)
    }

    /// Up to the currency.
    #[inline(always)]
    fn head(
        &self,
        buffer: &mut Buffer,
        entry: &Entry<'_>,
        inherited: &Inherited,
        (id, now): (Uuid, Timestamp),
    ) {
        let currency = first_of([&entry.currency, &self.default_currency]);
        let room = room_for([
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
        let pen = buffer.pen(ROOM.saturating_add(inherited.len()).saturating_add(room));
        let pen = pen.put(b"\"id\":\"").filled(|place| hyphenated(place, id));
        let pen = pen.put(b"\",\"timestamp\":\"").filled(|place| now.write_rfc3339(place));
        let pen = pen.put(b"\",\"level\":\"").word(entry.level.as_str().as_bytes());
        let pen = pen.put(b"\",\"module\":\"").word(entry.module.as_str().as_bytes());
        let pen = pen.put(b"\",\"action\":\"").word(entry.action.as_str().as_bytes()).put(b"\"");
        let pen = pen.field(b",\"description\":\"", &entry.description);
        let pen = if entry.user.is_empty() && entry.user_role.is_empty() {
            inherited.copy(pen, Field::User, Field::UserRole)
        } else {
            let pen = inherited.field(pen, b",\"user\":\"", &entry.user, Field::User);
            inherited.field(pen, b",\"user_role\":\"", &entry.user_role, Field::UserRole)
        };
        let pen = pen.field(b",\"on_behalf_of\":\"", &entry.on_behalf_of);
        let pen = if entry.company_id.is_empty() && entry.branch_id.is_empty() {
            inherited.copy(pen, Field::Company, Field::Branch)
        } else {
            let pen = inherited.field(pen, b",\"company_id\":\"", &entry.company_id, Field::Company);
            inherited.field(pen, b",\"branch_id\":\"", &entry.branch_id, Field::Branch)
        };
        let pen = pen.field(b",\"entity_type\":\"", &entry.entity_type);
        let pen = pen.field(b",\"entity_id\":\"", &entry.entity_id);
        let pen = pen.field(b",\"reference_no\":\"", &entry.reference_no);
        let pen = match &entry.amount {
            Some(value) => amount(pen.put(b",\"amount\":"), value).field(b",\"currency\":\"", currency),
            None => pen,
        };
        let left = pen.left();
        buffer.put_down(left);
    }

    /// From the request on.
    #[inline(always)]
    fn tail(&self, buffer: &mut Buffer, entry: &Entry<'_>, inherited: &Inherited) -> Result<()> {
        let room =
            room_for([&entry.request_id, &entry.session_id, &self.hostname, &entry.method, &entry.endpoint]);
        let pen = buffer.pen(ROOM.saturating_add(inherited.len()).saturating_add(room));
        let pen = if entry.request_id.is_empty() && entry.session_id.is_empty() && entry.ip.is_none() {
            inherited.copy(pen, Field::Request, Field::Ip)
        } else {
            let pen = inherited.field(pen, b",\"request_id\":\"", &entry.request_id, Field::Request);
            let pen = inherited.field(pen, b",\"session_id\":\"", &entry.session_id, Field::Session);
            if entry.ip.is_some() {
                address(pen, entry.ip)
            } else {
                inherited.copy(pen, Field::Ip, Field::Ip)
            }
        };
        let pen = pen.field(b",\"hostname\":\"", &self.hostname);
        let pen = pen.field(b",\"method\":\"", &entry.method).field(b",\"endpoint\":\"", &entry.endpoint);
        let pen = match entry.status {
            Some(status) => pen.put(b",\"status\":").unsigned(status.into()),
            None => pen,
        };
        let pen = if entry.success { pen.put(b",\"success\":true") } else { pen.put(b",\"success\":false") };
        let left = match &entry.control_record {
            None => pen.put(b"}").left(),
            Some(own) => {
                let left = pen.put(b",\"auditx\":").left();
                buffer.put_down(left);
                buffer.append(|out| json::value(out, own, None))?;
                buffer.pen(1).put(b"}").left()
            }
        };
        buffer.put_down(left);
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

/// Text for people: escaped as in JSON, without the quotes around it; quotes inside stay as they are.
pub(crate) fn plain_text(out: &mut Vec<u8>, text: &str) {
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

/// One compact JSON object, redacted as metadata is.
pub(crate) fn plain_fields(
    out: &mut Vec<u8>,
    fields: &Map<String, Value>,
    rules: Option<&Rules>,
) -> Result<()> {
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
