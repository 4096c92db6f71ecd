//! Tests of `auditx fields` and `auditx values`.

use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr;

use crate::program::{auditx, command, on_terminal};
use crate::shop::{SHOP, golden, hostile_trail, trail_of};

#[test]
fn fields_are_listed_with_counts_and_values() {
    let shop = trail_of(SHOP);
    golden("fields.txt", &auditx(&["fields"], shop.path()).out);
    let listed: Value = serde_json::from_str(&auditx(&["fields", "--json"], shop.path()).out).unwrap();
    assert_eq!((&listed["found"], &listed["left_out"]), (&json!(10), &json!(0)));
    for field in listed["fields"].as_array().unwrap() {
        let question = format!("{}:*", field["field"].as_str().unwrap());
        let asked = auditx(&["query", "--count", &question], shop.path());
        assert_eq!(asked.out.trim(), field["count"].to_string(), "{question} {}", asked.err);
    }
    let of_some = auditx(&["fields", "--json", "module:crm"], shop.path()).out;
    assert!(of_some.contains("old_values.address.city") && !of_some.contains("amount"), "{of_some}");
}

#[test]
fn values_are_listed_by_frequency() {
    let shop = trail_of(SHOP);
    let values = |arguments: &[&str]| auditx(&[&["values"], arguments].concat(), shop.path());
    let users: Value = serde_json::from_str(&values(&["user", "--json"]).out).unwrap();
    assert_eq!(
        users,
        json!({"found": 10, "field": "user", "distinct": 5, "values": [
            {"value": "admin", "count": 3, "failed": 0},
            {"value": "clerk", "count": 3, "failed": 0},
            {"value": "attacker", "count": 2, "failed": 2},
            {"value": null, "count": 1, "failed": 1},
            {"value": "storeman", "count": 1, "failed": 0},
        ]})
    );
    let two = values(&["action", "-n", "2", "user:*"]);
    let lines: Vec<Vec<&str>> =
        two.out.lines().map(|line| line.split_whitespace().take(2).collect()).collect();
    assert_eq!(lines, [["action", "Entries"], ["LOGIN", "3"], ["POST", "2"]]);
    assert_eq!(two.err, "auditx: 3 other values not shown, of 4 entries: raise -n\n");
    let first: Value = serde_json::from_str(&values(&["user", "--json", "-n", "1"]).out).unwrap();
    assert_eq!((first["values"].as_array().unwrap().len(), &first["distinct"]), (1, &json!(5)));
    assert_eq!(values(&["usr"]).status, Some(2));
    assert_eq!(values(&["user", "--user", "nobody"]).status, Some(1));
}

#[test]
fn lists_fit_the_terminal_and_are_escaped() {
    for columns in [20, 40, 80, 200] {
        for trail in [trail_of(SHOP), hostile_trail()] {
            for arguments in [&["fields"][..], &["values", "description"]] {
                let (status, shown) =
                    on_terminal(command(arguments, trail.path()).env("NO_COLOR", "1"), columns);
                assert_eq!(status, Some(0), "{shown}");
                assert!(!shown.contains(['\u{1b}', '\u{202e}', '\u{9b}', '\u{7f}', '\u{0}']), "{shown:?}");
                for line in shown.lines() {
                    assert!(line.width() <= usize::from(columns), "{arguments:?} in {columns}: {line:?}");
                }
            }
        }
    }
}
