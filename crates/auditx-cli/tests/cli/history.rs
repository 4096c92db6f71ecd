//! `auditx history`: one record's life.

use serde_json::{Value, json};

use crate::program::{auditx, ended, without_trail};
use crate::shop::{SHOP, golden, hostile_trail, trail_of};

#[test]
fn a_records_life_is_told_change_by_change() {
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
fn programs_get_the_changes_as_json() {
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
fn a_record_that_nobody_speaks_of_is_nothing_and_half_a_name_is_an_error() {
    let shop = trail_of(SHOP);
    let none = auditx(&["history", "customer/CUST-2"], shop.path());
    assert_eq!((none.status, none.out.as_str()), (Some(1), ""));
    assert!(none.err.starts_with("auditx: no entry is about customer/CUST-2 in "), "{}", none.err);
    assert_eq!(auditx(&["history", "customer/CUST-2", "--json"], shop.path()).out, "[]\n");
    assert_eq!(auditx(&["history", "customer"], shop.path()).status, Some(2));
}

#[test]
fn hostile_fields_are_harmless() {
    let trail = hostile_trail();
    let shown = auditx(&["query", "-o", "diff", "nested"], trail.path()).out;
    assert!(shown.contains(r"=x\u{202e}: 1 → \u{1b}2"), "{shown}");
    let mut history = without_trail(&["history", "--dir"]);
    let history = ended(history.arg(trail.path()).args(["--", "-1/=1"]));
    assert_eq!(history.status, Some(0), "{}", history.err);
}
