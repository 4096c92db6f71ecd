//! Writes OTLP log records in JSON: each line is a complete request, so that any single line can be sent.
//!
//! The encoding is proto3's JSON mapping as restricted by OTLP: 64-bit integers are strings, enums are
//! numbers.

use crate::json::{Object, string};
use crate::scale;
use crate::settings::Settings;
use crate::view::View;

/// Appends one `ExportLogsServiceRequest` and a newline.
pub(crate) fn write(out: &mut Vec<u8>, view: &View<'_>, settings: &Settings) {
    Object::write(out, |o| {
        o.list_of_one("resourceLogs", |o| {
            o.object("resource", |o| {
                o.value("attributes", |out| {
                    let mut list = Attributes::open(out);
                    list.text("service.name", &settings.service_name);
                    list.text("host.name", view.hostname);
                    list.close();
                });
            });
            o.list_of_one("scopeLogs", |o| {
                o.object("scope", |o| {
                    o.text("name", "auditx");
                    o.text("version", &settings.product_version);
                });
                o.list_of_one("logRecords", |o| record(o, view));
            });
        });
    });
    out.push(b'\n');
}

fn record(o: &mut Object<'_>, view: &View<'_>) {
    // 0 means "unknown" in the protocol.
    let nanos = view.unix_nanos();
    let mut digits = itoa::Buffer::new();
    let nanos = digits.format(nanos);
    o.text("timeUnixNano", nanos);
    o.text("observedTimeUnixNano", nanos);
    o.number("severityNumber", scale::otel(view.level));
    o.text("severityText", &view.entry.level);
    o.object("body", |o| o.text("stringValue", view.message()));
    o.value("attributes", |out| attributes(out, view));
    o.text("traceId", view.trace_id());
    o.text("eventName", &view.entry.action);
}

fn attributes(out: &mut Vec<u8>, view: &View<'_>) {
    let entry = view.entry;
    let mut list = Attributes::open(out);
    list.text("auditx.event.id", &entry.id);
    if let Some(seq) = view.seq() {
        list.integer("auditx.seq", seq);
    }
    list.text("auditx.trail", view.trail);
    list.text("auditx.leaf_hash", &view.leaf_hash().unwrap_or_default());
    list.text("auditx.outcome", view.outcome());
    list.text("auditx.event.code", &view.code().join("."));
    list.text("auditx.module", &entry.module);
    if !entry.erased.is_empty() {
        list.flag("auditx.erased");
    }
    list.text("user.id", &entry.user);
    list.text("user.name", &entry.user);
    list.texts("user.roles", &entry.user_role);
    list.text("auditx.on_behalf_of", &entry.on_behalf_of);
    list.text("auditx.company.id", &entry.company_id);
    list.text("auditx.branch.id", &entry.branch_id);
    list.text("auditx.entity.type", &entry.entity_type);
    list.text("auditx.entity.id", &entry.entity_id);
    list.text("auditx.reference_no", &entry.reference_no);
    if let Some(amount) = &entry.amount {
        list.text("auditx.amount", &amount.to_string());
    }
    list.text("auditx.currency", &entry.currency);
    list.json("auditx.old", view.old_values().as_deref());
    list.json("auditx.new", view.new_values().as_deref());
    list.json("auditx.metadata", view.metadata().as_deref());
    list.json("auditx.record", view.control_record().as_deref());
    list.text("auditx.request.id", &entry.request_id);
    list.text("session.id", &entry.session_id);
    list.text("client.address", &entry.ip);
    list.text("http.request.method", &entry.method);
    let (path, query) = view.path_and_query();
    list.text("url.path", path);
    list.text("url.query", query);
    if let Some(status) = entry.status {
        list.integer("http.response.status_code", status.into());
    }
    list.close();
}

/// A list of `KeyValue`, without those that are empty.
struct Attributes<'o> {
    out: &'o mut Vec<u8>,
    is_empty: bool,
}

impl<'o> Attributes<'o> {
    fn open(out: &'o mut Vec<u8>) -> Self {
        out.push(b'[');
        Self { out, is_empty: true }
    }

    fn close(self) {
        self.out.push(b']');
    }

    fn value(&mut self, key: &str, value: impl FnOnce(&mut Object<'_>)) {
        if !self.is_empty {
            self.out.push(b',');
        }
        self.is_empty = false;
        Object::write(self.out, |o| {
            o.text("key", key);
            o.object("value", value);
        });
    }

    fn text(&mut self, key: &str, text: &str) {
        if !text.is_empty() {
            self.value(key, |o| o.text("stringValue", text));
        }
    }

    fn texts(&mut self, key: &str, text: &str) {
        if !text.is_empty() {
            self.value(key, |o| {
                o.object("arrayValue", |o| o.list_of_one("values", |o| o.text("stringValue", text)));
            });
        }
    }

    /// An `intValue`, or text if the number does not fit.
    fn integer(&mut self, key: &str, number: u64) {
        let kind = if i64::try_from(number).is_ok() { "intValue" } else { "stringValue" };
        self.value(key, |o| o.text(kind, itoa::Buffer::new().format(number)));
    }

    fn flag(&mut self, key: &str) {
        self.value(key, |o| o.flag("boolValue", true));
    }

    /// JSON as text: in a `kvlistValue` its numbers would become doubles.
    fn json(&mut self, key: &str, json: Option<&str>) {
        let Some(json) = json else { return };
        let mut compact = Vec::with_capacity(json.len());
        crate::json::stored(&mut compact, json);
        self.value(key, |o| {
            o.value("stringValue", |out| string(out, &String::from_utf8_lossy(&compact)));
        });
    }
}
