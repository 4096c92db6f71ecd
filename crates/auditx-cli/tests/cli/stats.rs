//! Tests of `auditx stats`.

use serde_json::{Value, json};

use crate::program::{auditx, command, on_terminal};
use crate::shop::{SHOP, golden, hostile_trail, trail_of};

fn groups(arguments: &[&str]) -> Vec<Value> {
    let shop = trail_of(SHOP);
    let stats = auditx(&[&["stats", "--json"], arguments].concat(), shop.path());
    assert_eq!((stats.status, stats.err.as_str()), (Some(0), ""));
    let all: Value = serde_json::from_str(&stats.out).unwrap();
    all["groups"].as_array().unwrap().clone()
}

#[test]
fn entries_are_counted_by_the_values_of_fields() {
    let by_user = groups(&["--by", "user"]);
    let counts: Vec<_> = by_user.iter().map(|group| (&group["by"]["user"], &group["count"])).collect();
    let expected = [
        (&json!("admin"), &json!(3)),
        (&json!("clerk"), &json!(3)),
        (&json!("attacker"), &json!(2)),
        (&json!(null), &json!(1)),
        (&json!("storeman"), &json!(1)),
    ];
    assert_eq!(counts, expected);
    assert_eq!(by_user[2]["failed"], 2);
    let narrowed = groups(&["--by", "user,action", "module:sales"]);
    assert_eq!(narrowed.len(), 3);
}

#[test]
fn sums_keep_every_digit() {
    let sales = groups(&["--by", "module", "--sum", "amount", "--module", "sales"]);
    assert_eq!(sales[0]["sum"], json!({"MMK": "1250000.10"}));
    let clerk = groups(&["--by", "user", "--sum", "amount", "--user", "clerk"]);
    assert_eq!(clerk[0]["sum"], json!({"MMK": "0.00"}));
}

#[test]
fn empty_time_spans_are_shown() {
    let days = groups(&["--bucket", "1d"]);
    let starts: Vec<_> = days.iter().map(|group| group["since"].as_str().unwrap_or("none")).collect();
    assert_eq!(starts, ["none", "2026-11-24T00:00:00.000000Z", "2026-11-25T00:00:00.000000Z"]);
    let shop = trail_of(SHOP);
    let chart = auditx(&["stats", "--bucket", "6h", "--user", "admin", "--user", "clerk"], shop.path());
    golden("stats-bucket.txt", &chart.out);
}

#[test]
fn a_chart_fits_the_terminal() {
    let shop = trail_of(SHOP);
    let arguments = ["stats", "--by", "user,module", "--sum", "amount"];
    let (status, plain) = on_terminal(command(&arguments, shop.path()).env("NO_COLOR", "1"), 80);
    assert_eq!(status, Some(0));
    assert!(plain.lines().all(|line| line.chars().count() <= 80), "{plain}");
    golden("stats.txt", &plain);
    let (_, colours) = on_terminal(&mut command(&arguments, shop.path()), 80);
    assert_eq!(anstream::adapter::strip_str(&colours).to_string(), plain);
}

#[test]
fn omitted_groups_are_reported() {
    let shop = trail_of(SHOP);
    let stats = auditx(&["stats", "--by", "user", "-n", "2"], shop.path());
    assert_eq!(stats.out.lines().count(), 3);
    assert_eq!(stats.err, "auditx: 3 smaller groups not shown, of 4 entries: raise -n, or --json\n");
    assert_eq!(auditx(&["stats", "--by", "usr"], shop.path()).status, Some(2));
    assert_eq!(auditx(&["stats", "--bucket", "0h"], shop.path()).status, Some(2));
    assert_eq!(auditx(&["stats", "--user", "nobody"], shop.path()).status, Some(1));
}

#[test]
fn hostile_values_in_a_chart_are_escaped() {
    let trail = hostile_trail();
    let chart = auditx(&["stats", "--by", "user,description", "--sum", "amount"], trail.path());
    assert_eq!(chart.status, Some(0));
    assert!(!chart.out.contains(['\u{1b}', '\u{202e}', '\u{9b}', '\u{7f}', '\u{0}']), "{:?}", chart.out);
    assert!(chart.out.contains("100 MMK"), "1e2: {}", chart.out);
}
