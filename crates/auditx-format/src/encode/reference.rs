//! A slow and simple encoder written from the format's description, which tests compare the real one with.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::Value;
use uuid::Uuid;

use super::Envelope;
use crate::clock::Timestamp;
use crate::context::ContextFields;
use crate::entry::{Entry, MetadataValue, Values};
use crate::redact::{Decision, Path, REDACTED, Rules};

/// Returns a JSON string as written in a line.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out += "\\\"",
            '\\' => out += "\\\\",
            '\n' => out += "\\n",
            '\r' => out += "\\r",
            '\t' => out += "\\t",
            '\0' => out.push('\u{fffd}'),
            '\u{1}'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{61c}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
            | '\u{feff}' => write!(out, "\\u{:04x}", u32::from(c)).unwrap(),
            c => out.push(c),
        }
    }
    out + "\""
}

fn json(rules: &Rules, value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Array(items) => {
            format!("[{}]", items.iter().map(|item| json(rules, item)).collect::<Vec<_>>().join(","))
        }
        Value::Object(map) => {
            let shown = |key: &str, value| match rules.decide_key(key) {
                Decision::Keep => json(rules, value),
                _ => quoted(REDACTED),
            };
            let members: Vec<String> =
                map.iter().map(|(key, value)| format!("{}:{}", quoted(key), shown(key, value))).collect();
            format!("{{{}}}", members.join(","))
        }
        plain => plain.to_string(),
    }
}

fn metadata_value(rules: &Rules, value: &MetadataValue<'_>) -> String {
    match value {
        MetadataValue::Text(text) => quoted(text),
        MetadataValue::Bool(value) => value.to_string(),
        MetadataValue::Integer(value) => value.to_string(),
        MetadataValue::Unsigned(value) => value.to_string(),
        MetadataValue::Float(value) => match serde_json::Number::from_f64(*value) {
            Some(number) => number.to_string(),
            None => quoted(&value.to_string()),
        },
        MetadataValue::Amount(amount) => amount.to_string(),
        MetadataValue::Address(ip) => quoted(&ip.to_string()),
        MetadataValue::Json(value) => json(rules, value),
    }
}

/// Encodes a body. Supports only rules that mask by key.
pub(super) fn body(
    envelope: &Envelope,
    entry: &Entry<'_>,
    context: &ContextFields,
    id: Uuid,
    now: Timestamp,
) -> String {
    let rules = &envelope.rules;
    let shown = |key: &str, plain: String| match rules.decide(Path::root("metadata").join(key)) {
        Decision::Keep => plain,
        _ => quoted(REDACTED),
    };
    let either = |own: &str, other: &str| if own.is_empty() { other.to_owned() } else { own.to_owned() };
    let mut metadata: Vec<(String, String)> = entry
        .metadata
        .iter()
        .map(|(key, value)| (key.to_string(), shown(key, metadata_value(rules, value))))
        .collect();
    let own: BTreeMap<String, String> = metadata.iter().cloned().collect();
    let inherited = context.extra.iter().filter(|(key, _)| !own.contains_key(*key));
    metadata.extend(inherited.map(|(key, value)| (key.clone(), shown(key, json(rules, value)))));
    let metadata: Vec<String> =
        metadata.iter().map(|(key, value)| format!("{}:{value}", quoted(key))).collect();

    let mut fields: Vec<(&str, String)> =
        vec![("id", quoted(&id.to_string())), ("timestamp", quoted(&now.to_string()))];
    let mut text = |name: &'static str, text: &str| {
        if !text.is_empty() {
            fields.push((name, quoted(text)));
        }
    };
    text("level", entry.level.as_str());
    text("module", entry.module.as_str());
    text("action", entry.action.as_str());
    text("description", &entry.description);
    text("user", &either(&either(&entry.user, &context.user), "SYSTEM"));
    text("user_role", &either(&entry.user_role, &context.user_role));
    text("on_behalf_of", &entry.on_behalf_of);
    text("company_id", &either(&entry.company_id, &context.company_id));
    text("branch_id", &either(&entry.branch_id, &context.branch_id));
    text("entity_type", &entry.entity_type);
    text("entity_id", &entry.entity_id);
    text("reference_no", &entry.reference_no);
    if let Some(amount) = &entry.amount {
        fields.push(("amount", amount.to_string()));
        let currency = either(&entry.currency, &envelope.default_currency);
        if !currency.is_empty() {
            fields.push(("currency", quoted(&currency)));
        }
    }
    for (name, values) in [("old_values", &entry.old_values), ("new_values", &entry.new_values)] {
        if let Some(Values::Json(values)) = values {
            fields.push((name, json(rules, values)));
        }
    }
    if !metadata.is_empty() {
        fields.push(("metadata", format!("{{{}}}", metadata.join(","))));
    }
    let mut text = |name: &'static str, text: &str| {
        if !text.is_empty() {
            fields.push((name, quoted(text)));
        }
    };
    text("request_id", &either(&entry.request_id, &context.request_id));
    text("session_id", &either(&entry.session_id, &context.session_id));
    text("ip", &entry.ip.or(context.ip).map(|ip| ip.to_string()).unwrap_or_default());
    text("hostname", &envelope.hostname);
    text("method", &entry.method);
    text("endpoint", &entry.endpoint);
    if let Some(status) = entry.status {
        fields.push(("status", status.to_string()));
    }
    fields.push(("success", entry.success.to_string()));
    let fields: Vec<String> = fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    fields.join(",") + "}"
}
