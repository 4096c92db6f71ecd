//! An entry into the bytes of its line, all but the sequence number: `"id":"…",…,"success":true}`.
//!
//! Field order is fixed; absent values are left out; redaction happens on the way. No code of the caller's runs here.

mod json;
mod limit;

use std::cell::RefCell;
use std::net::IpAddr;

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::context::{ContextFields, DEFAULT_USER};
use crate::entry::{Entry, MetadataValue};
use crate::error::Result;
use crate::redact::{Decision, Path, REDACTED, Rules};

pub use limit::MAX_LINE;

/// What every line of a logger shares.
#[derive(Debug)]
pub(crate) struct Envelope {
    pub(crate) rules: Rules,
    pub(crate) hostname: String,
    pub(crate) default_currency: String,
}

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Lends this thread's buffer, emptied; a new one while the thread is torn down or the buffer is lent already.
pub(crate) fn with_buffer<T>(work: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    let mut work = Some(work);
    let mut run = |buffer: &mut Vec<u8>| {
        buffer.clear();
        work.take().map(|work| work(buffer))
    };
    let lent = BUFFER.try_with(|buffer| buffer.try_borrow_mut().ok().and_then(|mut buffer| run(&mut buffer)));
    match lent {
        Ok(Some(done)) => done,
        _ => run(&mut Vec::new()).expect("work has not run yet: the buffer could not be lent"),
    }
}

impl Envelope {
    /// Appends the line's body to `out`.
    ///
    /// # Errors
    /// `is_invalid` for words that are none and JSON nested too deeply, `is_too_large` for what exceeds a line.
    pub(crate) fn encode(
        &self,
        out: &mut Vec<u8>,
        entry: &Entry<'_>,
        context: &ContextFields,
        id: Uuid,
        now: Timestamp,
    ) -> Result<()> {
        entry.module.check()?;
        entry.action.check()?;
        out.extend_from_slice(b"\"id\":\"");
        let mut id_text = Uuid::encode_buffer();
        out.extend_from_slice(id.hyphenated().encode_lower(&mut id_text).as_bytes());
        out.extend_from_slice(b"\",\"timestamp\":\"");
        out.extend_from_slice(&now.rfc3339());
        out.extend_from_slice(b"\",\"level\":\"");
        out.extend_from_slice(entry.level.as_str().as_bytes());
        out.push(b'"');
        field(out, "module", entry.module.as_str());
        field(out, "action", entry.action.as_str());
        field(out, "description", &entry.description);
        field(out, "user", first_of([&entry.user, &context.user, DEFAULT_USER]));
        field(out, "user_role", first_of([&entry.user_role, &context.user_role, ""]));
        field(out, "on_behalf_of", &entry.on_behalf_of);
        field(out, "company_id", first_of([&entry.company_id, &context.company_id, ""]));
        field(out, "branch_id", first_of([&entry.branch_id, &context.branch_id, ""]));
        field(out, "entity_type", &entry.entity_type);
        field(out, "entity_id", &entry.entity_id);
        field(out, "reference_no", &entry.reference_no);
        if let Some(amount) = &entry.amount {
            out.extend_from_slice(b",\"amount\":");
            out.extend_from_slice(amount.to_string().as_bytes());
            field(out, "currency", first_of([&entry.currency, &self.default_currency, ""]));
        }
        self.snapshot(out, "old_values", entry.old_values.as_ref())?;
        self.snapshot(out, "new_values", entry.new_values.as_ref())?;
        self.metadata(out, entry, context)?;
        field(out, "request_id", first_of([&entry.request_id, &context.request_id, ""]));
        field(out, "session_id", first_of([&entry.session_id, &context.session_id, ""]));
        address(out, "ip", entry.ip.or(context.ip));
        field(out, "hostname", &self.hostname);
        field(out, "method", &entry.method);
        field(out, "endpoint", &entry.endpoint);
        if let Some(status) = entry.status {
            out.extend_from_slice(b",\"status\":");
            out.extend_from_slice(itoa::Buffer::new().format(status).as_bytes());
        }
        out.extend_from_slice(if entry.success { b",\"success\":true" } else { b",\"success\":false" });
        if let Some(own) = &entry.own_record {
            out.extend_from_slice(b",\"auditx\":");
            json::value(out, own, None)?;
        }
        out.push(b'}');
        limit::check(out)
    }

    fn snapshot(&self, out: &mut Vec<u8>, name: &str, values: Option<&Value>) -> Result<()> {
        match values {
            None | Some(Value::Null) => Ok(()),
            Some(Value::Object(map)) if map.is_empty() => Ok(()),
            Some(values) => {
                key(out, name);
                json::value(out, values, Some((&self.rules, Path::root(name))))
            }
        }
    }

    fn metadata(&self, out: &mut Vec<u8>, entry: &Entry<'_>, context: &ContextFields) -> Result<()> {
        let inherited = context
            .extra
            .iter()
            .filter(|(key, _)| !entry.metadata.iter().any(|(own, _)| own == key.as_str()));
        let root = Path::root("metadata");
        let mut opened = false;
        let mut open = |out: &mut Vec<u8>, name: &str| {
            out.extend_from_slice(if opened { b"," } else { b",\"metadata\":{" });
            opened = true;
            json::text(out, name);
            out.push(b':');
        };
        for (name, value) in &entry.metadata {
            open(out, name);
            self.metadata_value(out, root.join(name), value)?;
        }
        for (name, value) in inherited {
            open(out, name);
            json::redacted(out, value, &self.rules, root.join(name))?;
        }
        if opened {
            out.push(b'}');
        }
        Ok(())
    }

    fn metadata_value(&self, out: &mut Vec<u8>, path: Path<'_>, value: &MetadataValue<'_>) -> Result<()> {
        match self.rules.decide(path) {
            Decision::Mask => json::text(out, REDACTED),
            Decision::Hash => {
                let mut plain = Vec::new();
                match value {
                    // Text is hashed without its quotes, so that it compares equal to the same text elsewhere.
                    MetadataValue::Text(text) => plain.extend_from_slice(text.as_bytes()),
                    other => plain_metadata(&mut plain, other, None)?,
                }
                json::text(out, &self.rules.hashed(&plain));
            }
            Decision::Keep => plain_metadata(out, value, Some((&self.rules, path)))?,
        }
        Ok(())
    }
}

fn plain_metadata(out: &mut Vec<u8>, value: &MetadataValue<'_>, rules: json::RulesAt<'_>) -> Result<()> {
    match value {
        MetadataValue::Text(text) => json::text(out, text),
        MetadataValue::Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
        MetadataValue::Integer(value) => out.extend_from_slice(itoa::Buffer::new().format(*value).as_bytes()),
        MetadataValue::Unsigned(value) => {
            out.extend_from_slice(itoa::Buffer::new().format(*value).as_bytes())
        }
        MetadataValue::Float(value) => json::float(out, *value),
        MetadataValue::Amount(amount) => out.extend_from_slice(amount.to_string().as_bytes()),
        MetadataValue::Address(ip) => json::text(out, &ip.to_string()),
        MetadataValue::Json(value) => json::value(out, value, rules)?,
    }
    Ok(())
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

fn first_of(texts: [&str; 3]) -> &str {
    texts.into_iter().find(|text| !text.is_empty()).unwrap_or("")
}

fn key(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

fn field(out: &mut Vec<u8>, name: &str, text: &str) {
    if !text.is_empty() {
        key(out, name);
        json::text(out, text);
    }
}

fn address(out: &mut Vec<u8>, name: &str, ip: Option<IpAddr>) {
    if let Some(ip) = ip {
        key(out, name);
        json::text(out, &ip.to_string());
    }
}

#[cfg(test)]
mod tests;
