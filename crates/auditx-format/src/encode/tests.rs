//! Encoded bodies: escapes, redaction, limits, absent values.

use std::time::{Duration, UNIX_EPOCH};

use serde_json::json;

use super::*;
use crate::context::ContextFields;
use crate::redact::{REDACTED, Redaction};
use crate::vocabulary::{AuditAction, BusinessModule};

fn envelope(redaction: Redaction) -> Envelope {
    Envelope { rules: redaction.compile().unwrap(), hostname: "erp-1".into(), default_currency: "MMK".into() }
}

fn encode(entry: &Entry<'_>, context: &ContextFields) -> Result<Value> {
    let mut scratch = Scratch::default();
    let shared = RequestContext::new();
    shared.edit(|fields| *fields = context.clone());
    envelope(Redaction::default().hash("metadata.customer").hash_key(*b"0123456789abcdef")).encode(
        &mut scratch,
        entry,
        Some(&shared),
        Uuid::nil(),
        Timestamp::of(UNIX_EPOCH + Duration::from_secs(1)),
    )?;
    let out = scratch.body();
    assert!(!out.contains(&b'\n'));
    Ok(serde_json::from_slice(&[b"{", out].concat()).unwrap())
}

fn entry(description: &str) -> Entry<'_> {
    Entry::new(description, BusinessModule::Sales, AuditAction::Post)
}

#[test]
fn hostile_text_stays_on_one_line_and_reads_back() {
    let hostile = "q\" b\\ n\n r\r t\t esc\u{1b}[31m del\u{7f} c1\u{9b}31m nel\u{85} ls\u{2028} \
                   bidi\u{202e}\u{2066} bom\u{feff} 🦀 မြန်မာ \u{61c}";
    let mut out = Vec::new();
    json::text(&mut out, hostile);
    let text = String::from_utf8(out).unwrap();
    assert_eq!(serde_json::from_str::<String>(&text).unwrap(), hostile);
    assert!(text.chars().all(|c| !c.is_control() && !('\u{2028}'..='\u{202e}').contains(&c)), "{text}");
    assert!(text.contains("🦀 မြန်မာ"));
}

#[test]
fn the_null_character_which_jsonb_rejects_is_replaced() {
    assert_eq!(encode(&entry("a\0b"), &ContextFields::default()).unwrap()["description"], "a\u{fffd}b");
}

#[test]
fn absent_values_are_left_out_except_success() {
    let line = encode(&entry("x"), &ContextFields::default()).unwrap();
    let keys: Vec<&String> = line.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        ["action", "description", "hostname", "id", "level", "module", "success", "timestamp", "user"],
        "serde_json sorts keys"
    );
    assert_eq!(line["user"], "SYSTEM");
}

#[test]
fn an_entry_takes_precedence_over_its_context() {
    let context = ContextFields {
        user: "admin".into(),
        company_id: "CO-001".into(),
        extra: [("tenant".into(), json!("acme")), ("own".into(), json!("context"))].into(),
        ..ContextFields::default()
    };
    let mut own = entry("x");
    own.user = "clerk".into();
    own.put_metadata("own", "entry");
    let line = encode(&own, &context).unwrap();
    assert_eq!((&line["user"], &line["company_id"]), (&json!("clerk"), &json!("CO-001")));
    assert_eq!(line["metadata"], json!({"own": "entry", "tenant": "acme"}));
}

#[test]
fn facts_are_metadata_and_take_precedence_over_the_context() {
    let context = ContextFields {
        extra: [("outcome".into(), json!("context")), ("tenant".into(), json!("acme"))].into(),
        ..ContextFields::default()
    };
    let facts = [("outcome".into(), "completed".into()), ("token".into(), "secret".into())];
    let mut own = entry("x");
    own.facts = &facts;
    own.put_metadata("further", 1_u64);
    let line = encode(&own, &context).unwrap();
    let expected = json!({"outcome": "completed", "token": "[REDACTED]", "further": 1, "tenant": "acme"});
    assert_eq!(line["metadata"], expected);
}

#[test]
fn secrets_are_masked_at_any_depth() {
    let mut own = entry("x");
    let values = json!({"name": "U Kyaw", "login": [{"password": "p1", "hint": "h"}], "api_key": {"a": 1}});
    own.new_values = Some(values.into());
    own.put_metadata("cardNumber", "4111111111111111");
    own.put_metadata("nested", json!({"Authorization": "Bearer x", "ok": 1}));
    own.put_metadata("customer", "CUST-1");
    let context = ContextFields { extra: [("cookie".into(), json!("c"))].into(), ..ContextFields::default() };
    let line = encode(&own, &context).unwrap();
    assert_eq!(
        line["new_values"],
        json!({"name": "U Kyaw", "login": [{"password": REDACTED, "hint": "h"}], "api_key": REDACTED})
    );
    assert_eq!(line["metadata"]["cardNumber"], REDACTED);
    assert_eq!(line["metadata"]["nested"], json!({"Authorization": REDACTED, "ok": 1}));
    assert_eq!(line["metadata"]["cookie"], REDACTED);
    assert!(line["metadata"]["customer"].as_str().unwrap().starts_with("hmac-sha256:"));
}

#[test]
fn currency_is_written_only_with_an_amount() {
    let mut own = entry("x");
    own.currency = "USD".into();
    assert!(encode(&own, &ContextFields::default()).unwrap().get("currency").is_none());
    own.amount = Some(5.into());
    assert_eq!(encode(&own, &ContextFields::default()).unwrap()["currency"], "USD");
    own.currency = "".into();
    assert_eq!(encode(&own, &ContextFields::default()).unwrap()["currency"], "MMK");
}

#[test]
fn numbers_that_json_lacks_are_written_as_text() {
    let mut own = entry("x");
    own.put_metadata("ratio", f64::NAN);
    own.put_metadata("whole", 2.0);
    let line = encode(&own, &ContextFields::default()).unwrap();
    assert_eq!(line["metadata"], json!({"ratio": "NaN", "whole": 2.0}));
}

#[test]
fn a_too_large_entry_is_refused_with_its_largest_field() {
    let mut own = entry("x");
    own.put_metadata("note", "n".repeat(70_000));
    own.put_metadata("other", "n".repeat(100));
    let error = encode(&own, &ContextFields::default()).unwrap_err();
    assert!(error.is_too_large());
    assert!(error.to_string().contains("metadata.note with 70002 bytes"), "{error}");
}

#[test]
fn json_nested_too_deeply_is_refused() {
    let mut deep = json!(1);
    for _ in 0..1_000 {
        deep = json!([deep]);
    }
    let mut own = entry("x");
    own.new_values = Some(json!({ "deep": deep }).into());
    assert!(encode(&own, &ContextFields::default()).unwrap_err().is_invalid());
}

#[test]
fn nested_encoding_uses_separate_buffers() {
    let body_of = |scratch: &mut Scratch, description: &str| {
        envelope(Redaction::default())
            .encode(scratch, &entry(description), None, Uuid::nil(), Timestamp::of(UNIX_EPOCH))
            .unwrap();
        scratch.body().to_vec()
    };
    with_scratch(|outer| {
        let body = body_of(outer, "outer");
        with_scratch(|inner| assert_ne!(body_of(inner, "inner"), body));
        assert_eq!(outer.body(), body);
    });
}
