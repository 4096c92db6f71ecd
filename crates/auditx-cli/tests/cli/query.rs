//! Tests of `auditx query`.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use auditx_store::ACTIVE;
use auditx_tests::deadline::wait_for;
use serde_json::Value;

use crate::program::{auditx, command, ended, on_terminal};
use crate::shop::{HOSTILE_ENTRIES, HOSTILE_OTHERS, SHOP, golden, hostile_trail, trail_of};
use crate::trail::{closed, directory, logger, parsed, record};

/// Returns the seqs of the entries found; `None` for the legacy line.
fn found(arguments: &[&str]) -> Vec<Option<u64>> {
    let shop = trail_of(SHOP);
    let query = auditx(&[&["query"], arguments].concat(), shop.path());
    assert_eq!(query.err, "", "{arguments:?}");
    assert_eq!(query.status, Some(0), "{arguments:?}");
    parsed(&query.out).iter().map(|line| line["seq"].as_u64()).collect()
}

fn seqs(arguments: &[&str]) -> Vec<u64> {
    found(arguments).into_iter().map(|seq| seq.expect("an entry with a number")).collect()
}

#[test]
fn a_table_fits_the_terminal() {
    let shop = trail_of(SHOP);
    for columns in [80, 160] {
        let (status, colours) = on_terminal(&mut command(&["query"], shop.path()), columns);
        assert_eq!(status, Some(0));
        let (_, plain) = on_terminal(command(&["query"], shop.path()).env("NO_COLOR", "1"), columns);
        assert_eq!(anstream::adapter::strip_str(&colours).to_string(), plain);
        golden(&format!("table-{columns}.txt"), &plain);
        golden(&format!("table-{columns}-colours.txt"), &colours.replace('\u{1b}', "<ESC>"));
        let (_, never) = on_terminal(&mut command(&["query", "--color", "never"], shop.path()), columns);
        assert_eq!(never, plain);
    }
}

#[test]
fn a_table_in_a_pipe_has_colours_only_on_demand() {
    let shop = trail_of(SHOP);
    let table = auditx(&["query", "-o", "table"], shop.path());
    golden("table-120.txt", &table.out);
    let colours = auditx(&["query", "-o", "table", "--color", "always"], shop.path());
    assert!(colours.out.contains("\u{1b}[32mAUDIT"), "{}", colours.out);
    assert_eq!(anstream::adapter::strip_str(&colours.out).to_string(), table.out);
}

#[test]
fn every_format_shows_the_same_entries() {
    let shop = trail_of(SHOP);
    let form = |name: &str| auditx(&["query", "-o", name], shop.path()).out;
    assert_eq!(form("raw"), SHOP);
    assert_eq!(form("ndjson"), SHOP);
    assert_eq!(auditx(&["query"], shop.path()).out, SHOP, "in a pipe");
    let array: Vec<Value> = serde_json::from_str(&form("json")).unwrap();
    assert_eq!(array, parsed(SHOP));
    golden("shop.csv", &form("csv"));
    golden("diff.txt", &form("diff"));
    let (_, raw) = on_terminal(&mut command(&["query", "-o", "raw"], shop.path()), 80);
    assert_eq!(raw, SHOP);
}

#[test]
fn fields_are_selected_in_every_format_with_fields() {
    let shop = trail_of(SHOP);
    let picked = |form: &str, fields: &str| {
        auditx(&["query", "SI-2026-0042", "-o", form, "--fields", fields], shop.path())
    };
    assert_eq!(
        picked("ndjson", "user,amount,metadata.party,old.x").out,
        "{\"user\":\"admin\",\"amount\":1250000.10,\"metadata.party\":\"Golden Trading Co.\"}\n"
    );
    assert_eq!(picked("csv", "seq,amount").out, "seq,amount\r\n1,1250000.10\r\n");
    assert_eq!(
        picked("csv", "ref,metadata.party,meta.party,company").out,
        "ref,metadata.party,meta.party,company\r\n\
         SI-2026-0042,Golden Trading Co.,Golden Trading Co.,CO-001\r\n"
    );
    assert_eq!(picked("ndjson", "ref,ip,time").out.lines().count(), 1);
    let unknown = picked("csv", "compnay");
    assert_eq!(unknown.status, Some(2));
    assert!(unknown.err.contains("did you mean \"company\"?"), "{}", unknown.err);
    let table = picked("table", "seq,user,amount,metadata.party").out;
    assert_eq!(table.lines().count(), 2);
    assert!(table.ends_with("Golden Trading Co.\n"), "{table}");
    let unknown = picked("json", "usr");
    assert_eq!(unknown.status, Some(2));
    assert!(unknown.err.contains("did you mean \"user\"?"), "{}", unknown.err);
    assert_eq!(picked("raw", "user").status, Some(2));
}

#[test]
fn flags_are_literal_and_combine_with_or_and_and() {
    assert_eq!(seqs(&["--user", "admin", "--user", "attacker"]), [0, 1, 2, 3, 4]);
    assert_eq!(seqs(&["--user", "admin", "--module", "sales"]), [1]);
    assert_eq!(seqs(&["--failed"]), [3, 4]);
    assert_eq!(seqs(&["--level", "CRITICAL"]), [4]);
    assert_eq!(seqs(&["--entity", "customer/CUST-220", "--entity", "sales_invoice/inv-42"]), [1, 2, 8]);
    assert_eq!(seqs(&["--ref", "SI-2026-0043", "--action", "VOID"]), [6]);
    assert_eq!(seqs(&["--session", "s-1", "--ip", "192.168.1.10", "--company", "CO-001", "--success"]), [0]);
    assert_eq!(found(&["--user", "storeman"]), [None]);
    assert_eq!(seqs(&["--user", "admin", "invoice", "amount:>1000000"]), [1]);
    assert_eq!(seqs(&["module:sales", "-action:VOID"]), [1, 5]);
    assert_eq!(seqs(&["changed:credit_limit"]), [2]);
    let shop = trail_of(SHOP);
    let pattern = auditx(&["query", "--ref", "SI-*"], shop.path());
    assert_eq!((pattern.status, pattern.out.as_str()), (Some(1), ""), "a flag has no patterns");
    let messages: Vec<&str> = pattern.err.lines().collect();
    assert_eq!(messages[0], "auditx: warning: --ref matches SI-* literally: for a pattern, use ref:SI-*");
    assert!(messages[1].starts_with("auditx: nothing found in "), "{}", pattern.err);
}

#[test]
fn an_address_may_be_a_network() {
    assert_eq!(seqs(&["--ip", "192.168.0.0/16"]), [0]);
    assert_eq!(seqs(&["--ip", "203.0.113.9", "--ip", "192.168.1.0/24"]), [0, 3, 4]);
    assert_eq!(seqs(&["ip:203.0.113.0/24", "-level:SECURITY"]), [4]);
    let shop = trail_of(SHOP);
    let wrong = auditx(&["query", "--ip", "192.168.1.0/33"], shop.path());
    assert_eq!(wrong.status, Some(2));
    assert!(wrong.err.contains("\n  192.168.1.0/33\n              ^^"), "{}", wrong.err);
}

#[test]
fn a_query_that_is_probably_wrong_causes_a_warning() {
    let shop = trail_of(SHOP);
    for (arguments, warning) in [
        (&["user=admin"][..], "user=admin is searched for as a word: to match the field, write user:admin"),
        (
            &["amount:>1,000"],
            "amount:>1,000 matches 1 or 000: a comma means OR; for one number, write amount:>1000",
        ),
        (
            &["--user", ""],
            "--user '' matches entries in which the field is empty: is a shell variable unset?",
        ),
        (
            &["--since", "2026-11-25", "until:2026-11-24"],
            "no entry can match: since 2026-11-25T00:00:00.000000Z",
        ),
        (&["--since", "2026-11-25", "--until", "2026-11-25"], "no entry can match: since"),
        (
            &["--user", "admin", "user:clerk"],
            "no entry can match both user:clerk and user:admin: to match either, write OR",
        ),
    ] {
        for command in ["query", "stats", "export", "fields"] {
            let format: &[&str] = if command == "export" { &["--format", "ecs"] } else { &[] };
            let asked = auditx(&[&[command], arguments, format].concat(), shop.path());
            assert!(
                asked.err.starts_with(&format!("auditx: warning: {warning}")),
                "{command}: {}",
                asked.err
            );
            assert_eq!(asked.status, Some(i32::from(asked.out.is_empty())), "{command}: {}", asked.err);
        }
    }
}

#[test]
fn entries_are_sorted_by_a_field() {
    let all = |arguments: &[&str]| -> Vec<u64> {
        found(arguments).into_iter().map(|seq| seq.unwrap_or(99)).collect()
    };
    assert_eq!(all(&["--sort", "amount", "module:sales"]), [6, 5, 1]);
    assert_eq!(all(&["--sort", "amount:desc", "-n", "2"]), [1, 5]);
    assert_eq!(all(&["--sort", "timestamp:desc", "-n", "3"]), [8, 99, 6]);
    assert_eq!(all(&["--sort", "user"]), [0, 1, 2, 3, 4, 5, 6, 8, 99, 7]);
    assert_eq!(all(&["--sort", "metadata.party:desc", "user:admin"]), [1, 0, 2]);
    assert_eq!(all(&["--sort", "seq:desc", "--threads", "3", "-n", "4"]), [8, 7, 6, 5]);
    let shop = trail_of(SHOP);
    let sorted = |arguments: &[&str]| auditx(&[&["query", "--sort"], arguments].concat(), shop.path());
    assert_eq!(sorted(&["amount", "--order", "desc"]).status, Some(2));
    assert_eq!(sorted(&["amont"]).status, Some(2));
    assert_eq!(sorted(&["amount", "--user", "nobody"]).status, Some(1));
    let json: Vec<Value> = serde_json::from_str(&sorted(&["amount", "-o", "json"]).out).unwrap();
    assert_eq!(json.len(), 10);
}

#[test]
fn the_exit_status_tells_whether_entries_were_found() {
    let shop = trail_of(SHOP);
    let status = |arguments: &[&str]| auditx(&[&["query"], arguments].concat(), shop.path());
    assert_eq!(status(&["--count"]).out, "10\n");
    let none = status(&["--user", "nobody", "--count"]);
    assert_eq!((none.status, none.out.as_str(), none.err.as_str()), (Some(1), "0\n", ""));
    let json = status(&["--user", "nobody", "-o", "json"]);
    assert_eq!((json.status, json.out.as_str()), (Some(1), "[]\n"));
    let wrong = status(&["usr:admin"]);
    assert_eq!(wrong.status, Some(2));
    let lines: Vec<&str> = wrong.err.lines().collect();
    assert_eq!(lines[1..3], ["  usr:admin", "  ^^^"], "{}", wrong.err);
    let unknown = status(&["--usr", "admin"]);
    assert_eq!(unknown.status, Some(2));
    assert!(unknown.err.contains("unexpected argument '--usr'"), "{}", unknown.err);
    assert_eq!(status(&["--since", "someday"]).status, Some(2));
    let nowhere = auditx(&["query"], &shop.path().join("nowhere"));
    assert_eq!(nowhere.status, Some(2));
    assert!(nowhere.err.contains("auditx demo"), "{}", nowhere.err);
}

#[test]
fn around_shows_entries_near_a_line_or_time() {
    assert_eq!(seqs(&["--around", "2", "--window", "2m"]), [1, 2]);
    assert_eq!(seqs(&["--around", "1", "--same", "session"]), [0, 1, 2]);
    assert_eq!(seqs(&["--around", "4", "--window", "1s", "--same", "user"]), [3, 4]);
    assert_eq!(seqs(&["--around", "8", "--window", "1d", "--same", "entity"]), [2, 8]);
    assert_eq!(seqs(&["--around", "2026-11-24T15:30:30Z", "--window", "1m"]), [1, 2]);
    let shop = trail_of(SHOP);
    let error = |arguments: &[&str]| {
        let query = auditx(&[&["query", "--around"], arguments].concat(), shop.path());
        assert_eq!(query.status, Some(2));
        query.err
    };
    assert!(error(&["99"]).contains("has no line 99"));
    assert!(error(&["3", "--same", "session"]).contains("line 3 has no session_id"));
    assert!(error(&["today", "--same", "user"]).contains("--same needs a line number"));
    let marked = auditx(&["query", "--around", "2", "--window", "2m", "-o", "table"], shop.path()).out;
    assert!(marked.lines().last().unwrap().starts_with("      >2  2026-11-24"), "{marked}");
}

#[test]
fn a_period_includes_its_start_and_excludes_its_end() {
    assert_eq!(seqs(&["--since", "2026-11-24T15:31:00Z", "--until", "2026-11-25"]), [2, 3]);
    assert_eq!(seqs(&["--until", "2026-11-24T15:31:00Z"]), [0, 1]);
}

#[test]
fn a_limited_search_prints_a_cursor_to_continue() {
    let directory = closed(300);
    let mut all = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let mut arguments = vec!["query", "-n", "100", "--order", "desc"];
        arguments.extend(after.iter().flat_map(|cursor| ["--after", cursor]));
        let page = auditx(&arguments, directory.path());
        assert_eq!(page.status, Some(0), "{}", page.err);
        all.extend(parsed(&page.out).iter().map(|line| line["seq"].as_u64().unwrap()));
        let Some((_, next)) = page.err.split_once("--after ") else { break };
        after = Some(next.trim().to_owned());
    }
    let count = all.len() as u64;
    assert!(count > 300, "{count}");
    assert_eq!(all, (0..count).rev().collect::<Vec<_>>());
}

#[test]
fn compressed_segments_and_open_trails_are_read() {
    let directory = directory();
    let logger = logger(directory.path());
    record(&logger, 150);
    crate::trail::compressed(&logger);
    let count = |arguments: &[&str]| auditx(&[&["query", "--count"], arguments].concat(), directory.path());
    assert_eq!(count(&["--user", "admin"]).out, "150\n");
    record(&logger, 50);
    logger.flush(auditx_tests::deadline::TIMEOUT).unwrap();
    assert_eq!(count(&["--user", "admin"]).out, "200\n", "while it is open");
    for arguments in [&["--no-index"][..], &["--threads", "1"], &["--threads", "4"], &["--strict"]] {
        assert_eq!(count(&[&["--user", "admin"], arguments].concat()).out, "200\n", "{arguments:?}");
    }
    assert_eq!(count(&["\"entry 149 \""]).out, "1\n");
}

#[test]
fn unreadable_lines_are_reported_and_errors_with_strict() {
    let trail = hostile_trail();
    let query = auditx(&["query", "--count", "--strict"], trail.path());
    assert_eq!(query.status, Some(2));
    let place = trail.path().join(ACTIVE).display().to_string();
    let messages: Vec<&str> = query.err.lines().filter(|line| line.contains("unreadable line")).collect();
    assert_eq!(messages.len(), HOSTILE_OTHERS, "{}", query.err);
    assert!(messages.iter().all(|line| line.contains(&place) && line.contains("byte ")), "{}", query.err);
    assert!(query.err.ends_with("3 lines could not be read\n"), "{}", query.err);
    let lenient = auditx(&["query", "--count"], trail.path());
    assert_eq!((lenient.status, lenient.out), (Some(0), format!("{HOSTILE_ENTRIES}\n")));

    let nonsense = trail_of("nonsense\n".repeat(50));
    let query = auditx(&["query"], nonsense.path());
    assert_eq!(query.status, Some(1));
    assert_eq!(query.err.lines().count(), 21, "twenty and a count: {}", query.err);
}

#[test]
fn hostile_entries_are_escaped_in_every_format() {
    let trail = hostile_trail();
    let check = |form: &str, out: &str| {
        let mut harmful = out.chars().filter(|c| {
            c.is_control() && !matches!(c, '\n' | '\r')
                || matches!(c, '\u{200e}' | '\u{200f}' | '\u{feff}')
                || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        });
        assert_eq!(harmful.next(), None, "{form}: {out:?}");
    };
    for form in ["table", "json", "ndjson", "csv", "diff"] {
        let query = auditx(&["query", "-o", form], trail.path());
        check(form, &query.out);
        check(form, &query.err);
    }
    let lines = |form: &str| auditx(&["query", "-o", form], trail.path()).out.lines().count();
    assert_eq!(lines("table"), HOSTILE_ENTRIES + 1);
    assert_eq!(lines("ndjson"), HOSTILE_ENTRIES);
    assert_eq!(lines("csv"), HOSTILE_ENTRIES + 1);
    let json: Vec<Value> = serde_json::from_str(&auditx(&["query", "-o", "json"], trail.path()).out).unwrap();
    assert_eq!(json.len(), HOSTILE_ENTRIES);
    assert_eq!(json[1]["description"], "left\u{202e} right \u{2066} bidi \u{200f}\u{feff}", "the same text");
    for form in ["table", "raw", "ndjson", "diff"] {
        let (_, shown) = on_terminal(command(&["query", "-o", form], trail.path()).env("NO_COLOR", "1"), 80);
        check(form, &shown);
    }
    let wide = auditx(&["query", "-o", "table"], trail.path()).out;
    assert!(wide.lines().all(|line| line.chars().count() <= 120), "{wide}");
}

#[test]
fn formulas_in_csv_are_text() {
    let trail = hostile_trail();
    let csv = auditx(
        &["query", "mallory OR cmd", "-o", "csv", "--fields", "description,user,entity_id,amount"],
        trail.path(),
    );
    let cells: Vec<&str> = csv.out.split([',', '\n']).map(|cell| cell.trim_start_matches('"')).collect();
    assert!(cells.iter().all(|cell| !cell.starts_with(['=', '+', '-', '@'])), "{}", csv.out);
    assert!(csv.out.contains("'=cmd|"), "{}", csv.out);
    assert!(csv.out.contains("exponent,mallory,,100\r\n"), "1e2: {}", csv.out);
    assert_eq!(csv.status, Some(0), "{}", csv.err);
}

#[test]
fn a_closed_pipe_ends_the_command_quietly() {
    let directory = closed(300);
    for form in ["ndjson", "table", "json", "csv", "diff", "raw"] {
        let mut query = command(&["query", "-o", form], directory.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut reader = BufReader::new(query.stdout.take().unwrap());
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        drop(reader);
        let status = wait_for("the end of the command", || query.try_wait().unwrap());
        let mut complaints = String::new();
        query.stderr.take().unwrap().read_to_string(&mut complaints).unwrap();
        assert_eq!((status.code(), complaints.as_str()), (Some(0), ""), "{form}");
    }
}

#[test]
fn an_unreadable_segment_makes_the_answer_an_error() {
    let directory = closed(200);
    let sealed = fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|extension| extension == "zst"))
        .expect("a compressed segment");
    let bytes = fs::read(&sealed).unwrap();
    fs::write(&sealed, &bytes[..bytes.len() / 2]).unwrap();
    let query = ended(&mut command(&["query", "--no-index", "--count"], directory.path()));
    assert_eq!(query.status, Some(2));
    assert!(query.err.contains("the result is incomplete"), "{}", query.err);
}
