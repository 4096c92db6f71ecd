//! Tests of the state of a record: each makes a few entries about one record and asks at a time.

use std::path::Path;

use super::*;

/// An entry about the record, one a minute: entry 3 is of 10:03.
fn line(number: u64, action: &str, old: &str, new: &str) -> String {
    let values = format!(r#","old_values":{old},"new_values":{new}"#)
        .replace(r#","old_values":-"#, "")
        .replace(r#","new_values":-"#, "");
    let time = format!("2026-11-24T10:{number:02}:00Z");
    format!(r#"{{"seq":{number},"timestamp":"{time}","action":"{action}","description":"d","#)
        + &format!(
            r#""user":"user-{number}","entity_type":"customer","entity_id":"42"{values},"success":true}}"#
        )
}

fn truncation(number: u64, old: &str) -> String {
    let line = line(number, "DELETE", old, "-").replace(r#","entity_id":"42""#, "");
    line.replace(r#","success""#, r#","metadata":{"truncated":true},"success""#)
}

fn record(minute: u64, lines: &[String]) -> RecordAt {
    let at = Moment::parse(&format!("2026-11-24T10:{minute:02}:00Z")).unwrap();
    let mut record = RecordAt::new(at);
    for line in lines {
        let row = Row::read_text(line).unwrap();
        assert!(RecordAt::query("customer", "42").matches(&row), "{line}");
        record.add(&Found { row: &row, path: Path::new("f"), offset: 0, is_unsigned: false }, 0);
    }
    record
}

/// Returns the state as words: `created 1; limit=900 by 2; name="A" before 3`.
fn words(state: &RecordState) -> String {
    let number = |entry: &EntryRef| entry.seq.unwrap();
    let mut words = vec![match &state.existence {
        Existence::Exists { created: Some(entry) } => format!("created {}", number(entry)),
        Existence::Exists { created: None } => "exists".to_owned(),
        Existence::Deleted { by, is_truncation: false } => format!("deleted {}", number(by)),
        Existence::Deleted { by, is_truncation: true } => format!("truncated {}", number(by)),
        Existence::NotYet { created } => format!("not before {}", number(created)),
        Existence::Unknown => "unknown".to_owned(),
    }];
    words.extend(state.fields.iter().map(|known| match &known.since {
        Since::Set(entry) => format!("{}={} by {}", known.field, known.json, number(entry)),
        Since::Before(entry) => format!("{}={} before {}", known.field, known.json, number(entry)),
    }));
    words.join("; ")
}

fn state(minute: u64, lines: &[String]) -> String {
    let expected = record(minute, lines).state();
    // The order of the entries, and how threads divide them, changes nothing.
    let backwards: Vec<String> = lines.iter().rev().cloned().collect();
    assert_eq!(record(minute, &backwards).state(), expected);
    for cut in 0..=lines.len() {
        let (left, right) = lines.split_at(cut);
        assert_eq!(record(minute, left).merge(record(minute, right)).state(), expected, "cut at {cut}");
        assert_eq!(record(minute, right).merge(record(minute, left)).state(), expected, "cut at {cut}");
    }
    words(&expected)
}

#[test]
fn a_creation_gives_fields_and_updates_set_them() {
    let lines = [
        line(1, "CREATE", "-", r#"{"name":"A","limit":500}"#),
        line(3, "UPDATE", r#"{"limit":500}"#, r#"{"limit":900}"#),
        line(5, "UPDATE", r#"{"name":"A"}"#, r#"{"name":"B"}"#),
    ];
    assert_eq!(state(0, &lines), "not before 1");
    assert_eq!(state(2, &lines), r#"created 1; limit=500 by 1; name="A" by 1"#);
    assert_eq!(state(3, &lines), r#"created 1; limit=900 by 3; name="A" by 1"#);
    assert_eq!(state(9, &lines), r#"created 1; limit=900 by 3; name="B" by 5"#);
    let user = match &record(9, &lines).state().fields[0].since {
        Since::Set(entry) => entry.user.clone(),
        Since::Before(_) => String::new(),
    };
    assert_eq!(user, "user-3");
}

#[test]
fn a_record_that_no_entry_is_about_is_unknown() {
    assert_eq!(state(5, &[]), "unknown");
    assert_eq!(state(5, &[line(1, "POST", "-", "-"), line(7, "POST", "-", "-")]), "unknown");
}

#[test]
fn old_values_of_later_entries_tell_the_fields_before_capture() {
    let lines = [
        line(3, "UPDATE", r#"{"limit":500}"#, r#"{"limit":900}"#),
        line(5, "UPDATE", r#"{"limit":900,"name":"A"}"#, r#"{"limit":950,"name":"B"}"#),
        line(7, "DELETE", r#"{"limit":950,"name":"B","city":"Bago"}"#, "-"),
        line(8, "CREATE", "-", r#"{"limit":1}"#),
        line(9, "UPDATE", r#"{"limit":1,"phone":"x"}"#, r#"{"limit":2,"phone":"y"}"#),
    ];
    assert_eq!(state(1, &lines), r#"exists; city="Bago" before 7; limit=500 before 3; name="A" before 5"#);
    assert_eq!(state(4, &lines), r#"exists; city="Bago" before 7; limit=900 by 3; name="A" before 5"#);
    assert_eq!(state(7, &lines), "deleted 7");
    assert_eq!(state(8, &lines), r#"created 8; limit=1 by 8; phone="x" before 9"#);
}

#[test]
fn a_later_entry_without_the_old_value_hides_what_comes_after_it() {
    let lines = [
        line(2, "UPDATE", r#"{"a":1}"#, r#"{"a":2}"#),
        line(4, "UPDATE", "-", r#"{"b":5}"#),
        line(6, "UPDATE", r#"{"b":5}"#, r#"{"b":6}"#),
    ];
    assert_eq!(state(3, &lines), "exists; a=2 by 2");
}

#[test]
fn a_field_that_was_removed_is_not_found_in_later_entries() {
    let lines = [
        line(1, "CREATE", "-", r#"{"a":1,"b":1}"#),
        line(2, "UPDATE", r#"{"a":1,"b":1}"#, r#"{"b":2}"#),
        line(4, "UPDATE", r#"{"a":7}"#, r#"{"a":8}"#),
    ];
    assert_eq!(state(3, &lines), "created 1; b=2 by 2");
}

#[test]
fn values_that_an_entry_repeats_are_older_than_it() {
    let lines = [
        line(2, "UPDATE", r#"{"status":"active","limit":1}"#, r#"{"status":"active","limit":2}"#),
        line(4, "UPDATE", r#"{"limit":2.0}"#, r#"{"limit":2}"#),
    ];
    assert_eq!(state(5, &lines), r#"exists; limit=2 by 2; status="active" before 2"#);
}

#[test]
fn a_record_that_was_created_again_has_none_of_its_former_fields() {
    let lines = [
        line(1, "CREATE", "-", r#"{"a":1,"b":1}"#),
        line(2, "DELETE", r#"{"a":1,"b":1}"#, "-"),
        // Both the application and a trigger may say the same.
        line(3, "DELETE", "-", "-"),
        line(5, "CREATE", "-", "-"),
        line(6, "CREATE", "-", r#"{"a":2}"#),
    ];
    assert_eq!(state(4, &lines), "deleted 2");
    assert_eq!(state(5, &lines), "created 5");
    assert_eq!(state(6, &lines), "created 5; a=2 by 6");
}

#[test]
fn a_second_creation_keeps_what_the_first_one_says() {
    let lines = [line(1, "CREATE", "-", r#"{"a":1}"#), line(2, "CREATE", "-", "-")];
    assert_eq!(state(3, &lines), "created 1; a=1 by 1");
}

#[test]
fn a_failure_changes_nothing() {
    let denied = line(2, "UPDATE", r#"{"a":1}"#, r#"{"a":9}"#).replace("true}", "false}");
    assert_eq!(state(3, &[line(1, "CREATE", "-", r#"{"a":1}"#), denied]), "created 1; a=1 by 1");
}

#[test]
fn members_are_fields_and_hashes_and_lists_are_values() {
    let hash = format!(r#"{{"bytes":9000,"sha256":"{}"}}"#, "ab".repeat(32));
    let lines = [
        line(1, "CREATE", "-", r#"{"address":{"city":"Yangon","zip":1},"tags":[1],"secret":"[REDACTED]"}"#),
        line(2, "UPDATE", r#"{"address":{"city":"Yangon"}}"#, r#"{"address":{"city":"Bago"}}"#),
        line(3, "UPDATE", r#"{"note":"x"}"#, &format!(r#"{{"note":{hash}}}"#)),
        line(5, "UPDATE", r#"{"address":{"city":"Bago","zip":1}}"#, r#"{"address":null}"#),
        line(7, "UPDATE", "-", r#"{"address":{"city":"Pyay"}}"#),
    ];
    let rest = format!(r#"note={hash} by 3; secret="[REDACTED]" by 1; tags=[1] by 1"#);
    let nested = r#"created 1; address.city="Bago" by 2; address.zip=1 by 1"#;
    assert_eq!(state(4, &lines), format!("{nested}; {rest}"));
    assert_eq!(state(6, &lines), format!("created 1; address=null by 5; {rest}"));
    assert_eq!(state(8, &lines), format!("created 1; address.city=\"Pyay\" by 7; {rest}"));
}

#[test]
fn values_that_are_not_objects_are_a_field_without_a_name() {
    assert_eq!(state(3, &[line(2, "UPDATE", r#""draft""#, r#""posted""#)]), r#"exists; ="posted" by 2"#);
}

#[test]
fn a_truncation_ends_a_record_that_existed() {
    let created = line(1, "CREATE", "-", r#"{"a":1}"#);
    assert_eq!(state(4, &[created.clone(), truncation(3, "-")]), "truncated 3");
    assert_eq!(state(2, &[created.clone(), truncation(3, "-")]), "created 1; a=1 by 1");
    assert_eq!(state(4, &[truncation(3, "-")]), "unknown");
    assert_eq!(state(1, &[truncation(3, "-")]), "unknown");
    let lines = [created, line(2, "DELETE", r#"{"a":1}"#, "-"), truncation(3, "-")];
    assert_eq!(state(4, &lines), "deleted 2");
    let later = [truncation(1, "-"), line(3, "UPDATE", r#"{"a":1}"#, r#"{"a":2}"#), truncation(5, "-")];
    assert_eq!(state(2, &later), "exists; a=1 before 3");
    let later =
        [truncation(5, "-"), line(6, "CREATE", "-", r#"{"b":1}"#), line(1, "UPDATE", "-", r#"{"a":2}"#)];
    assert_eq!(state(2, &later), "exists; a=2 by 1");
}

#[test]
fn an_entry_without_an_id_is_no_truncation_unless_it_says_so() {
    let bulk = truncation(3, "-").replace("truncated", "other");
    assert_eq!(state(4, &[line(1, "CREATE", "-", r#"{"a":1}"#), bulk]), "created 1; a=1 by 1");
}

#[test]
fn a_truncated_partition_may_have_held_the_record() {
    let lines = [line(1, "CREATE", "-", r#"{"a":1}"#), truncation(3, r#"{"partition":"customer_a"}"#)];
    assert_eq!(state(4, &lines), "created 1; a=1 by 1");
    let (entry, name) = record(4, &lines).state().possible_end.unwrap();
    assert_eq!((entry.seq, name.as_str()), (Some(3), "customer_a"));
    assert_eq!(record(2, &lines).state().possible_end, None);
    let seen = [&lines[..], &[line(4, "UPDATE", "-", r#"{"a":2}"#)]].concat();
    assert_eq!(record(4, &seen).state().possible_end, None);
}

#[test]
fn entries_without_a_time_are_counted() {
    let undated = line(2, "UPDATE", "-", r#"{"a":2}"#).replace("2026-11-24T10:02:00Z", "yesterday");
    let record = record(3, &[line(1, "CREATE", "-", r#"{"a":1}"#), undated]);
    assert_eq!((words(&record.state()).as_str(), record.state().undated), ("created 1; a=1 by 1", 1));
}
