//! Tests of `auditx demo`.

use std::fs;

use auditx_core::{AuditLogger, Config};
use auditx_tests::deadline::TIMEOUT;
use serde_json::{Value, json};

use crate::program::{auditx, command, ended, on_terminal, without_trail};
use crate::trail::{active_lines, closed, directory, files};

/// Returns the lines without control records.
fn entries(lines: Vec<Value>) -> Vec<Value> {
    lines.into_iter().filter(|line| line.get("auditx").is_none()).collect()
}

/// Returns the lines from the heading to the last entry.
fn table(out: &str) -> Vec<&str> {
    out.lines().skip_while(|line| !line.contains("Seq")).take_while(|line| !line.is_empty()).collect()
}

#[test]
fn it_records_every_kind_of_entry_and_a_critical_attack() {
    let directory = directory();
    let demo = auditx(&["demo"], directory.path());
    assert_eq!((demo.status, demo.err.as_str()), (Some(0), ""));
    for name in ["audit.jsonl", "security.jsonl", "app.log"] {
        assert!(directory.path().join(name).is_file(), "{name}");
    }

    let lines = active_lines(directory.path());
    let kinds: Vec<&str> = lines.iter().filter_map(|line| line["auditx"]["kind"].as_str()).collect();
    assert_eq!(kinds, ["genesis", "open", "close"]);
    let entries = entries(lines);
    let recorded: Vec<_> =
        entries.iter().map(|entry| [&entry["level"], &entry["module"], &entry["action"]]).collect();
    let business = [
        ["AUDIT", "auth", "LOGIN"],
        ["AUDIT", "sales", "POST"],
        ["AUDIT", "inventory", "TRANSFER"],
        ["AUDIT", "service", "UPDATE"],
        ["AUDIT", "crm", "UPDATE"],
    ];
    assert_eq!(recorded[..5], business);
    assert_eq!(recorded[5..10], [["SECURITY", "auth", "LOGIN"]; 5]);
    assert_eq!(recorded[10..], [["CRITICAL", "auth", "LOGIN"]; 2]);
    for entry in &entries[..5] {
        let context = ["user", "user_role", "company_id", "branch_id", "ip"].map(|name| &entry[name]);
        assert_eq!(context, ["admin", "manager", "CO-001", "BR-YGN", "192.168.1.10"]);
    }
    for attack in &entries[5..] {
        assert_eq!(["user", "ip"].map(|name| &attack[name]), ["attacker", "192.168.1.50"]);
        assert_eq!((&attack["success"], attack.get("company_id")), (&json!(false), None));
    }
    assert_eq!(entries[9]["metadata"].get("rate_limited"), None);
    for (attack, count) in entries[10..].iter().zip([6, 7]) {
        assert_eq!(attack["metadata"]["rate_limited"], true);
        assert_eq!(attack["metadata"]["failure_count"], count);
        assert_eq!(attack["description"], "Login failed");
    }
    assert_eq!(["amount", "currency"].map(|name| &entries[1][name]), [&json!(1_250_000), &json!("MMK")]);
    assert_eq!(["amount", "currency"].map(|name| &entries[3][name]), [&json!(85_000), &json!("MMK")]);
    assert_eq!(entries[1]["metadata"], json!({"party": "Golden Trading Co.", "demonstration": true}));
    assert_eq!(entries[2]["metadata"]["quantity"], 50);
    assert_eq!(entries[3]["metadata"]["technician"], "U Kyaw");
    assert_eq!(entries[4]["old_values"], json!({"credit_limit": 500_000}));
    assert_eq!(entries[4]["new_values"], json!({"credit_limit": 1_000_000}));

    let security = fs::read_to_string(directory.path().join("security.jsonl")).unwrap();
    assert_eq!(security.lines().count(), 7);
}

#[test]
fn the_table_in_a_pipe_has_eighty_columns() {
    let directory = directory();
    let demo = auditx(&["demo"], directory.path());
    let table = table(&demo.out);
    assert!(table.iter().all(|line| line.chars().count() <= 80), "{}", demo.out);
    assert!(!demo.out.contains('\u{1b}'), "no colours in a pipe");
    // The time of day differs in every run.
    let shown: Vec<String> = table
        .iter()
        .map(|line| match line.get(5..13) {
            Some(time) if time.contains(':') => line.replacen(time, "hh:mm:ss", 1),
            _ => (*line).to_owned(),
        })
        .collect();
    let expected = include_str!("demo.txt");
    assert_eq!(shown.join("\n"), expected.trim_end());
}

#[test]
fn the_suggested_commands_work() {
    let directory = directory();
    let demo = auditx(&["demo"], directory.path());
    let (_, next) = demo.out.split_once("Try next:").unwrap();
    let commands: Vec<&str> = next.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let [ui, tail, doctor, verify, jq] = commands[..] else { panic!("{next}") };
    // tests/cli/ui.rs runs it.
    assert!(ui.contains("auditx ui --dir "), "{ui}");
    assert!(tail.contains("auditx tail --dir ") && tail.contains(" -f"), "{tail}");
    assert!(jq.starts_with("jq 'select(.level == \"CRITICAL\")' "), "{jq}");
    let doctor = ended(std::process::Command::new("sh").args(["-c", doctor]));
    assert_eq!(doctor.status, Some(0), "{}", doctor.out);
    let verify = ended(std::process::Command::new("sh").args(["-c", verify]));
    assert_eq!(verify.status, Some(3), "{}", verify.out);
}

#[test]
fn it_verifies_the_trail_and_prints_the_key() {
    let directory = directory();
    let demo = auditx(&["demo"], directory.path());
    let key = auditx(&["key", "show"], directory.path()).out;
    let verdict = format!("\nVerified: all 15 lines match what was signed with this key:\n\n  {key}");
    assert!(demo.out.contains(&verdict), "{}", demo.out);
}

#[test]
fn the_trail_and_every_entry_are_marked() {
    let directory = directory();
    auditx(&["demo"], directory.path());
    let lines = active_lines(directory.path());
    assert_eq!(lines[0]["auditx"]["origin"], "auditx-demonstration", "{}", lines[0]);
    for entry in entries(lines) {
        assert_eq!(entry["metadata"]["demonstration"], true, "{entry}");
    }
    let question = ["query", "meta.demonstration:true", "--count"];
    assert_eq!(auditx(&question, directory.path()).out, "12\n");
}

#[test]
fn a_second_demo_records_nothing() {
    let directory = directory();
    assert_eq!(auditx(&["demo"], directory.path()).status, Some(0));
    let before = files(directory.path());
    let second = auditx(&["demo"], directory.path());
    assert_eq!((second.status, second.out.as_str()), (Some(2), ""));
    let place = directory.path().display();
    let expected =
        format!("auditx: {place} contains the demonstration of an earlier run; nothing was recorded\n");
    assert!(second.err.starts_with(&expected), "{}", second.err);
    assert_eq!(files(directory.path()), before);
    let look = second.err.lines().find_map(|line| line.trim().strip_prefix("to view it:")).unwrap();
    let look = ended(std::process::Command::new("sh").args(["-c", look]));
    assert_eq!((look.status, look.out.lines().count()), (Some(0), 15), "{}", look.err);
    assert!(second.err.contains(" demo --dir /tmp/trial\n"), "{}", second.err);
}

/// Asserts that the demo refuses the directory and changes nothing in it.
#[track_caller]
fn is_refused(directory: &std::path::Path) {
    let before = files(directory);
    let demo = auditx(&["demo"], directory);
    assert_eq!((demo.status, demo.out.as_str()), (Some(2), ""));
    let expected =
        format!("auditx: {} is not empty: the demonstration needs a new or empty", directory.display());
    assert!(demo.err.starts_with(&expected), "{}", demo.err);
    assert_eq!(files(directory), before);
}

#[test]
fn any_remains_of_a_trail_are_refused() {
    let trail = closed(2);
    is_refused(trail.path());
    fs::remove_file(trail.path().join("audit.jsonl")).unwrap();
    is_refused(trail.path());
    for name in ["audit.jsonl", "audit-00000000000000000000.jsonl", "app.log"] {
        let legacy = directory();
        fs::write(
            legacy.path().join(name),
            "{\"timestamp\": \"2026-11-24T09:00:00\", \"description\": \"d\"}\n",
        )
        .unwrap();
        is_refused(legacy.path());
    }
}

#[test]
fn a_demo_trail_with_other_entries_is_refused() {
    let directory = directory();
    auditx(&["demo"], directory.path());
    let logger = AuditLogger::open(Config::new(directory.path())).unwrap();
    logger.log("a real entry").record().unwrap();
    logger.close(TIMEOUT).unwrap();
    is_refused(directory.path());
}

#[test]
fn a_trail_in_use_is_refused() {
    let directory = directory();
    let _holder = AuditLogger::open(Config::new(directory.path())).unwrap();
    let before = active_lines(directory.path());
    assert_eq!(auditx(&["demo"], directory.path()).status, Some(2));
    assert_eq!(active_lines(directory.path()), before);
}

#[test]
fn audit_log_dir_is_ignored() {
    let (production, here) = (directory(), directory());
    let logs = production.path().join("logs");
    let demo = ended(without_trail(&["demo"]).env("AUDITX_LOG_DIR", &logs).current_dir(here.path()));
    assert_eq!(demo.status, Some(0), "{}", demo.err);
    assert!(!logs.exists() && here.path().join("logs/audit.jsonl").exists());
}

#[test]
fn the_demo_is_suggested_only_for_empty_directories() {
    let directory = directory();
    let nowhere = directory.path().join("nowhere");
    for (place, is_recommended) in [(nowhere.as_path(), true), (directory.path(), true)] {
        let message = auditx(&["query"], place).err;
        assert_eq!(message.contains("auditx demo --dir"), is_recommended, "{message}");
    }
    fs::write(directory.path().join("app.log"), "").unwrap();
    let message = auditx(&["query"], directory.path()).err;
    assert!(!message.contains("demo") && message.contains("AuditLogger::open"), "{message}");
}

#[test]
fn a_terminal_has_its_width_and_colours() {
    let directory = directory();
    let (status, shown) = on_terminal(&mut command(&["demo"], directory.path()), 120);
    assert_eq!(status, Some(0));
    assert!(shown.contains("\u{1b}[") && shown.contains("CRITICAL"), "{shown}");
    assert!(shown.contains("SI-2026-0042, sales_invoice/inv-42, 1250000 MMK, Golden Trading Co."), "{shown}");

    let another = self::directory();
    let (_, plain) = on_terminal(command(&["demo"], another.path()).env("NO_COLOR", "1"), 80);
    assert!(!plain.contains('\u{1b}') && plain.contains("CRITICAL"), "{plain}");
    assert!(table(&plain).iter().all(|line| line.chars().count() <= 80), "{plain}");
}

#[test]
fn a_directory_that_cannot_be_created_is_an_error() {
    let directory = directory();
    let file = directory.path().join("file");
    fs::write(&file, b"").unwrap();
    let demo = auditx(&["demo"], &file.join("logs"));
    assert_eq!((demo.status, demo.out.as_str()), (Some(2), ""));
    assert!(demo.err.starts_with("auditx: cannot open the log directory"), "{}", demo.err);
    assert!(!demo.err.contains("Error(") && !demo.err.contains("Os {"), "{}", demo.err);
}
