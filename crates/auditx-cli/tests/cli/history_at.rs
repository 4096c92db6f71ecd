//! Tests of `auditx history --at`.

use std::fs;

use auditx_core::{AuditAction, AuditLogger, BusinessModule, Config};
use auditx_tests::deadline::TIMEOUT;
use serde_json::{Value, json};

use crate::program::{Ended, auditx, command, on_terminal};
use crate::shop::{SHOP, golden, trail_of};
use crate::trail::{closed, directory, logger, record};

/// A line about `customer/42`, one a minute: line 3 is of 10:03.
fn line(seq: u64, action: &str, values: &str) -> String {
    format!(
        "{{\"seq\":{seq},\"timestamp\":\"2026-11-24T10:{seq:02}:00.000000Z\",\"action\":\"{action}\",\
         \"description\":\"d\",\"user\":\"user-{seq}\",\"entity_type\":\"customer\",\"entity_id\":\"42\",\
         {values}\"success\":true}}\n"
    )
}

/// Created, changed, deleted, created again; captured by a trigger, with a masked and a hashed column.
fn life() -> String {
    let hash = format!("{{\"bytes\":9000,\"sha256\":\"{}\"}}", "ab".repeat(32));
    [
        line(
            1,
            "CREATE",
            "\"new_values\":{\"name\":\"Aye\",\"limit\":500.10,\"tax_number\":\"[REDACTED]\",\"note\":\"\"},",
        ),
        line(3, "UPDATE", "\"old_values\":{\"limit\":500.10},\"new_values\":{\"limit\":900},"),
        line(4, "UPDATE", &format!("\"old_values\":{{\"note\":\"\"}},\"new_values\":{{\"note\":{hash}}},")),
        line(5, "DELETE", "\"old_values\":{\"name\":\"Aye\",\"limit\":900},"),
        line(7, "CREATE", "\"new_values\":{\"name\":\"Mya\"},"),
        line(8, "DELETE", "\"metadata\":{\"truncated\":true},").replace("\"entity_id\":\"42\",", ""),
    ]
    .concat()
}

fn at(time: &str, lines: &str) -> Ended {
    auditx(&["history", "customer/42", "--at", &format!("2026-11-24 {time}")], trail_of(lines).path())
}

fn json_at(time: &str, lines: &str) -> Value {
    let (time, trail) = (format!("2026-11-24 {time}"), trail_of(lines));
    let ended = auditx(&["history", "customer/42", "--json", "--at", &time], trail.path());
    serde_json::from_str(&ended.out).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
}

#[test]
fn the_state_is_a_table_with_since_and_by_whom() {
    let ended = at("10:04", &life());
    assert_eq!((ended.status, ended.err.as_str()), (Some(0), ""));
    golden("history_at.txt", &ended.out);
}

#[test]
fn old_values_of_later_entries_are_known_before_the_first_one() {
    let shop = trail_of(SHOP);
    let mut text = String::new();
    for time in ["2026-11-24 12:00", "2026-11-25"] {
        let ended = auditx(&["history", "customer/CUST-220", "--at", time], shop.path());
        assert_eq!((ended.status, ended.err.as_str()), (Some(0), ""));
        text.push_str(&ended.out);
    }
    golden("history_at_before.txt", &text);
}

#[test]
fn times_are_in_the_zone() {
    let trail = trail_of(life());
    let zoned = ["history", "customer/42", "--at", "2026-11-24 16:34", "--tz", "+06:30"];
    let ended = auditx(&zoned, trail.path());
    assert!(
        ended
            .out
            .starts_with("customer/42 at 2026-11-24 16:34:00 +06:30: created 2026-11-24 16:31:00 by user-1"),
        "{ended:?}"
    );
}

#[test]
fn a_deleted_record_names_who_deleted_it() {
    let ended = at("10:05", &life());
    let expected = "customer/42 at 2026-11-24 10:05:00 UTC: deleted 2026-11-24 10:05:00 by user-5, entry 5\n";
    assert_eq!((ended.status, ended.out.as_str(), ended.err.as_str()), (Some(0), expected, ""));
    let deleted = json_at("10:06", &life());
    assert_eq!((&deleted["state"], &deleted["fields"]), (&json!("deleted"), &json!([])));
    let entry = json!({"seq": 5, "timestamp": "2026-11-24T10:05:00.000000Z", "user": "user-5"});
    assert_eq!(deleted["deleted"], entry);
}

#[test]
fn a_record_that_was_created_again_has_its_new_fields_only() {
    let again = json_at("10:07", &life());
    assert_eq!(again["created"]["seq"], 7);
    let since = json!({"seq": 7, "timestamp": "2026-11-24T10:07:00.000000Z", "user": "user-7"});
    assert_eq!(again["fields"], json!([{"field": "name", "value": "Mya", "since": since}]));
}

#[test]
fn a_truncation_of_the_table_ends_the_record() {
    let ended = at("10:09", &life());
    assert!(
        ended.out.contains("removed with all records of its type 2026-11-24 10:08:00 by user-8"),
        "{ended:?}"
    );
    assert_eq!(json_at("10:09", &life())["truncated"]["seq"], 8);
}

#[test]
fn values_are_printed_as_they_are_in_json() {
    let trail = trail_of(life());
    let ended = auditx(&["history", "customer/42", "--json", "--at", "2026-11-24 10:04"], trail.path());
    assert!(ended.out.contains(r#"{"field":"limit","value":900,"since":{"seq":3,"#), "{ended:?}");
    assert!(ended.out.contains(r#""field":"tax_number","value":"[REDACTED]""#), "{ended:?}");
    assert!(ended.out.contains(r#""field":"note","value":{"bytes":9000,"sha256":"abab"#), "{ended:?}");
    let first = auditx(&["history", "customer/42", "--json", "--at", "2026-11-24 10:01"], trail.path());
    assert!(first.out.contains(r#""value":500.10,"#), "{first:?}");
    let state: Value = serde_json::from_str(&ended.out).unwrap();
    let facts = json!(["customer/42", "2026-11-24T10:04:00.000000Z", "exists", []]);
    assert_eq!(json!([state["record"], state["at"], state["state"], state["doubts"]]), facts);
    let shop = trail_of(SHOP);
    let ended = auditx(&["history", "customer/CUST-220", "--json", "--at", "2026-11-24 12:00"], shop.path());
    let state: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(state["fields"][0]["before"]["seq"], 8, "{ended:?}");
}

#[test]
fn without_knowledge_there_are_words_and_status_1() {
    let before = at("10:00", &life());
    assert_eq!((before.status, before.out.as_str()), (Some(1), ""));
    let expected = "auditx: customer/42 at 2026-11-24 10:00:00 UTC: it did not exist: \
                    created 2026-11-24 10:01:00 by user-1, entry 1\n";
    assert!(before.err.starts_with(expected), "{before:?}");
    let posted = line(0, "POST", "");
    let unknown = at("10:00", &posted);
    assert_eq!((unknown.status, unknown.out.as_str()), (Some(1), ""));
    assert!(
        unknown.err.contains("no entry in ") && unknown.err.contains(" says anything about it"),
        "{unknown:?}"
    );
    assert_eq!(json_at("10:00", &posted)["state"], "unknown");
    assert_eq!(json_at("10:00", &life())["state"], "not_yet");
}

#[test]
fn the_time_excludes_a_period_and_must_be_one() {
    let trail = trail_of(life());
    for arguments in [["--at", "now", "--since", "1h"], ["--at", "now", "--until", "1h"]] {
        let ended = auditx(&[&["history", "customer/42"], &arguments[..]].concat(), trail.path());
        assert!(ended.status == Some(2) && ended.err.contains("cannot be used with"), "{ended:?}");
    }
    let ended = auditx(&["history", "customer/42", "--at", "yesteryear"], trail.path());
    assert!(ended.status == Some(2) && ended.err.contains("invalid time \"yesteryear\""), "{ended:?}");
}

#[test]
fn trails_of_a_family_are_taken_together_by_time() {
    let (log_dir, life) = (directory(), life());
    for (name, is_of) in [("one", 0), ("two", 1)] {
        fs::create_dir(log_dir.path().join(name)).unwrap();
        let lines: Vec<&str> =
            life.lines().enumerate().filter(|(index, _)| index % 2 == is_of).map(|(_, line)| line).collect();
        fs::write(log_dir.path().join(name).join("audit.jsonl"), lines.join("\n") + "\n").unwrap();
    }
    let ended = auditx(&["history", "customer/42", "--at", "2026-11-24 10:04"], log_dir.path());
    golden("history_at_family.txt", &ended.out);
    let ended = auditx(&["history", "customer/42", "--json", "--at", "2026-11-24 10:04"], log_dir.path());
    let state: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!((&state["created"]["trail"], &state["created"]["seq"]), (&json!("one"), &json!(1)));
    assert_eq!(
        state["fields"][0],
        json!({
            "field": "limit", "value": 900,
            "since": {"trail": "two", "seq": 3, "timestamp": "2026-11-24T10:03:00.000000Z", "user": "user-3"},
        })
    );
}

#[test]
fn an_unreadable_line_makes_the_state_doubtful() {
    let lines = life() + "{\"seq\":9,\"entity_id\":\"42\",\"entity_type\":\"customer\",\"user\":1}\n";
    let ended = at("10:04", &lines);
    assert_eq!(ended.status, Some(0));
    assert!(ended.err.contains("the state may be incomplete: 1 line could not be read"), "{ended:?}");
    assert_eq!(json_at("10:04", &lines)["doubts"], json!(["1 line could not be read"]));
    let trail = trail_of(&lines);
    let strict = auditx(&["history", "customer/42", "--at", "2026-11-24 10:04", "--strict"], trail.path());
    assert_eq!(strict.status, Some(2), "{strict:?}");
}

#[test]
fn retired_entries_make_a_state_without_a_creation_doubtful() {
    let directory = directory();
    let logger = logger(directory.path());
    let change = |action| logger.log_change("d", BusinessModule::Crm, action, "customer", "42").user("admin");
    change(AuditAction::Create).new_values(json!({"limit": 1, "name": "Aye"})).record().unwrap();
    record(&logger, 100);
    change(AuditAction::Update)
        .old_values(json!({"limit": 1}))
        .new_values(json!({"limit": 2}))
        .record()
        .unwrap();
    logger.close(TIMEOUT).unwrap();
    let at = ["history", "customer/42", "--at", "now"];
    let whole = auditx(&at, directory.path());
    assert!(whole.status == Some(0) && whole.err.is_empty() && whole.out.contains("name"), "{whole:?}");
    assert_eq!(auditx(&["retire", "--keep", "1"], directory.path()).status, Some(0));
    let retired = auditx(&at, directory.path());
    assert!(retired.status == Some(0) && !retired.out.contains("name"), "{retired:?}");
    assert!(retired.err.contains("the state may be incomplete: the "), "{retired:?}");
    assert!(retired.err.contains(" are not in the trail any more"), "{retired:?}");
    // Nothing else is missing where nothing was retired.
    let none = auditx(&["history", "customer/1", "--at", "now"], closed(1).path());
    assert!(none.status == Some(1) && !none.err.contains("incomplete"), "{none:?}");
}

#[test]
fn captured_and_recorded_entries_of_a_real_trail_are_found() {
    let directory = directory();
    let logger = AuditLogger::open(Config::new(directory.path())).unwrap();
    let entry = logger.log_change("d", BusinessModule::Crm, AuditAction::Create, "customer", "42");
    entry.user("thida").new_values(json!({"password": "hunter2", "limit": 5})).record().unwrap();
    let denied = logger.log_change("d", BusinessModule::Crm, AuditAction::Update, "customer", "42");
    denied.success(false).new_values(json!({"limit": 6})).record().unwrap();
    logger.close(TIMEOUT).unwrap();
    let ended = auditx(&["history", "customer/42", "--at", "now", "--strict", "--json"], directory.path());
    let state: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let fields = state["fields"].as_array().unwrap();
    let fields: Vec<Value> = fields.iter().map(|field| json!([field["field"], field["value"]])).collect();
    assert_eq!(fields, [json!(["limit", 5]), json!(["password", "[REDACTED]"])]);
    assert_eq!(state["created"]["user"], "thida");
}

#[test]
fn a_narrow_terminal_shows_two_lines_for_a_field() {
    let trail = trail_of(life());
    let arguments = ["history", "customer/42", "--at", "2026-11-24 10:04", "--color", "never"];
    let (status, shown) = on_terminal(&mut command(&arguments, trail.path()), 40);
    assert_eq!(status, Some(0));
    assert!(shown.contains("limit: 900\n  2026-11-24 10:03:00 by user-3, entry 3\n"), "{shown}");
}

#[test]
fn hostile_values_are_escaped() {
    let values = "\"new_values\":{\"a\u{202e}\\u001b\":\"\u{9b}31m\\u001b[31m\"},";
    let trail = trail_of(line(1, "CREATE", values).replace("user-1", "\u{202e}\\u001b"));
    for form in ["--json", "--strict"] {
        let ended = auditx(&["history", "customer/42", "--at", "now", form], trail.path());
        assert!(ended.out.contains("31m"), "{ended:?}");
        assert!(!ended.out.contains(['\u{1b}', '\u{202e}', '\u{9b}']), "{ended:?}");
        assert!(!ended.err.contains(['\u{1b}', '\u{202e}', '\u{9b}']), "{ended:?}");
    }
}
