//! Writes ECS documents: Elastic's field sets, and the trail's own fields in `auditx`.

use auditx_format::moment::Moment;

use crate::json::Object;
use crate::scale;
use crate::settings::Settings;
use crate::view::{Subject, View};

/// The version of the Elastic Common Schema that [`Format::Ecs`](crate::Format::Ecs) writes.
pub const ECS_VERSION: &str = "9.4.0";

/// Appends one document and a newline.
pub(crate) fn write(out: &mut Vec<u8>, view: &View<'_>, settings: &Settings) {
    let entry = view.entry;
    Object::write(out, |o| {
        o.text("@timestamp", &view.time.unwrap_or(Moment::EPOCH).to_string());
        o.object("ecs", |o| o.text("version", ECS_VERSION));
        o.text("message", view.message());
        o.object("event", |o| event(o, view));
        o.object("log", |o| o.text("level", &entry.level));
        o.object("service", |o| o.text("name", &settings.service_name));
        o.object("host", |o| o.text("name", view.hostname));
        o.object("user", |o| user(o, view));
        o.object("organization", |o| o.text("id", &entry.company_id));
        source(o, view);
        o.object("http", |o| {
            o.object("request", |o| {
                o.text("id", &entry.request_id);
                o.text("method", &entry.method);
            });
            if let Some(status) = entry.status {
                o.object("response", |o| o.number("status_code", status));
            }
        });
        o.object("url", |o| {
            let (path, query) = view.path_and_query();
            o.text("original", &entry.endpoint);
            o.text("path", path);
            o.text("query", query);
        });
        o.object("trace", |o| o.text("id", view.trace_id()));
        o.object("related", |o| {
            o.texts("user", &[&entry.user, &entry.on_behalf_of]);
            o.texts("ip", &[if view.address.is_some() { &entry.ip } else { "" }]);
        });
        o.object("auditx", |o| auditx_fields(o, view));
    });
    out.push(b'\n');
}

fn event(o: &mut Object<'_>, view: &View<'_>) {
    let (category, kind) = categories(view);
    o.text("kind", if view.subject == Subject::RateLimit { "alert" } else { "event" });
    o.texts("category", &[category]);
    o.texts("type", &[kind]);
    o.text("outcome", view.outcome());
    o.text("action", &view.entry.action);
    o.text("code", &view.code().join("."));
    o.text("reason", view.reason());
    o.text("module", "auditx");
    if !view.entry.module.is_empty() {
        o.text("dataset", &["auditx", &view.entry.module].join("."));
    }
    o.number("severity", scale::tenths(view.level));
    o.text("id", &view.entry.id);
    if let Some(seq) = view.seq() {
        o.number("sequence", seq);
    }
    o.text("hash", &view.leaf_hash().unwrap_or_default());
}

/// `event.category` and `event.type`. The schema has no category for business records and does not want one
/// that does not fit.
fn categories(view: &View<'_>) -> (&'static str, &'static str) {
    match view.subject {
        Subject::Erased => ("", "info"),
        Subject::Trail(kind) => match kind {
            "open" => ("process", "start"),
            "close" => ("process", "end"),
            "key" => ("configuration", "change"),
            "rotated" => ("file", "change"),
            "retired" => ("file", "deletion"),
            _ => ("host", "info"),
        },
        Subject::RateLimit => ("authentication", "info"),
        Subject::Logon => ("authentication", "start"),
        Subject::Logoff => ("authentication", "end"),
        Subject::Request => match view.entry.status {
            Some(400..) => ("web", "error"),
            _ => ("web", "access"),
        },
        Subject::Record | Subject::Other => match view.entry.action.as_str() {
            "CREATE" | "IMPORT" => ("", "creation"),
            "READ" | "EXPORT" => ("", "access"),
            "UPDATE" | "APPROVE" | "REJECT" | "VOID" | "POST" | "PAYMENT" | "REFUND" | "TRANSFER"
            | "ADJUST" => ("", "change"),
            "DELETE" => ("", "deletion"),
            _ => ("", "info"),
        },
    }
}

fn user(o: &mut Object<'_>, view: &View<'_>) {
    o.text("id", &view.entry.user);
    o.text("name", &view.entry.user);
    o.texts("roles", &[&view.entry.user_role]);
    o.object("effective", |o| {
        o.text("id", &view.entry.on_behalf_of);
        o.text("name", &view.entry.on_behalf_of);
    });
}

/// A document with an invalid `ip` field is rejected; `address` takes any text.
fn source(o: &mut Object<'_>, view: &View<'_>) {
    let ip = if view.address.is_some() { view.entry.ip.as_str() } else { "" };
    o.object("source", |o| {
        o.text("address", &view.entry.ip);
        o.text("ip", ip);
    });
    o.object("client", |o| {
        o.text("address", &view.entry.ip);
        o.text("ip", ip);
    });
}

fn auditx_fields(o: &mut Object<'_>, view: &View<'_>) {
    let entry = view.entry;
    o.text("trail", view.trail);
    if !entry.erased.is_empty() {
        o.flag("erased", true);
    }
    o.object("branch", |o| o.text("id", &entry.branch_id));
    o.object("entity", |o| {
        o.text("type", &entry.entity_type);
        o.text("id", &entry.entity_id);
    });
    o.text("reference_no", &entry.reference_no);
    if let Some(amount) = &entry.amount {
        o.text("amount", &amount.to_string());
    }
    o.text("currency", &entry.currency);
    o.object("session", |o| o.text("hash", &entry.session_id));
    object(o, "old", view.old_values().as_deref());
    object(o, "new", view.new_values().as_deref());
    object(o, "metadata", view.metadata().as_deref());
    object(o, "record", view.control_record().as_deref());
}

/// An index that expects objects here rejects other values, so they are wrapped in one.
fn object(o: &mut Object<'_>, key: &str, json: Option<&str>) {
    match json {
        Some(json) if json.starts_with('{') => o.stored(key, json),
        Some(json) => o.object(key, |o| o.stored("value", json)),
        None => {}
    }
}
