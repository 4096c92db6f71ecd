//! Tests of `auditx history`.

use serde_json::{Value, json};

use crate::program::{auditx, ended, without_trail};
use crate::shop::{SHOP, golden, hostile_trail, trail_of};
use crate::trail::directory;

#[test]
fn a_history_shows_every_change() {
    let shop = trail_of(SHOP);
    let history = auditx(&["history", "customer/CUST-220"], shop.path());
    assert_eq!((history.status, history.err.as_str()), (Some(0), ""));
    golden("history.txt", &history.out);
    let colours = auditx(&["history", "customer/CUST-220", "--color", "always"], shop.path()).out;
    assert!(
        colours.contains("credit_limit: \u{1b}[31m500000\u{1b}[0m → \u{1b}[32m1000000\u{1b}[0m"),
        "{colours}"
    );
}

#[test]
fn changes_are_printed_as_json() {
    let shop = trail_of(SHOP);
    let history = auditx(&["history", "customer/CUST-220", "--json"], shop.path());
    let entries: Vec<Value> = serde_json::from_str(&history.out).unwrap();
    assert_eq!(entries[0]["changes"], json!([{"field": "credit_limit", "old": 500_000, "new": 1_000_000}]));
    assert_eq!(
        entries[1]["changes"],
        json!([{"field": "address.city", "old": "Yangon", "new": "Bago"}, {"field": "phone", "new": null}])
    );
    assert_eq!((&entries[1]["user"], entries.len()), (&json!("clerk"), 2));
}

#[test]
fn an_unknown_record_is_not_found_and_an_invalid_one_an_error() {
    let shop = trail_of(SHOP);
    let none = auditx(&["history", "customer/CUST-2"], shop.path());
    assert_eq!((none.status, none.out.as_str()), (Some(1), ""));
    assert!(none.err.starts_with("auditx: no entry is about customer/CUST-2 in "), "{}", none.err);
    assert_eq!(auditx(&["history", "customer/CUST-2", "--json"], shop.path()).out, "[]\n");
    assert_eq!(auditx(&["history", "customer"], shop.path()).status, Some(2));
}

/// Creates a trail with these lines.
fn trail(lines: &[&str]) -> tempfile::TempDir {
    let directory = directory();
    std::fs::write(directory.path().join("audit.jsonl"), lines.join("\n") + "\n").unwrap();
    directory
}

#[test]
fn equal_numbers_are_no_change_but_a_number_and_text_are() {
    let line = |seq: u64, old: &str, new: &str| {
        format!(
            concat!(
                r#"{{"seq":{seq},"description":"d","entity_type":"customer","entity_id":"C","#,
                r#""old_values":{{"limit":{old}}},"new_values":{{"limit":{new}}},"success":true}}"#
            ),
            seq = seq,
            old = old,
            new = new
        )
    };
    let lines = [line(0, "500000", "500000.0"), line(1, "500000", "\"500000\""), line(2, "null", "\"null\"")];
    let trail = trail(&lines.each_ref().map(String::as_str));
    let history = auditx(&["history", "customer/C"], trail.path());
    let changes: Vec<&str> = history.out.lines().filter(|line| line.contains('→')).map(str::trim).collect();
    assert_eq!(changes, ["limit: 500000 → \"500000\"", "limit: null → \"null\""]);
    let diff = auditx(&["query", "-o", "diff"], trail.path()).out;
    assert!(diff.contains("limit: 500000 → \"500000\"") && !diff.contains("500000.0"), "{diff}");
    let changed = auditx(&["query", "changed:limit", "--count"], trail.path()).out;
    assert_eq!(changed, "2\n");
    let table =
        auditx(&["query", "seq:1", "-o", "table", "--fields", "old.limit,new.limit"], trail.path()).out;
    let row: Vec<&str> = table.lines().last().unwrap().split_whitespace().collect();
    assert_eq!(row, ["500000", "\"500000\""]);
}

#[test]
fn every_command_reads_amounts_of_any_size() {
    let line = |seq: u64, amount: &str| {
        format!(
            "{{\"seq\":{seq},\"timestamp\":\"2026-11-24T09:00:0{seq}Z\",\"description\":\"d\",\
             \"entity_type\":\"c\",\"entity_id\":\"1\",\"amount\":{amount},\"success\":true}}"
        )
    };
    let lines = [line(0, "1e400"), line(1, "5e-324")];
    let trail = trail(&lines.each_ref().map(String::as_str));
    assert_eq!(auditx(&["query", "--strict", "--count"], trail.path()).out, "2\n");
    let tail = auditx(&["tail", "-n", "10", "-o", "ndjson"], trail.path());
    assert_eq!((tail.out.lines().count(), tail.err.as_str()), (2, ""));
    let history: Value =
        serde_json::from_str(&auditx(&["history", "c/1", "--json"], trail.path()).out).unwrap();
    assert_eq!(history.as_array().unwrap().len(), 2);
    let doctor = auditx(&["doctor"], trail.path()).out;
    assert!(doctor.contains("Entries     2, seq 0 to 1\n"), "{doctor}");
}

#[test]
fn hostile_fields_are_escaped() {
    let trail = hostile_trail();
    let shown = auditx(&["query", "-o", "diff", "nested"], trail.path()).out;
    assert!(shown.contains(r"=x\u{202e}: 1 → \u{1b}2"), "{shown}");
    let mut history = without_trail(&["history", "--dir"]);
    let history = ended(history.arg(trail.path()).args(["--", "-1/=1"]));
    assert_eq!(history.status, Some(0), "{}", history.err);
}
