//! Events of the target `audit` are recorded as entries.

use auditx_core::{AuditAction, RequestContext};
use auditx_tracing::INVALID_FACTS;
use serde_json::{Value, json};
use tracing::{debug, error, info, warn};

use crate::fixture::Fixture;

#[test]
fn fields_set_the_entrys_fields_and_the_rest_is_metadata() {
    let fixture = Fixture::new();
    let layer = fixture.layer().entries(true);
    let counts = layer.counts();
    fixture.run(layer, || {
        info!(
            target: "audit",
            action = %AuditAction::Post,
            module = "sales",
            level = "security",
            entity_type = "sales_invoice",
            entity_id = 42,
            reference_no = "SI-42",
            amount = "1250000.10",
            currency = "MMK",
            success = false,
            reason = "over the limit",
            user = "admin",
            user_role = "manager",
            on_behalf_of = "owner",
            company_id = "CO-001",
            branch_id = "BR-YGN",
            request_id = "r-1",
            session_id = "s-1",
            ip = "192.168.1.10:51000",
            method = "POST",
            endpoint = "/sales",
            status = 409,
            old_values = r#"{"limit":500,"pin":1}"#,
            new_values = %json!({"limit": 900}),
            lines = 3,
            "Sales invoice posted"
        );
    });
    let entry = fixture.entry();
    assert_eq!((entry.description.as_str(), entry.action.as_str()), ("Sales invoice posted", "POST"));
    assert_eq!((entry.module.as_str(), entry.level.as_str()), ("sales", "SECURITY"));
    assert_eq!((entry.entity_type.as_str(), entry.entity_id.as_str()), ("sales_invoice", "42"));
    assert_eq!(entry.reference_no, "SI-42");
    assert_eq!((entry.amount.unwrap().to_string().as_str(), entry.currency.as_str()), ("1250000.10", "MMK"));
    assert_eq!((entry.success, entry.status), (false, Some(409)));
    assert_eq!((entry.user.as_str(), entry.user_role.as_str()), ("admin", "manager"));
    assert_eq!((entry.on_behalf_of.as_str(), entry.company_id.as_str()), ("owner", "CO-001"));
    assert_eq!((entry.branch_id.as_str(), entry.request_id.as_str()), ("BR-YGN", "r-1"));
    assert_eq!((entry.session_id.as_str(), entry.ip.as_str()), ("s-1", "192.168.1.10"));
    assert_eq!((entry.method.as_str(), entry.endpoint.as_str()), ("POST", "/sales"));
    assert_eq!(entry.old_values, json!({"limit": 500, "pin": "[REDACTED]"}));
    assert_eq!(entry.new_values, json!({"limit": 900}));
    assert_eq!(Value::Object(entry.metadata), json!({"lines": 3, "reason": "over the limit"}));
    assert_eq!((counts.entries(), counts.invalid(), counts.failed(), counts.lines()), (1, 0, 0, 0));
    assert_eq!(fixture.app_log(), "");
}

#[test]
fn missing_fields_come_from_the_context_and_the_event() {
    let fixture = Fixture::new();
    fixture.run(fixture.layer().entries(true), || {
        let _scope = RequestContext::new().user("admin").request_id("r-7").enter();
        error!(target: "audit", "one");
        warn!(target: "audit", "two");
        info!(target: "audit", "three");
        debug!(target: "audit", module = "manufacturing", action = "ship", "four");
    });
    let entries = fixture.trail.entries();
    let levels: Vec<&str> = entries.iter().map(|entry| entry.level.as_str()).collect();
    assert_eq!(levels, ["ERROR", "WARNING", "AUDIT", "DEBUG"]);
    assert!(entries.iter().all(|entry| entry.user == "admin" && entry.request_id == "r-7" && entry.success));
    assert_eq!((entries[0].module.as_str(), entries[0].action.as_str()), ("system", "READ"));
    assert_eq!((entries[3].module.as_str(), entries[3].action.as_str()), ("manufacturing", "SHIP"));
}

#[test]
fn amounts_of_all_types_keep_their_digits() {
    let fixture = Fixture::new();
    fixture.run(fixture.layer().entries(true), || {
        info!(target: "audit", amount = 85_000, "");
        info!(target: "audit", amount = -7_i128, "");
        info!(target: "audit", amount = u64::MAX, "");
        info!(target: "audit", amount = 12.5, "");
        info!(target: "audit", amount = %"0.10", "");
    });
    let amounts: Vec<String> =
        fixture.trail.entries().into_iter().map(|entry| entry.amount.unwrap().to_string()).collect();
    assert_eq!(amounts, ["85000", "-7", "18446744073709551615", "12.5", "0.10"]);
}

#[test]
fn invalid_fields_are_stored_unchanged_and_explained() {
    let fixture = Fixture::new();
    let layer = fixture.layer().entries(true);
    let counts = layer.counts();
    fixture.run(layer, || {
        info!(
            target: "audit",
            amount = "1,250",
            action = "two words",
            module = "naïve",
            level = "loud",
            ip = "here",
            status = 70_000,
            success = "maybe",
            new_values = "{limit",
            invalid_facts = "a key of the application's own",
            user = "admin",
            "Sales invoice posted"
        );
    });
    let entry = fixture.entry();
    assert_eq!((entry.description.as_str(), entry.user.as_str()), ("Sales invoice posted", "admin"));
    assert!(entry.amount.is_none() && entry.status.is_none() && entry.new_values.is_null());
    assert_eq!((entry.action.as_str(), entry.level.as_str(), entry.success), ("READ", "AUDIT", true));
    let mut metadata = entry.metadata;
    let invalid = metadata.remove(INVALID_FACTS).unwrap();
    assert_eq!(
        Value::Object(metadata),
        json!({
            "amount": "1,250", "action": "two words", "module": "naïve", "level": "loud", "ip": "here",
            "status": 70_000, "success": "maybe", "new_values": "{limit",
            "field.invalid_facts": "a key of the application's own",
        })
    );
    let mut explained: Vec<&String> = invalid.as_object().unwrap().keys().collect();
    explained.sort();
    assert_eq!(explained, ["action", "amount", "ip", "level", "module", "new_values", "status", "success"]);
    assert!(invalid["amount"].as_str().unwrap().contains("plain decimal number"), "{invalid}");
    assert_eq!((counts.entries(), counts.invalid(), counts.failed()), (1, 1, 0));
}

#[test]
fn a_refused_entry_is_reported_with_its_fields_and_counted() {
    let fixture = Fixture::new();
    fixture.trail.close();
    let layer = fixture.layer().entries(true);
    let counts = layer.counts();
    fixture.run(layer, || info!(target: "audit", amount = 5, token = "t", "Invoice voided"));
    let line = fixture.line();
    assert_eq!((line.level.as_str(), line.message.as_str()), ("ERROR", "Invoice voided"));
    assert_eq!(
        Value::Object(line.fields),
        json!({"amount": 5, "token": "[REDACTED]", "target": "audit", "not_recorded": "the trail is closed"})
    );
    assert_eq!((counts.failed(), counts.entries(), counts.skipped()), (1, 0, 0));
}

#[test]
fn an_entry_that_is_too_large_is_reported() {
    let fixture = Fixture::new();
    let layer = fixture.layer().entries(true);
    let counts = layer.counts();
    fixture.run(layer, || info!(target: "audit", scan = "x".repeat(70_000), "Scanned"));
    assert_eq!((fixture.trail.entries().len(), counts.failed()), (0, 1));
    assert!(fixture.line().fields["not_recorded"].as_str().unwrap().contains("65"), "{:?}", fixture.line());
}

#[test]
fn entries_can_be_lines_too_and_are_only_lines_if_disabled() {
    let both = Fixture::new();
    both.run(both.layer().entries(true).entries_in_app_log(true), || info!(target: "audit", "x"));
    assert_eq!((both.entry().description.as_str(), both.line().message.as_str()), ("x", "x"));
    let off = Fixture::new();
    off.run(off.layer(), || info!(target: "audit", amount = "1,250", "x"));
    assert_eq!((off.trail.entries().len(), off.line().fields["amount"].as_str().unwrap()), (0, "1,250"));
}

#[test]
fn only_the_exact_target_makes_an_entry() {
    let fixture = Fixture::new();
    fixture.run(fixture.layer().entries(true), || {
        info!(target: "audit::deeper", "a module");
        info!(target: "auditx_tower", "another crate");
        info!(target: "Audit", "another spelling");
    });
    assert_eq!((fixture.trail.entries().len(), fixture.messages().len()), (0, 3));
}
