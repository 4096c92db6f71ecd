//! Tests of `auditx record`.

mod programs;
mod stream;
mod together;

use std::fs;
use std::path::Path;

use auditx_tests::deadline::TIMEOUT;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::program::{Ended, auditx, command, ended, fed, without_trail};
use crate::trail::{active_lines, directory, logger, parsed};

/// Creates a trail without entries.
fn trail() -> TempDir {
    let directory = directory();
    logger(directory.path()).close(TIMEOUT).unwrap();
    directory
}

/// Records lines.
fn ndjson(arguments: &[&str], input: &str, directory: &Path) -> Ended {
    fed(&mut command(&[&["record", "--ndjson"], arguments].concat(), directory), input.as_bytes())
}

/// Returns the lines of the trail without control records.
fn entries(directory: &Path) -> Vec<Value> {
    active_lines(directory).into_iter().filter(|line| line.get("auditx").is_none()).collect()
}

fn descriptions(directory: &Path) -> Vec<String> {
    entries(directory).iter().map(|entry| entry["description"].as_str().unwrap().to_owned()).collect()
}

/// Returns the entry without what the library sets, which differs from run to run.
fn given(mut entry: Value) -> Value {
    for name in ["seq", "id", "timestamp", "hostname"] {
        assert!(entry.as_object_mut().unwrap().remove(name).is_some(), "{name} of {entry}");
    }
    entry
}

#[test]
fn an_entry_with_every_flag_is_found_by_query() {
    let trail = trail();
    let flags = "--level warning --module sales --action ship --user thida --role clerk --on-behalf-of admin \
                 --company CO-001 --branch BR-YGN --entity invoice/inv/42 --ref SI-42 --amount -1250000.10 \
                 --currency MMK --old {\"limit\":5} --new {\"limit\":[9.5,null]} --meta size=12G=x \
                 --meta-json lines=3 --request r-1 --session s-1 --ip 192.168.1.10 --failed";
    let words: Vec<&str> = ["record", "Invoice posted"].into_iter().chain(flags.split_whitespace()).collect();
    let recorded = auditx(&words, trail.path());
    assert_eq!((recorded.status, recorded.err.as_str()), (Some(0), ""));

    let query = "--level WARNING --module sales --action SHIP --user thida --company CO-001 --branch BR-YGN \
                 --entity invoice/inv/42 --ref SI-42 --request r-1 --session s-1 --ip 192.168.1.10 --failed";
    let words: Vec<&str> = ["query", "-o", "ndjson"].into_iter().chain(query.split_whitespace()).collect();
    let found = auditx(&words, trail.path());
    assert!(found.out.contains("\"amount\":-1250000.10,"), "{}", found.out);
    let found = parsed(&found.out).pop().expect("the entry");
    assert_eq!(recorded.out.trim_end(), found["id"]);
    let expected = json!({
        "level": "WARNING", "module": "sales", "action": "SHIP", "description": "Invoice posted",
        "user": "thida", "user_role": "clerk", "on_behalf_of": "admin", "company_id": "CO-001",
        "branch_id": "BR-YGN", "entity_type": "invoice", "entity_id": "inv/42", "reference_no": "SI-42",
        "amount": -1_250_000.10, "currency": "MMK", "old_values": {"limit": 5},
        "new_values": {"limit": [9.5, null]}, "metadata": {"size": "12G=x", "lines": 3},
        "request_id": "r-1", "session_id": "s-1", "ip": "192.168.1.10", "success": false,
    });
    assert_eq!(given(found), expected);
}

#[test]
fn every_field_of_a_line_is_recorded_from_an_object() {
    let trail = trail();
    let object = json!({
        "level": "SECURITY", "module": "auth", "action": "LOGIN", "description": "Login \u{1b}\"failed\"",
        "user": "admin", "user_role": "clerk", "on_behalf_of": "thida", "company_id": "CO-001",
        "branch_id": "BR-YGN", "entity_type": "customer", "entity_id": "CUST-220", "reference_no": "SI-42",
        "amount": 12, "currency": "MMK", "old_values": {"a": [1, {"b": "x"}]}, "new_values": 7,
        "metadata": {"text": "x", "flag": true, "nested": {"list": [1.5, null]}}, "request_id": "r-1",
        "session_id": "s-1", "ip": "2001:db8::1", "method": "POST", "endpoint": "/login", "status": 401,
        "success": false,
    });
    let recorded = ndjson(&[], &object.to_string(), trail.path());
    assert_eq!((recorded.status, recorded.err.as_str()), (Some(0), ""));
    let found = entries(trail.path()).pop().expect("the entry");
    assert_eq!(recorded.out, format!("1 {}\n", found["id"].as_str().unwrap()));
    assert_eq!(given(found), object);
}

#[test]
fn an_amount_keeps_its_digits() {
    let trail = trail();
    let lines = "{\"description\":\"a\",\"amount\":1250000.10}\n{\"description\":\"b\",\"amount\":\"0.500\"}";
    assert_eq!(ndjson(&[], lines, trail.path()).status, Some(0));
    let text = fs::read_to_string(trail.path().join("audit.jsonl")).unwrap();
    assert!(text.contains("\"amount\":1250000.10,") && text.contains("\"amount\":0.500,"), "{text}");
}

#[test]
fn null_is_an_absent_field() {
    let trail = trail();
    let line = r#"{"description":"a","user":null,"amount":null,"metadata":null,"success":null}"#;
    assert_eq!(ndjson(&[], line, trail.path()).status, Some(0));
    let expected = json!({"level": "NORMAL", "module": "system", "action": "READ", "description": "a",
        "user": "SYSTEM", "success": true});
    assert_eq!(given(entries(trail.path()).remove(0)), expected);
}

#[test]
fn a_secret_is_masked() {
    let trail = trail();
    let flags = ["record", "a", "--meta", "password=S3CRET", "--new", r#"{"api_key":"S3CRET"}"#];
    assert_eq!(auditx(&flags, trail.path()).status, Some(0));
    let line = r#"{"description":"b","metadata":{"login":{"token":"S3CRET"}}}"#;
    assert_eq!(ndjson(&[], line, trail.path()).status, Some(0));
    let text = fs::read_to_string(trail.path().join("audit.jsonl")).unwrap();
    assert!(!text.contains("S3CRET") && text.matches("[REDACTED]").count() == 3, "{text}");
}

#[test]
fn a_text_like_a_negation_is_recorded_as_it_is() {
    let trail = trail();
    let mut command = without_trail(&["record", "--user=-x:y", "--dir"]);
    let recorded = ended(command.arg(trail.path()).args(["--", "-user:admin"]));
    assert_eq!(recorded.status, Some(0), "{}", recorded.err);
    let entry = entries(trail.path()).remove(0);
    assert_eq!([&entry["description"], &entry["user"]], ["-user:admin", "-x:y"]);
}

#[test]
fn durable_prints_the_seq() {
    let trail = trail();
    let one = auditx(&["record", "a", "--durable"], trail.path());
    let many = ndjson(&["--durable"], "{\"description\":\"b\"}\n{}\n{\"description\":\"c\"}\n", trail.path());
    let entries = entries(trail.path());
    let answer =
        |index: usize| format!("{} {}", entries[index]["id"].as_str().unwrap(), entries[index]["seq"]);
    assert_eq!((one.status, one.out), (Some(0), answer(0) + "\n"));
    assert_eq!((many.status, many.out), (Some(1), format!("1 {}\n2 -\n3 {}\n", answer(1), answer(2))));
}

#[test]
fn a_mistyped_directory_creates_nothing() {
    let parent = directory();
    let place = parent.path().join("lgos");
    let expected = format!(
        "auditx: no audit trail in {}: check the directory, or pass --create to create a trail there\n",
        place.display()
    );
    for refused in [auditx(&["record", "a"], &place), ndjson(&[], "{\"description\":\"a\"}", &place)] {
        assert_eq!((refused.status, refused.out.as_str(), &refused.err), (Some(2), "", &expected));
    }
    assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
}

#[test]
fn create_begins_a_trail() {
    let parent = directory();
    let place = parent.path().join("logs");
    let recorded = auditx(&["record", "a", "--create"], &place);
    assert_eq!((recorded.status, recorded.err.as_str()), (Some(0), ""));
    assert_eq!(descriptions(&place), ["a"]);
}

#[test]
fn a_wrong_flag_is_an_error_that_says_what_is_expected() {
    let trail = trail();
    for (flags, expected) in [
        (&["--level", "LOUD"][..], "invalid level \"LOUD\": expected DEBUG"),
        (&["--module", "two words"], "invalid module \"two words\": expected 1 to 64 ASCII letters"),
        (&["--amount", "1,250"], "invalid amount \"1,250\": expected a plain decimal number"),
        (&["--entity", "customer"], "expected TYPE/ID, for example customer/CUST-220"),
        (&["--meta", "size"], "expected KEY=VALUE, for example size=12G"),
        (&["--meta-json", "size=12G"], "not JSON: text after the value at byte 2"),
        (&["--old", "{"], "not JSON: expected a string at byte 1"),
        (&["--currency", "MMK"], "--amount <NUMBER>"),
        (&["--ndjson"], "cannot be used with"),
    ] {
        let refused = auditx(&[&["record", "a"], flags].concat(), trail.path());
        assert_eq!((refused.status, refused.out.as_str()), (Some(2), ""), "{flags:?}");
        assert!(refused.err.contains(expected), "{flags:?}: {}", refused.err);
    }
    assert_eq!(auditx(&["record", ""], trail.path()).status, Some(2));
    assert_eq!(auditx(&["record"], trail.path()).status, Some(2));
    assert_eq!(entries(trail.path()), [json!(null); 0]);
}

#[test]
fn an_entry_that_is_too_long_is_refused() {
    let trail = trail();
    let long = format!("notes={}", "x".repeat(66_000));
    let refused = auditx(&["record", "a", "--meta", &long], trail.path());
    assert_eq!((refused.status, refused.out.as_str()), (Some(1), ""));
    assert!(refused.err.contains("its largest field is metadata.notes with 66002 bytes"), "{}", refused.err);
    assert_eq!(entries(trail.path()), [json!(null); 0]);
}

#[test]
fn bad_lines_are_named_and_the_others_recorded() {
    let trail = trail();
    let long = format!("{{\"description\":\"a\",\"user\":\"{}\"}}", "x".repeat(66_000));
    let endless = "x".repeat(3 << 20);
    let bad = [
        ("nonsense", "not JSON: expected a value at byte 0"),
        (r#"{"description":"a" "user":"b"}"#, "not JSON: expected a comma at byte 19"),
        ("[1]", "expected an object, found an array"),
        ("{}", "description: expected text that says what happened"),
        (r#"{"description":7}"#, "description: expected text, found a number"),
        (r#"{"description":"a","usr":"b"}"#, "unknown field \"usr\": did you mean \"user\"?"),
        (r#"{"description":"a","party":"b"}"#, "unknown field \"party\""),
        (r#"{"description":"a","user":"b","user":"c"}"#, "user: the field appears twice"),
        (r#"{"description":"a","seq":7}"#, "seq: auditx sets this field, leave it out"),
        (r#"{"description":"a","auditx":{}}"#, "auditx: auditx sets this field, leave it out"),
        (r#"{"description":"a","user":{}}"#, "user: expected text, found an object"),
        (r#"{"description":"a","level":"LOUD"}"#, "invalid level \"LOUD\": expected DEBUG, INFO"),
        (r#"{"description":"a","action":"a b"}"#, "invalid action \"A B\": expected 1 to 64 ASCII letters"),
        (r#"{"description":"a","amount":"1,5"}"#, "invalid amount \"1,5\": expected a plain decimal"),
        (
            r#"{"description":"a","ip":"home"}"#,
            "ip: expected an address such as 192.168.1.10, found \"home\"",
        ),
        (r#"{"description":"a","status":99999}"#, "status: expected a whole number such as 404, found 99999"),
        (r#"{"description":"a","success":1}"#, "success: expected true or false, found a number"),
        (r#"{"description":"a","metadata":[]}"#, "metadata: expected an object, found an array"),
        (
            r#"{"description":"a","old_values":{"b":1e400}}"#,
            "old_values.b: the number 1e400 would be rounded",
        ),
        (&long, "its largest field is user with 66002 bytes"),
        (&endless, "longer than 1048576 bytes"),
    ];
    let (mut input, mut expected) = (String::new(), Vec::new());
    for (index, (line, message)) in bad.iter().enumerate() {
        input += &format!("{line}\n{{\"description\":\"good {index}\"}}\n");
        expected.push((format!("auditx: line {}: ", 2 * index + 1), *message));
    }
    let mixed = ndjson(&[], &input, trail.path());
    assert_eq!(mixed.status, Some(1));
    assert_eq!(mixed.err.lines().count(), bad.len(), "{}", mixed.err);
    for (line, (number, message)) in mixed.err.lines().zip(expected) {
        assert!(line.starts_with(&number) && line.contains(message), "{line}\nexpected {number}{message}");
    }
    assert_eq!(
        descriptions(trail.path()),
        (0..bad.len()).map(|index| format!("good {index}")).collect::<Vec<_>>()
    );
    let refused: Vec<&str> = mixed.out.lines().filter(|answer| answer.ends_with(" -")).collect();
    assert_eq!((refused.len(), mixed.out.lines().count()), (bad.len(), 2 * bad.len()));
}

#[test]
fn a_line_that_is_not_utf8_is_refused() {
    let trail = trail();
    let input = b"{\"description\":\"\xff\"}\n{\"description\":\"b\"}";
    let mixed = fed(&mut command(&["record", "--ndjson"], trail.path()), input);
    assert_eq!(
        (mixed.status, mixed.err.as_str()),
        (Some(1), "auditx: line 1: not UTF-8, 16 bytes into the line\n")
    );
    assert_eq!(descriptions(trail.path()), ["b"]);
}

#[test]
fn blank_lines_are_ignored_and_the_last_line_may_be_unterminated() {
    let trail = trail();
    let input = "\n  \r\n{\"description\":\"a\"}\r\n\n{\"description\":\"b\"}";
    let recorded = ndjson(&[], input, trail.path());
    assert_eq!((recorded.status, recorded.err.as_str()), (Some(0), ""));
    let numbers: Vec<&str> = recorded.out.lines().map(|answer| &answer[..2]).collect();
    assert_eq!(
        (numbers, descriptions(trail.path())),
        (vec!["3 ", "5 "], vec!["a".to_owned(), "b".to_owned()])
    );
    let nothing = ndjson(&[], "", trail.path());
    assert_eq!((nothing.status, nothing.out.as_str(), nothing.err.as_str()), (Some(0), "", ""));
}
