//! Tests of `auditx export`.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::program::{auditx, command, ended, without_trail};
use crate::shop::{SHOP, hostile_trail, trail_of};
use crate::trail::{directory, parsed};

#[test]
fn every_format_contains_every_selected_entry() {
    let shop = trail_of(SHOP);
    for format in ["ocsf", "ecs", "cef", "syslog", "otlp-json"] {
        let export = auditx(&["export", "--format", format, "--user", "attacker"], shop.path());
        assert_eq!((export.status, export.err.as_str()), (Some(0), ""), "{format}");
        assert_eq!(export.out.lines().count(), 2, "{format}: {}", export.out);
        assert!(export.out.contains("203.0.113.9"), "{format}: {}", export.out);
        if matches!(format, "ocsf" | "ecs" | "otlp-json") {
            parsed(&export.out);
        }
    }
    let csv = auditx(&["export", "--format", "csv", "--user", "attacker"], shop.path());
    assert_eq!(csv.out.lines().count(), 3, "with its header");
}

#[test]
fn a_file_appears_when_it_is_complete() {
    let shop = trail_of(SHOP);
    let place = shop.path().join("out.jsonl");
    let name = place.to_str().unwrap();
    let arguments = ["export", "--format", "ecs", "-o", name, "--service", "erp", "--hostname", "till-1"];
    let export = auditx(&arguments, shop.path());
    assert_eq!((export.status, export.out.as_str()), (Some(0), ""));
    let lines: Vec<Value> = parsed(&fs::read_to_string(&place).unwrap());
    assert_eq!(lines.len(), 10);
    assert_eq!((&lines[0]["service"]["name"], &lines[0]["host"]["name"]), (&"erp".into(), &"till-1".into()));

    fs::remove_file(&place).unwrap();
    let failed = ended(without_trail(&arguments).arg("--dir").arg(shop.path().join("nowhere")));
    assert_eq!(failed.status, Some(2));
    let left: Vec<_> = fs::read_dir(shop.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with("out.jsonl")), "{left:?}");
}

#[test]
fn an_exported_file_is_not_readable_by_others() {
    let shop = trail_of(SHOP);
    let place = shop.path().join("out.jsonl");
    let export = auditx(&["export", "--format", "ecs", "-o", place.to_str().unwrap()], shop.path());
    assert_eq!(export.status, Some(0), "{}", export.err);
    let mode = fs::metadata(&place).unwrap().permissions().mode();
    assert_eq!(mode & 0o137, 0, "{mode:o}");
}

#[test]
fn a_dash_is_standard_output() {
    let (shop, here) = (trail_of(SHOP), directory());
    let mut export = command(&["export", "--format", "ecs", "-o", "-"], shop.path());
    let export = ended(export.current_dir(here.path()));
    assert_eq!(
        (export.status, export.out),
        (Some(0), auditx(&["export", "--format", "ecs"], shop.path()).out)
    );
    assert!(!here.path().join("-").exists());
}

#[test]
fn an_amount_that_does_not_fit_is_an_error() {
    let trail = hostile_trail();
    let active = trail.path().join("audit.jsonl");
    let long = "9".repeat(65);
    let lines = fs::read_to_string(&active).unwrap_or_default()
        + &format!("{{\"seq\":99,\"description\":\"d\",\"amount\":{long},\"success\":true}}\n");
    fs::write(&active, lines).unwrap();
    let export = auditx(&["export", "--format", "cef"], trail.path());
    assert_eq!(export.status, Some(2));
    assert!(
        export.err.contains("incomplete: 1 line\n")
            && export.err.contains("left out: an amount of more than 64 characters (")
            && export.err.contains("audit.jsonl, byte "),
        "{}",
        export.err
    );
    assert!(!export.out.contains(['\u{1b}', '\u{202e}', '\u{9b}']), "{:?}", export.out);
}

#[test]
fn an_unknown_format_is_refused_with_the_known_ones() {
    let shop = trail_of(SHOP);
    let export = auditx(&["export", "--format", "leef"], shop.path());
    assert_eq!(export.status, Some(2));
    assert!(export.err.contains("ocsf, ecs, cef, syslog, otlp-json, csv"), "{}", export.err);
}
