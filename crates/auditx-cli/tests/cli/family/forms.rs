//! How each output format says which trail an entry is of.

use std::fs;

use auditx_store::ACTIVE;
use serde_json::Value;

use super::{instance, sales, workers};
use crate::program::{command, ended};
use crate::trail::directory;

#[test]
fn json_has_a_field_for_the_trail() {
    let log_dir = workers();
    let array = sales(&["query", "-o", "json"], log_dir.path());
    let entries: Vec<Value> = serde_json::from_str(&array.out).unwrap();
    assert_eq!((entries.len(), &entries[1]["trail"]), (6, &Value::from("two")));
    let fields = sales(&["query", "-o", "ndjson", "--fields", "seq,user", "-n", "1"], log_dir.path());
    assert_eq!(fields.out, "{\"trail\":\"one\",\"seq\":2,\"user\":\"admin\"}\n");
    let absent = sales(&["query", "-o", "ndjson", "--fields", "ip", "-n", "1"], log_dir.path());
    assert_eq!(absent.out, "{\"trail\":\"one\"}\n");
}

#[test]
fn raw_lines_are_byte_for_byte_as_stored() {
    let log_dir = workers();
    let raw = sales(&["query", "-o", "raw"], log_dir.path());
    let stored =
        ["one", "two"].map(|name| fs::read_to_string(log_dir.path().join(name).join(ACTIVE)).unwrap());
    let stored = stored.concat();
    assert_eq!(raw.out.lines().count(), 6);
    for line in raw.out.lines() {
        assert!(stored.lines().any(|stored| stored == line), "{line}");
    }
}

#[test]
fn csv_has_a_column_for_the_trail() {
    let log_dir = workers();
    let csv = sales(&["query", "-o", "csv"], log_dir.path());
    let lines: Vec<&str> = csv.out.lines().collect();
    assert!(lines[0].starts_with("trail,seq,id,") && lines[2].starts_with("two,2,"), "{}", csv.out);
    let fields = sales(&["query", "-o", "csv", "--fields", "description"], log_dir.path());
    assert_eq!(fields.out, "trail,description\r\none,1\r\ntwo,2\r\ntwo,3\r\none,4\r\none,5\r\ntwo,5\r\n");
    let none = sales(&["query", "-o", "csv", "--fields", "description", "nothing"], log_dir.path());
    assert_eq!(none.out, "trail,description\r\n");
}

#[test]
fn a_table_has_a_column_for_the_trail_at_every_width() {
    let log_dir = workers();
    for columns in ["40", "80", "120", "160"] {
        let mut query = command(&["query", "-o", "table", "--module", "sales"], log_dir.path());
        let table = ended(query.env("COLUMNS", columns));
        assert_eq!((table.status, table.err.as_str()), (Some(0), ""), "{columns}");
        let width: usize = columns.parse().unwrap();
        assert!(table.out.lines().all(|line| line.chars().count() <= width), "{columns}: {}", table.out);
        let beginning = |name: &str| table.out.lines().filter(|line| line.starts_with(name)).count();
        assert_eq!((beginning("one"), beginning("two")), (3, 3), "{columns}: {}", table.out);
        assert_eq!(beginning("Trail  "), usize::from(columns != "40"), "{columns}: {}", table.out);
    }
}

#[test]
fn a_table_of_fields_has_a_column_for_the_trail() {
    let log_dir = workers();
    let table = sales(&["query", "-o", "table", "--fields", "description,user"], log_dir.path());
    let words: Vec<Vec<&str>> = table.out.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(words[..3], [["Trail", "description", "user"], ["one", "1", "admin"], ["two", "2", "admin"]]);
}

#[test]
fn a_diff_begins_with_the_trail() {
    let log_dir = workers();
    let diff = sales(&["query", "-o", "diff", "-n", "2"], log_dir.path());
    let lines: Vec<&str> = diff.out.lines().collect();
    assert!(lines[0].starts_with("one  2  2026-11-24 10:00:01  admin"), "{}", diff.out);
    assert!(lines[2].starts_with("two  2  2026-11-24 10:00:02  admin"), "{}", diff.out);
}

#[test]
fn an_export_names_the_trail_in_every_format() {
    let log_dir = workers();
    for (format, name) in [
        ("ocsf", "\"unmapped\":{\"trail\":\"two\""),
        ("ecs", "\"auditx\":{\"trail\":\"two\""),
        ("cef", " auditxTrail=two "),
        ("syslog", " trail=\"two\" "),
        ("otlp-json", "{\"key\":\"auditx.trail\",\"value\":{\"stringValue\":\"two\"}}"),
    ] {
        let export = sales(&["export", "--format", format], log_dir.path());
        assert_eq!((export.status, export.err.as_str()), (Some(0), ""), "{format}");
        let lines: Vec<&str> = export.out.lines().collect();
        let named: Vec<usize> = (0..6).filter(|line| lines[*line].contains(name)).collect();
        assert_eq!((lines.len(), named), (6, vec![1, 2, 5]), "{format}: {}", export.out);
    }
    let csv = sales(&["export", "--format", "csv"], log_dir.path());
    let lines: Vec<&str> = csv.out.lines().collect();
    assert!(lines[0].starts_with("trail,seq,") && lines[2].starts_with("two,2,"), "{}", csv.out);
}

#[test]
fn an_export_of_one_trail_does_not_name_it() {
    let log_dir = workers();
    let one = log_dir.path().join("one");
    for format in ["ocsf", "ecs", "cef", "syslog", "otlp-json", "csv"] {
        let picked = sales(&["export", "--format", format, "--trail", "one"], log_dir.path());
        assert_eq!(picked.out, sales(&["export", "--format", format], &one).out, "{format}");
        assert!(!picked.out.to_lowercase().contains("trail"), "{format}: {}", picked.out);
    }
}

#[test]
fn a_hostile_name_is_escaped() {
    let log_dir = directory();
    instance(log_dir.path(), "good", &[1]);
    fs::rename(log_dir.path().join("good"), log_dir.path().join("bad\u{1b}[31m\"")).unwrap();
    for form in ["table", "json", "ndjson", "csv", "diff"] {
        let query = sales(&["query", "-o", form], log_dir.path());
        assert_eq!(query.status, Some(0), "{form}: {}", query.err);
        assert!(query.out.contains("bad") && !query.out.contains('\u{1b}'), "{form}: {:?}", query.out);
        assert!(!query.err.contains('\u{1b}'), "{form}: {:?}", query.err);
    }
}
