//! Tests of `auditx ship` with destinations that do not answer.

use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use auditx_core::{AuditLogger, Config};
use auditx_tests::deadline::TIMEOUT;
use auditx_tests::tool::free_ports;

use crate::program::{Ended, auditx, command, ended};

fn trail(directory: &Path) {
    let logger = AuditLogger::open(Config::new(directory).max_file_bytes(65_535)).unwrap();
    for number in 0..200 {
        logger.log(format!("Invoice {number} posted {}", "x".repeat(500))).record().unwrap();
    }
    logger.close(TIMEOUT).unwrap();
}

/// Returns a URL for each kind of destination at this port. Their passwords must not be printed.
fn urls(port: u16) -> [String; 3] {
    [
        format!("postgres://erp:secret@127.0.0.1:{port}/audit"),
        format!("nats://erp:secret@127.0.0.1:{port}/AUDIT"),
        format!("s3://key:secret@audit/erp?endpoint=http://127.0.0.1:{port}&region=us-east-1"),
    ]
}

fn assert_gave_up(url: &str, ended: &Ended, began: Instant) {
    assert_eq!(ended.status, Some(2), "{url}: {}{}", ended.out, ended.err);
    let last = ended.err.lines().find(|line| line.contains("gave up after 1s")).unwrap_or_default();
    // The message names the destination.
    let name =
        ["postgres-127.0.0.1", "nats-127.0.0.1", "s3-audit-erp"].into_iter().find(|name| last.contains(name));
    assert!(name.is_some_and(|name| name.starts_with(&url[..2])), "{url}: {}", ended.err);
    assert!(last.contains("last error: "), "{url}: {}", ended.err);
    assert!(!ended.err.contains("secret"), "{}", ended.err);
    assert!(began.elapsed() < Duration::from_secs(30), "{url}: {:?}", began.elapsed());
}

#[test]
fn it_gives_up_if_the_connection_is_refused() {
    let outside = tempfile::tempdir().unwrap();
    trail(&outside.path().join("trail"));
    let [port] = free_ports();
    for url in urls(port) {
        let began = Instant::now();
        let arguments = ["ship", "--once", "--give-up-after", "1s", "--to", &url];
        assert_gave_up(&url, &auditx(&arguments, &outside.path().join("trail")), began);
    }
}

#[test]
fn it_gives_up_if_the_destination_never_answers() {
    let outside = tempfile::tempdir().unwrap();
    trail(&outside.path().join("trail"));
    // The kernel accepts the connection; no process reads from it.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    for url in urls(silent.local_addr().unwrap().port()) {
        let began = Instant::now();
        let arguments = ["ship", "--once", "--give-up-after", "1s", "--to", &url];
        assert_gave_up(&url, &auditx(&arguments, &outside.path().join("trail")), began);
    }
}

#[test]
fn it_gives_up_if_the_stream_cannot_be_reached() {
    let outside = tempfile::tempdir().unwrap();
    let [port] = free_ports();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    for port in [port, silent.local_addr().unwrap().port()] {
        let [to, from, _] = urls(port);
        let began = Instant::now();
        let arguments = ["ship", "--once", "--give-up-after", "1s", "--from", &from, "--to", &to];
        assert_gave_up(&from, &auditx(&arguments, outside.path()), began);
    }
}

#[test]
fn an_invalid_time_is_refused() {
    let outside = tempfile::tempdir().unwrap();
    let [to, ..] = urls(9);
    let refused =
        ended(&mut command(&["ship", "--once", "--give-up-after", "soon", "--to", &to], outside.path()));
    assert_eq!(refused.status, Some(2));
    assert!(refused.err.contains("invalid duration \"soon\""), "{}", refused.err);
}
