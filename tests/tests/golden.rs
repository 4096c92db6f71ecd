//! Compares lines with the golden files of this format version, byte for byte.
//!
//! Everything that was ever written must stay readable, so the files of all versions are kept forever. A
//! changed file means a new format version. `AUDITX_BLESS=1` writes the files.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use auditx_core::{
    AuditAction, AuditLogger, BusinessModule, Cadence, Compression, Config, JournalKind, KeySource,
    RateLimit, RequestContext, Retention, VerifierKey,
};
use auditx_format::row::Row;
use auditx_tests::child::Child;
use auditx_tests::clock::StoppedClock;
use auditx_tests::deadline::{TIMEOUT, wait_until};
use auditx_tests::trail::{Line, entries, lines};
use auditx_tlog::{SignedCheckpoint, hash_from_hex};
use serde_json::json;

fn config(directory: &Path) -> Config {
    Config::new(directory)
        .hostname("erp-1")
        .origin("erp.example.com")
        .default_currency("MMK")
        .clock(StoppedClock)
}

fn compat(version: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("data/compat").join(version)
}

/// Compares lines with a golden file, after values that differ from run to run are replaced.
fn assert_golden(name: &str, lines: &[&Line]) {
    let path = compat("v2").join(name);
    let found: String = lines.iter().map(|line| redacted(line) + "\n").collect();
    if std::env::var_os("AUDITX_BLESS").is_some_and(|value| value == "1") {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, found).unwrap();
        return;
    }
    let golden = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(found, golden, "{name}: written and expected lines");
}

fn redacted(line: &Line) -> String {
    let is_hex = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let text = replace(&line.text, "\"id\":\"", "\"", "<id>", |id| {
        let parts: Vec<&str> = id.split('-').collect();
        let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12], "{id}");
        assert!(is_hex(&parts.concat()) && parts[2].starts_with('7'), "{id} is a UUID of version 7");
    });
    let Some(kind) = line.kind() else { return text };
    match kind {
        "genesis" => {
            let text = replace(&text, "\"trail_id\":\"", "\"", "<trail id>", |id| {
                assert!(id.len() == 32 && is_hex(id), "{id} has 128 bits");
            });
            replace(&text, "\"key\":\"", "\"", "<key>", assert_key)
        }
        "key" => {
            let text = replace(&text, "\"old\":\"", "\"", "<key>", assert_key);
            replace(&text, "\"new\":\"", "\"", "<key>", assert_key)
        }
        "checkpoint" => replace(&text, "\"note\":\"", "\"", "<note>", |note| {
            let note = note.replace("\\n", "\n");
            SignedCheckpoint::parse(note.as_bytes()).expect("a signed note");
        }),
        "indexed" => replace(&text, "\"sha256\":\"", "\"", "<hash>", assert_hash),
        "erased" => replace(&text, "\"leaf_hash\":\"", "\"", "<hash>", assert_hash),
        // The frontier has one hash for each 1 bit in the number of lines; all differ from run to run.
        "retired" => {
            let text = replace(&text, "\"root\":\"", "\"", "<hash>", assert_hash);
            replace(&text, "\"frontier\":[\"", "\"]", "<hashes>", |hashes| {
                hashes.split("\",\"").for_each(assert_hash);
            })
        }
        "open" => {
            let text = replace(&text, "\"version\":\"", "\"", "<version>", |version| {
                assert_eq!(version, env!("CARGO_PKG_VERSION"), "all crates have the same version");
            });
            let text = replace(&text, "\"key\":\"", "\"", "<key>", assert_key);
            replace(&text, "\"pid\":", ",", "\"<pid>\"", assert_own_pid)
        }
        // The path is in the description and in the reason.
        "gap" => text.replace(&path_in(&text), "(trail/audit.jsonl)"),
        // The first segment contains the process id, which affects its length.
        "recovered" if text.contains("truncated from") => {
            let (_, rest) = text.split_once("truncated from ").unwrap();
            let (bytes, _) = rest.split_once(" bytes").unwrap();
            // The seq depends on when the truncation was noticed.
            let text = text.replacen(&format!("\"seq\":{},", line.seq), "\"seq\":6,", 1);
            text.replace(&format!("truncated from {bytes} bytes"), "truncated from <bytes> to <bytes>")
        }
        "close" => replace(&text, "\"pid\":", "}", "\"<pid>\"", assert_own_pid),
        _ => text,
    }
}

/// Returns the absolute path of the active segment, in parentheses.
fn path_in(text: &str) -> String {
    let (_, rest) = text.split_once("(/").unwrap_or_else(|| panic!("no path in {text}"));
    let (path, _) = rest.split_once(')').unwrap();
    assert!(path.ends_with("trail/audit.jsonl"), "{path}");
    format!("(/{path})")
}

fn assert_key(key: &str) {
    let key: VerifierKey = key.parse().unwrap();
    assert!(key.name().starts_with("erp.example.com/auditx/"), "{key}");
}

fn assert_hash(hash: &str) {
    assert!(hash_from_hex(hash).is_some(), "{hash}");
}

fn assert_own_pid(pid: &str) {
    assert_eq!(pid, std::process::id().to_string());
}

/// Checks the value between `begin` and `end` and replaces it.
fn replace(text: &str, begin: &str, end: &str, with: &str, check: impl FnOnce(&str)) -> String {
    let (before, rest) = text.split_once(begin).unwrap_or_else(|| panic!("no {begin} in {text}"));
    let (value, after) = rest.split_once(end).unwrap_or_else(|| panic!("no end of {begin} in {text}"));
    check(value);
    format!("{before}{begin}{with}{end}{after}")
}

fn of_kind<'l>(lines: &'l [Line], kind: &str) -> Vec<&'l Line> {
    lines.iter().filter(|line| line.kind() == Some(kind)).collect()
}

#[test]
fn the_quick_start_writes_the_golden_lines() {
    let directory = tempfile::tempdir().unwrap();
    let audit = AuditLogger::open(config(directory.path())).unwrap();
    let _scope = RequestContext::new()
        .user("admin")
        .user_role("manager")
        .company_id("CO-001")
        .branch_id("BR-YGN")
        .ip("192.168.1.10".parse().unwrap())
        .enter();
    audit.log_security("User login successful").action(AuditAction::Login).record().unwrap();
    audit
        .log_transaction(
            "Sales invoice posted",
            BusinessModule::Sales,
            AuditAction::Post,
            "SI-2026-0042",
            1_250_000,
        )
        .entity("sales_invoice", "inv-42")
        .party("Golden Trading Co.")
        .record()
        .unwrap();
    audit
        .log_inventory("Stock issued for sales order", AuditAction::Transfer, "SKU-1001", 50)
        .product_name("LED Panel 24W")
        .warehouse_id("WH-MAIN")
        .reference_no("SI-2026-0042")
        .record()
        .unwrap();
    audit
        .log_service("Service job completed", AuditAction::Update, "SVC-889")
        .customer_id("CUST-220")
        .technician("U Kyaw")
        .service_type("AC Maintenance")
        .status_label("completed")
        .amount(85_000)
        .record()
        .unwrap();
    audit
        .log_change(
            "Customer credit limit updated",
            BusinessModule::Crm,
            AuditAction::Update,
            "customer",
            "CUST-220",
        )
        .old_values(json!({"credit_limit": 500_000}))
        .new_values(json!({"credit_limit": 1_000_000}))
        .record()
        .unwrap();
    audit.close(TIMEOUT).unwrap();

    let entries = entries(directory.path());
    let names = ["security_success", "transaction", "inventory", "service", "change"];
    assert_eq!(entries.len(), names.len());
    for (name, line) in names.iter().zip(&entries) {
        assert_golden(&format!("{name}.jsonl"), &[line]);
    }
}

#[test]
fn failed_logins_write_the_golden_lines() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(directory.path()).rate_limit(RateLimit::new(1, Duration::from_secs(60)));
    let audit = AuditLogger::open(config).unwrap();
    for _ in 0..2 {
        audit
            .log_security("Login failed")
            .user("attacker")
            .ip("192.168.1.50".parse().unwrap())
            .success(false)
            .reason("wrong password")
            .record()
            .unwrap();
    }
    audit.close(TIMEOUT).unwrap();

    let entries = entries(directory.path());
    assert_eq!(entries.len(), 2);
    assert_golden("security_failure.jsonl", &[&entries[0]]);
    assert_golden("security_rate_limited.jsonl", &[&entries[1]]);
}

#[test]
fn an_entry_with_every_field_writes_the_golden_line() {
    let directory = tempfile::tempdir().unwrap();
    let audit = AuditLogger::open(config(directory.path())).unwrap();
    audit
        .log("HTTP POST /sales/invoice completed with 201")
        .module(BusinessModule::other("manufacturing"))
        .action(AuditAction::other("SHIP"))
        .user("admin")
        .user_role("manager")
        .on_behalf_of("owner")
        .company_id("CO-001")
        .branch_id("BR-YGN")
        .entity("sales_invoice", "inv-42")
        .reference_no("SI-2026-0042")
        .amount(auditx_core::Amount::parse("1250000.10").unwrap())
        .currency("USD")
        .old_values(json!({"state": "draft", "password": "old"}))
        .new_values(json!({"state": "posted", "password": "new"}))
        .metadata("party", "Golden \"Trading\" Co.\n\u{202e}")
        .metadata("card_number", "4111111111111111")
        .metadata("lines", json!([{"sku": "SKU-1001", "price": 0.5}, null, true, -7]))
        .request_id("req-1")
        .session_id("session-1")
        .ip("2001:db8::1".parse().unwrap())
        .method("POST")
        .endpoint("/sales/invoice?draft=0")
        .status(201)
        .success(false)
        .record()
        .unwrap();
    audit.close(TIMEOUT).unwrap();
    let entries = entries(directory.path());
    assert_golden("every_field.jsonl", &[&entries[0]]);
}

#[test]
fn control_records_write_the_golden_lines() {
    let directory = tempfile::tempdir().unwrap();
    // Two of these fill a segment, whatever comes before them.
    let long = "x".repeat(60_000);
    let first_session = config(directory.path()).max_file_bytes(65_536).compression(Compression::None);
    let audit = AuditLogger::open(first_session.clone()).unwrap();
    for _ in 0..4 {
        audit.log("Long text kept").metadata("text", &long).record().unwrap();
    }
    wait_until("the indexes of both sealed segments", || audit.metrics().indexed == 2);
    audit.close(TIMEOUT).unwrap();
    let first = lines(directory.path());
    assert_golden("genesis.jsonl", &of_kind(&first, "genesis"));
    assert_golden("open.jsonl", &of_kind(&first, "open"));
    assert_golden("close.jsonl", &of_kind(&first, "close"));
    // The first segment contains the process id, which affects its length; the second does not.
    let rotated = of_kind(&first, "rotated");
    assert_eq!(rotated.len(), 2);
    assert_golden("rotated.jsonl", &rotated[1..]);
    let indexed = of_kind(&first, "indexed");
    assert_eq!(indexed.len(), 2);
    assert_golden("indexed.jsonl", &indexed[1..]);

    let mut active = fs::File::options().append(true).open(directory.path().join("audit.jsonl")).unwrap();
    active.write_all(b"{\"seq\":11,\"id\":\"0199").unwrap();
    let second_session = first_session.retention(Retention::BackupCount(0));
    let audit = AuditLogger::open(second_session).unwrap();
    wait_until("the retirement of both sealed segments", || audit.metrics().retired == 2);
    audit.close(TIMEOUT).unwrap();
    let second = lines(directory.path());
    assert_golden("recovered.jsonl", &of_kind(&second, "recovered"));
    assert_golden("retired.jsonl", &of_kind(&second, "retired"));
    assert_golden("checkpoint.jsonl", &of_kind(&second, "checkpoint")[..1]);
}

#[test]
fn changes_to_a_trail_write_the_golden_lines() {
    let directory = tempfile::tempdir().unwrap();
    let cadence = Cadence::default().heartbeat(Duration::from_secs(1));
    let audit = AuditLogger::open(config(directory.path()).checkpoints(cadence)).unwrap();
    audit.log("Customer registered").user("Daw Khin").record().unwrap();
    audit.rotate_key(&KeySource::Trail).unwrap();
    audit.erase(2, "request of the person").unwrap();
    let written = audit.metrics().written;
    wait_until("a heartbeat", || audit.metrics().written > written);
    audit.close(TIMEOUT).unwrap();
    let lines = lines(directory.path());
    assert_golden("key.jsonl", &of_kind(&lines, "key"));
    assert_golden("erased.jsonl", &of_kind(&lines, "erased"));
    let heartbeat = of_kind(&lines, "heartbeat")[0].clone();
    // The seq depends on when the heartbeat was written.
    let text = heartbeat.text.replacen(&format!("\"seq\":{}", heartbeat.seq), "\"seq\":5", 1);
    assert_golden("heartbeat.jsonl", &[&Line { text, ..heartbeat }]);
}

#[test]
fn a_restored_segment_writes_the_golden_lines() {
    let directory = tempfile::tempdir().unwrap();
    let active = directory.path().join("audit.jsonl");
    let audit = AuditLogger::open(config(directory.path()).journal(JournalKind::Direct)).unwrap();
    let durable = || audit.log("Goods received").record().unwrap().wait_durable().unwrap();
    durable();
    fs::rename(&active, directory.path().join("audit.jsonl.1")).unwrap();
    fs::write(&active, "other app's text").unwrap();
    durable();
    drop(fs::File::create(&active).unwrap());
    durable();
    audit.close(TIMEOUT).unwrap();
    assert_golden("restored.jsonl", &of_kind(&lines(directory.path()), "recovered"));
}

#[test]
fn the_lines_of_every_version_are_read() {
    for version in ["v1", "v2"] {
        let mut read = 0;
        for file in fs::read_dir(compat(version)).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "jsonl") {
                continue;
            }
            for line in fs::read_to_string(&path).unwrap().lines() {
                let entry = Row::read_text(line).unwrap_or_else(|why| panic!("{path:?}: {why}")).entry();
                assert_eq!(entry.timestamp, StoppedClock::TIMESTAMP, "{path:?}");
                assert!(!entry.description.is_empty() && !entry.level.is_empty(), "{path:?}");
                read += 1;
            }
        }
        assert!(read >= 15, "{version}: {read} lines");
    }
}

#[test]
fn a_gap_writes_the_golden_line() {
    let directory = tempfile::tempdir().unwrap();
    // The directory is relative, because the line contains its path.
    let mut command = Command::new("sh");
    command
        .args(["-c", "trap '' XFSZ && exec \"$0\" trail", env!("CARGO_BIN_EXE_full_disk")])
        .current_dir(directory.path());
    let (status, _) = Child::start(&mut command).end();
    assert!(status.success(), "{status}");
    assert_golden("gap.jsonl", &of_kind(&lines(&directory.path().join("trail")), "gap"));
}
