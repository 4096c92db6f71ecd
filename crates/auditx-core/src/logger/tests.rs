//! Tests of the logger through its public calls.

mod checkpoints;
mod custody;
mod debug;
mod followers;
mod forking;
mod full;
mod indexes;
mod interference;
mod journals;
mod kill_points;
mod power;
mod processes;
mod recovery;
mod tampering;
mod segments;
mod pending;
mod watched;
mod values;

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use auditx_format::context::RequestContext;
use auditx_format::line::{RecordedEntry, StoredEntry};
use auditx_format::vocabulary::{AuditAction, BusinessModule};
use auditx_store::TrailReader;
use serde_json::json;

use super::*;
use crate::testing::TIMEOUT;
use crate::{Compression, RateLimit, Redaction, Retention};

fn entries(directory: &Path) -> Vec<StoredEntry> {
    let mut reader = TrailReader::new(directory, 0);
    let mut entries = Vec::new();
    while let Some((_, line)) = reader.next_line().unwrap() {
        entries.push(RecordedEntry::from_line(line).unwrap().parse().unwrap());
    }
    entries
}

fn kinds(directory: &Path) -> Vec<String> {
    let kind = |entry: &StoredEntry| {
        entry.control_record.as_ref().map(|record| record["kind"].as_str().unwrap().to_owned())
    };
    entries(directory).iter().map(|entry| kind(entry).unwrap_or_else(|| entry.description.clone())).collect()
}

fn text(path: std::path::PathBuf) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn copy_all(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            fs::create_dir_all(&target).unwrap();
            copy_all(&path, &target);
        } else {
            fs::copy(&path, target).unwrap();
        }
    }
}

fn wait_until(mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + TIMEOUT;
    while !done() {
        assert!(Instant::now() < deadline, "the condition did not hold within {TIMEOUT:?}");
        std::thread::yield_now();
    }
}

#[test]
fn a_trail_records_its_creation_opening_and_closing() {
    let directory = tempfile::tempdir().unwrap();
    for round in 0..2 {
        let logger = AuditLogger::open(Config::new(directory.path())).unwrap();
        let receipt = logger.log(format!("round {round}")).record().unwrap();
        receipt.wait_durable().unwrap();
        logger.close(TIMEOUT).unwrap();
        assert!(logger.log("late").record().unwrap_err().is_closed());
        logger.close(TIMEOUT).unwrap();
    }
    assert_eq!(
        kinds(directory.path()),
        ["genesis", "open", "round 0", "close", "open", "checkpoint", "round 1", "close"]
    );
}

#[test]
fn an_exclusive_trail_has_one_logger_but_another_instance_may_be_opened() {
    let directory = tempfile::tempdir().unwrap();
    let open = |exclusive| AuditLogger::open(Config::new(directory.path()).exclusive(exclusive));
    for (first, second) in [(false, true), (true, true)] {
        let _first = open(first).unwrap();
        let error = open(second).unwrap_err();
        assert!(error.is_locked());
        assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
    }
    let _first = open(true).unwrap();
    let second = AuditLogger::open(Config::new(directory.path()).instance("worker-2")).unwrap();
    second.log("x").record().unwrap();
    second.flush(TIMEOUT).unwrap();
    assert_eq!(kinds(&directory.path().join("worker-2")), ["genesis", "open", "x"]);
}

#[test]
fn a_torn_tail_is_moved_aside_and_recorded() {
    let directory = tempfile::tempdir().unwrap();
    let logger = AuditLogger::open(Config::new(directory.path())).unwrap();
    logger.log("whole").record().unwrap();
    logger.close(TIMEOUT).unwrap();
    let active = directory.path().join("audit.jsonl");
    let torn = "{\"seq\":4,\"id\":\"01";
    fs::write(&active, text(active.clone()) + torn).unwrap();

    drop(AuditLogger::open(Config::new(directory.path())).unwrap());
    assert_eq!(
        kinds(directory.path()),
        ["genesis", "open", "whole", "close", "recovered", "open", "checkpoint", "close"]
    );
    assert_eq!(text(directory.path().join("audit.torn-4")), torn);
}

#[test]
fn a_file_that_is_not_a_segment_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("audit.jsonl"), "not a line\n").unwrap();
    let error = AuditLogger::open(Config::new(directory.path())).unwrap_err();
    assert!(error.is_corrupt() && error.path().is_some(), "{error}");
    assert_eq!(text(directory.path().join("audit.jsonl")), "not a line\n");
}

#[test]
fn failures_above_the_limit_of_an_address_become_critical() {
    let directory = tempfile::tempdir().unwrap();
    let config = Config::new(directory.path()).rate_limit(RateLimit::new(5, Duration::from_secs(60)));
    let logger = AuditLogger::open(config).unwrap();
    let ip: IpAddr = [192, 168, 1, 50].into();
    let attack =
        |ip| logger.log_security("Login failed").user("attacker").ip(ip).success(false).record().unwrap();
    for _ in 0..7 {
        attack(ip);
    }
    attack([192, 168, 1, 51].into());
    assert!(logger.check_rate_limit(ip).unwrap().is_exceeded());
    logger.reset_rate_limit(ip).unwrap();
    attack(ip);
    logger.flush(TIMEOUT).unwrap();
    let logins: Vec<StoredEntry> =
        entries(directory.path()).into_iter().filter(|entry| entry.module == "auth").collect();
    let levels: Vec<&str> = logins.iter().map(|entry| entry.level.as_str()).collect();
    assert_eq!(levels, [["SECURITY"; 5].as_slice(), &["CRITICAL"; 2], &["SECURITY"; 2]].concat());
    assert!(logins.iter().all(|entry| entry.description == "Login failed" && entry.user == "attacker"));
    assert_eq!(logins[6].metadata, *json!({"rate_limited": true, "failure_count": 7}).as_object().unwrap());
}

#[test]
fn a_security_entry_takes_its_user_from_the_context() {
    let directory = tempfile::tempdir().unwrap();
    let logger = AuditLogger::open(Config::new(directory.path())).unwrap();
    logger.log_security("without a user").record().unwrap();
    let _scope = RequestContext::new().user("admin").enter();
    logger.log_security("from context").record().unwrap();
    logger.log_security("own").user("clerk").record().unwrap();
    logger.flush(TIMEOUT).unwrap();
    let users: Vec<String> = entries(directory.path()).into_iter().skip(2).map(|entry| entry.user).collect();
    assert_eq!(users, ["UNKNOWN", "admin", "clerk"]);
}

#[test]
fn the_builder_redacts_and_records_changes() {
    #[derive(serde::Serialize)]
    struct Customer {
        name: &'static str,
        credit_limit: u32,
        password: &'static str,
    }
    let directory = tempfile::tempdir().unwrap();
    let config = Config::new(directory.path()).redaction(Redaction::default().deny("iban"));
    let logger = AuditLogger::open(config).unwrap();
    let before = Customer { name: "Golden", credit_limit: 500_000, password: "a" };
    let after = Customer { name: "Golden", credit_limit: 1_000_000, password: "b" };
    logger
        .log_change("Limit", BusinessModule::Crm, AuditAction::Update, "customer", "CUST-220")
        .changes(&before, &after)
        .unwrap()
        .metadata("iban", "MM00")
        .record()
        .unwrap();
    logger.flush(TIMEOUT).unwrap();
    let entry = entries(directory.path()).pop().unwrap();
    assert_eq!(entry.old_values, json!({"credit_limit": 500_000, "password": "[REDACTED]"}));
    assert_eq!(entry.new_values, json!({"credit_limit": 1_000_000, "password": "[REDACTED]"}));
    assert_eq!(entry.metadata["iban"], "[REDACTED]");
}

#[test]
fn recording_during_a_context_update_or_thread_exit_works() {
    struct LogOnDrop(AuditLogger);
    impl Drop for LogOnDrop {
        fn drop(&mut self) {
            self.0.log("from teardown").record().unwrap();
        }
    }
    thread_local! {
        static LATE: std::cell::RefCell<Option<LogOnDrop>> = const { std::cell::RefCell::new(None) };
    }
    let directory = tempfile::tempdir().unwrap();
    let logger = AuditLogger::open(Config::new(directory.path())).unwrap();
    let context = RequestContext::new().user("admin");
    let _scope = context.enter();
    RequestContext::update(|fields| {
        logger.log("inside update").record().unwrap();
        fields.user = "changed".into();
    });
    std::thread::spawn({
        let logger = logger.clone();
        move || {
            LATE.with(|late| *late.borrow_mut() = Some(LogOnDrop(logger.clone())));
            logger.log("first").record().unwrap();
        }
    })
    .join()
    .unwrap();
    logger.flush(TIMEOUT).unwrap();
    assert_eq!(kinds(directory.path())[2..], ["inside update", "first", "from teardown"]);
}

#[test]
fn every_entry_mode_makes_an_entry_durable_before_record_returns() {
    let directory = tempfile::tempdir().unwrap();
    let logger = AuditLogger::open(
        Config::new(directory.path()).durability(auditx_store::config::Durability::EveryEntry),
    )
    .unwrap();
    logger.log("alone").record().unwrap();
    assert_eq!(logger.metrics().durable, logger.metrics().written);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..20 {
                    let receipt = logger.log("x").record().unwrap();
                    let seq = receipt.wait_durable().unwrap().seq;
                    assert!(logger.metrics().durable > seq);
                }
            });
        }
    });
}

#[test]
fn a_failed_open_releases_the_trail() {
    let directory = tempfile::tempdir().unwrap();
    drop(AuditLogger::open(Config::new(directory.path())).unwrap());
    let cursors = directory.path().join(".auditx/cursors");
    fs::remove_dir_all(&cursors).unwrap();
    fs::write(&cursors, "in the way").unwrap();
    assert!(AuditLogger::open(Config::new(directory.path())).unwrap_err().is_storage());
    fs::remove_file(&cursors).unwrap();
    drop(AuditLogger::open(Config::new(directory.path())).unwrap());
    assert_eq!(
        kinds(directory.path()),
        ["genesis", "open", "close", "open", "checkpoint", "open", "checkpoint", "close"]
    );
}
