//! Writes the objects of OCSF's classes.

use super::class::Class;
use crate::json::Object;
use crate::view::{View, first_of};

/// 1008: the trail itself.
pub(super) fn trail(o: &mut Object<'_>, view: &View<'_>) {
    o.text("log_name", "auditx");
    o.object("actor", |o| actor(o, view));
    source(o, view, "");
}

/// 2004: the rate limit was exceeded. The actor and the address are its evidence.
pub(super) fn finding(o: &mut Object<'_>, view: &View<'_>) {
    o.object("finding_info", |o| {
        let seq = view.seq().map(|seq| format!("seq-{seq}")).unwrap_or_default();
        o.text("uid", first_of([&view.entry.id, &seq, "unknown"]));
        o.text("title", first_of([view.message(), "Rate limit passed"]));
        o.texts("types", &["rate_limit"]);
    });
    o.flag("is_alert", true);
    if let Some(count) = view.entry.metadata.get("failure_count").and_then(serde_json::Value::as_u64) {
        o.number("count", count);
    }
    o.list_of_one("evidences", |o| {
        o.object("actor", |o| actor(o, view));
        source(o, view, "");
    });
}

/// 3002: a login or a logout.
pub(super) fn authentication(o: &mut Object<'_>, view: &View<'_>) {
    o.object("user", |o| user(o, view));
    o.object("service", |o| o.text("name", first_of([&view.entry.module, "auditx"])));
    o.object("session", |o| o.text("uid", &view.entry.session_id));
    o.object("actor", |o| actor(o, view));
    source(o, view, "");
    http(o, view);
}

/// 3004: a business record.
pub(super) fn record(o: &mut Object<'_>, view: &View<'_>) {
    o.object("actor", |o| actor(o, view));
    o.object("entity", |o| entity(o, view, view.old_values().as_deref()));
    if let Some(after) = view.new_values() {
        o.object("entity_result", |o| entity(o, view, Some(&after)));
    }
    source(o, view, "");
    http(o, view);
}

/// 6003: an HTTP request. The schema requires a source even if none is known.
pub(super) fn request(o: &mut Object<'_>, view: &View<'_>) {
    o.object("actor", |o| actor(o, view));
    o.object("api", |o| {
        o.text("operation", view.code()[1]);
        o.object("service", |o| o.text("name", &view.entry.module));
    });
    source(o, view, "unknown");
    http(o, view);
}

/// The actor. The schema requires a name even if none is known.
pub(super) fn actor(o: &mut Object<'_>, view: &View<'_>) {
    o.object("user", |o| user(o, view));
    o.object("session", |o| o.text("uid", &view.entry.session_id));
}

fn user(o: &mut Object<'_>, view: &View<'_>) {
    let entry = view.entry;
    o.text("uid", &entry.user);
    o.text("name", first_of([&entry.user, "unknown"]));
    o.list_of_one("groups", |o| o.text("name", &entry.user_role));
    if !entry.branch_id.is_empty() {
        // An organisation needs an id or a name besides that of its unit.
        o.object("org", |o| {
            o.text("uid", &entry.company_id);
            o.text("name", if entry.company_id.is_empty() { "unknown" } else { "" });
            o.text("ou_uid", &entry.branch_id);
        });
    }
}

fn entity(o: &mut Object<'_>, view: &View<'_>, data: Option<&str>) {
    let entry = view.entry;
    o.text("uid", &entry.entity_id);
    if entry.entity_id.is_empty() {
        o.text("name", first_of([&entry.reference_no, &entry.entity_type, "unknown"]));
    }
    o.text("type", &entry.entity_type);
    o.number("type_id", 99);
    if let Some(data) = data {
        o.stored("data", data);
    }
}

/// The actor's address. A text that is not an address goes to the name.
fn source(o: &mut Object<'_>, view: &View<'_>, fallback: &str) {
    o.object("src_endpoint", |o| match view.address {
        Some(_) => o.text("ip", &view.entry.ip),
        None => o.text("name", first_of([&view.entry.ip, fallback])),
    });
}

fn http(o: &mut Object<'_>, view: &View<'_>) {
    let entry = view.entry;
    o.object("http_request", |o| {
        o.text("uid", &entry.request_id);
        o.text("http_method", known_method(entry.method.as_str()));
        let (path, query) = view.path_and_query();
        o.object("url", |o| {
            // The schema requires a path or the whole URL, and an endpoint may be only a query.
            if path.is_empty() {
                o.text("url_string", &entry.endpoint);
            }
            o.text("path", path);
            o.text("query_string", query);
        });
    });
    if let Some(status) = entry.status {
        o.object("http_response", |o| o.number("code", status));
    }
}

/// One of the schema's methods, or empty.
fn known_method(method: &str) -> &str {
    let is_known = matches!(
        method,
        "CONNECT" | "DELETE" | "GET" | "HEAD" | "OPTIONS" | "PATCH" | "POST" | "PUT" | "TRACE"
    );
    if is_known { method } else { "" }
}

/// The machine; its type is unknown.
pub(super) fn device(o: &mut Object<'_>, view: &View<'_>) {
    if !view.hostname.is_empty() {
        o.object("device", |o| {
            o.text("hostname", view.hostname);
            o.number("type_id", 0);
        });
    }
}

/// Values without an attribute in the schema or in this class.
pub(super) fn unmapped(o: &mut Object<'_>, view: &View<'_>, class: Class) {
    let entry = view.entry;
    o.text("trail", view.trail);
    if let Some(hash) = view.leaf_hash() {
        o.text("leaf_hash", &hash);
    }
    if !entry.erased.is_empty() {
        o.flag("erased", true);
    }
    o.text("module", &entry.module);
    o.text("action", &entry.action);
    o.text("on_behalf_of", &entry.on_behalf_of);
    o.text("reference_no", &entry.reference_no);
    if let Some(amount) = &entry.amount {
        o.text("amount", &amount.to_string());
    }
    o.text("currency", &entry.currency);
    if class == Class::Finding {
        o.text("outcome", view.outcome());
    }
    if !class.has_source() {
        o.text("ip", &entry.ip);
    }
    if !class.has_entity() {
        o.text("entity_type", &entry.entity_type);
        o.text("entity_id", &entry.entity_id);
        json(o, "old_values", view.old_values().as_deref());
        json(o, "new_values", view.new_values().as_deref());
    }
    if !class.has_http() || known_method(&entry.method).is_empty() {
        o.text("method", &entry.method);
    }
    if !class.has_http() {
        o.text("request_id", &entry.request_id);
        o.text("endpoint", &entry.endpoint);
        if let Some(status) = entry.status {
            o.number("status", status);
        }
    }
    json(o, "metadata", view.metadata().as_deref());
    json(o, "record", view.control_record().as_deref());
}

fn json(o: &mut Object<'_>, key: &str, json: Option<&str>) {
    if let Some(json) = json {
        o.stored(key, json);
    }
}
