//! Checks ECS documents against the field types and allowed values of the schema.
//!
//! The tables below are taken from <https://github.com/elastic/ecs/tree/v9.4.0>: `generated/csv/fields.csv`,
//! `schemas/event.yml`.

use auditx_export::{ECS_VERSION, Format};
use serde_json::Value;

use crate::trail::{at, objects};

#[derive(Clone, Copy)]
enum Type {
    Keyword,
    Keywords,
    Long,
    Ip,
    Ips,
}

/// Every field of the schema that is written, besides `@timestamp`.
const FIELDS: [(&str, Type); 39] = [
    ("message", Type::Keyword),
    ("ecs.version", Type::Keyword),
    ("event.kind", Type::Keyword),
    ("event.category", Type::Keywords),
    ("event.type", Type::Keywords),
    ("event.outcome", Type::Keyword),
    ("event.action", Type::Keyword),
    ("event.code", Type::Keyword),
    ("event.reason", Type::Keyword),
    ("event.module", Type::Keyword),
    ("event.dataset", Type::Keyword),
    ("event.severity", Type::Long),
    ("event.id", Type::Keyword),
    ("event.sequence", Type::Long),
    ("event.hash", Type::Keyword),
    ("log.level", Type::Keyword),
    ("service.name", Type::Keyword),
    ("host.name", Type::Keyword),
    ("user.id", Type::Keyword),
    ("user.name", Type::Keyword),
    ("user.roles", Type::Keywords),
    ("user.effective.id", Type::Keyword),
    ("user.effective.name", Type::Keyword),
    ("organization.id", Type::Keyword),
    ("source.address", Type::Keyword),
    ("source.ip", Type::Ip),
    ("client.address", Type::Keyword),
    ("client.ip", Type::Ip),
    ("http.request.id", Type::Keyword),
    ("http.request.method", Type::Keyword),
    ("http.response.status_code", Type::Long),
    ("url.original", Type::Keyword),
    ("url.path", Type::Keyword),
    ("url.query", Type::Keyword),
    ("trace.id", Type::Keyword),
    ("related.user", Type::Keywords),
    ("related.ip", Type::Ips),
    // The trail's own fields, which the operator's index mapping describes.
    ("auditx.amount", Type::Keyword),
    ("auditx.currency", Type::Keyword),
];

const KINDS: [&str; 7] = ["alert", "asset", "enrichment", "event", "metric", "state", "signal"];

/// Categories, and the types that the schema allows with each.
const CATEGORIES: [(&str, &[&str]); 6] = [
    ("authentication", &["start", "end", "info"]),
    ("configuration", &["access", "change", "creation", "deletion", "info"]),
    ("file", &["access", "change", "creation", "deletion", "info"]),
    ("host", &["access", "change", "end", "info", "start"]),
    ("process", &["access", "change", "end", "info", "start"]),
    ("web", &["access", "error", "info"]),
];

const TYPES: [&str; 18] = [
    "access",
    "admin",
    "allowed",
    "change",
    "connection",
    "creation",
    "deletion",
    "denied",
    "device",
    "end",
    "error",
    "group",
    "indicator",
    "info",
    "installation",
    "protocol",
    "start",
    "user",
];

fn leaves<'v>(value: &'v Value, path: &str, found: &mut Vec<(String, &'v Value)>) {
    match value {
        Value::Object(map) => {
            for (name, member) in map {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                leaves(member, &path, found);
            }
        }
        leaf => found.push((path.to_owned(), leaf)),
    }
}

fn is_of(kind: Type, value: &Value) -> bool {
    let is_ip = |value: &Value| value.as_str().is_some_and(|text| text.parse::<std::net::IpAddr>().is_ok());
    match kind {
        Type::Keyword => value.is_string(),
        Type::Keywords => value.as_array().is_some_and(|items| items.iter().all(Value::is_string)),
        Type::Long => value.is_u64(),
        Type::Ip => is_ip(value),
        Type::Ips => value.as_array().is_some_and(|items| items.iter().all(is_ip)),
    }
}

#[test]
fn every_field_is_of_the_schema_and_has_its_type() {
    for document in objects(Format::Ecs) {
        let mut found = Vec::new();
        leaves(&document, "", &mut found);
        for (path, value) in found {
            match FIELDS.iter().find(|(name, _)| *name == path) {
                Some((_, kind)) => assert!(is_of(*kind, value), "{path} in {document}"),
                None => assert!(path == "@timestamp" || path.starts_with("auditx."), "{path} in {document}"),
            }
        }
    }
}

#[test]
fn required_fields_are_present_and_categories_allowed() {
    for document in objects(Format::Ecs) {
        let time = document["@timestamp"].as_str().unwrap();
        assert!(time.len() == 27 && time.ends_with('Z'), "{time}");
        assert_eq!(at(&document, "ecs.version"), ECS_VERSION);
        assert!(KINDS.contains(&at(&document, "event.kind").as_str().unwrap()), "{document}");
        assert!(
            matches!(at(&document, "event.outcome").as_str(), Some("success" | "failure" | "unknown")),
            "{document}"
        );
        let words = |path: &str| -> Vec<String> {
            let list = at(&document, path).as_array().cloned().unwrap_or_default();
            list.iter().map(|word| word.as_str().unwrap().to_owned()).collect()
        };
        let types = words("event.type");
        assert!(!types.is_empty() && types.iter().all(|word| TYPES.contains(&word.as_str())), "{document}");
        for category in words("event.category") {
            let (_, expected) = CATEGORIES.iter().find(|(name, _)| *name == category).unwrap();
            assert!(types.iter().all(|word| expected.contains(&word.as_str())), "{document}");
        }
    }
}

#[test]
fn recorded_values_are_always_objects() {
    let documents = objects(Format::Ecs);
    for document in &documents {
        for path in ["auditx.old", "auditx.new", "auditx.metadata", "auditx.record"] {
            let value = at(document, path);
            assert!(value.is_null() || value.is_object(), "{path} in {document}");
        }
    }
    assert_eq!(at(&documents[12], "auditx.old.value"), &serde_json::json!([1, 2]));
    assert_eq!(at(&documents[12], "auditx.new.value"), "plain \"text\"");
}

#[test]
fn the_user_and_on_behalf_of_are_separate_fields() {
    let documents = objects(Format::Ecs);
    let change = &documents[6];
    assert_eq!(
        (at(change, "user.name"), at(change, "user.effective.name")),
        (&"support".into(), &"ဒေါ်ခင်".into())
    );
    let failed = &documents[8];
    assert_eq!(at(failed, "event.reason"), "wrong password");
    assert_eq!(at(&documents[9], "event.kind"), "alert");
    assert_eq!(at(&documents[7], "trace.id"), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(documents[24]["@timestamp"], "1970-01-01T00:00:00.000000Z");
    assert_eq!(at(&documents[20], "auditx.erased"), true);
}
