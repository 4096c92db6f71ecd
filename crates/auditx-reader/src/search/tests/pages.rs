//! Searches that continue after a cursor: what they skip, and what they must notice.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

use auditx_core::{AuditLogger, Compression, Config};
use auditx_store::{ACTIVE, SealedSegment, sealed_segments};
use tempfile::TempDir;

use crate::sample::TIMEOUT;
use crate::search::{Cursor, Order, Search, Summary};

/// A closed trail of several plain segments.
fn trail() -> (TempDir, Vec<SealedSegment>) {
    let directory = tempfile::tempdir().unwrap();
    let config = Config::new(directory.path()).max_file_bytes(65_536).compression(Compression::None);
    let logger = AuditLogger::open(config).unwrap();
    for number in 0..150 {
        logger.log(format!("entry {number} {}", "x".repeat(2_000))).record().unwrap();
    }
    logger.close(TIMEOUT).unwrap();
    let sealed = sealed_segments(directory.path()).unwrap();
    assert!(sealed.len() > 3, "{sealed:?}");
    (directory, sealed)
}

fn page(directory: &Path, order: Order, after: u64) -> Summary {
    let search = Search::new(directory).order(order).after(Cursor::Seq(after));
    search.each(|_| ControlFlow::Continue(())).unwrap()
}

#[test]
fn a_page_reports_that_its_first_segment_is_missing() {
    for order in [Order::OldestFirst, Order::NewestFirst] {
        for gone in [0, 2] {
            let (directory, sealed) = trail();
            assert!(page(directory.path(), order, sealed[gone].first_seq + 5).fault.is_none());
            fs::remove_file(&sealed[gone].path).unwrap();
            let summary = page(directory.path(), order, sealed[gone].first_seq + 5);
            assert!(summary.fault.is_some(), "{order:?} without segment {gone}");
        }
    }
}

#[test]
fn a_page_of_older_lines_ignores_newer_ones() {
    let (directory, sealed) = trail();
    let active = directory.path().join(ACTIVE);
    let text = fs::read_to_string(&active).unwrap();
    let changed = text.replacen("\"description\":\"", "\"description\":\"~", 1);
    assert_ne!(changed, text);
    fs::write(&active, changed).unwrap();
    assert!(page(directory.path(), Order::NewestFirst, u64::MAX).fault.is_some());
    let summary = page(directory.path(), Order::NewestFirst, sealed[2].first_seq + 5);
    assert_eq!(summary.found, sealed[2].first_seq + 5);
    assert!(summary.fault.is_none(), "{:?}", summary.fault);
}

/// Searches with a time limit that is over at once, until nothing is left, must find what one search finds.
fn assert_continues(directory: &Path, order: Order) {
    let lines = |search: &Search| {
        let mut lines = Vec::new();
        let summary = search.each(|found| {
            lines.push(found.row.line().to_owned());
            ControlFlow::Continue(())
        });
        (lines, summary.unwrap())
    };
    let whole = Search::new(directory).order(order);
    let limited = whole.clone().time_limit(Duration::ZERO);
    let (mut search, mut all) = (limited.clone(), Vec::new());
    for _ in 0..10_000 {
        let (more, summary) = lines(&search);
        assert_eq!(summary.fault, None);
        all.extend(more);
        if !summary.is_out_of_time {
            assert_eq!(all, lines(&whole).0, "{order:?}");
            return;
        }
        search = limited.clone().after(summary.next.unwrap());
    }
    panic!("a search that ran out of time did not come further: {order:?}");
}

#[test]
fn searches_that_ran_out_of_time_continue_until_every_line_was_found_once() {
    let (directory, _) = trail();
    let legacy = "{\"timestamp\": \"2026-11-24T09:00:00+00:00\", \"description\": \"Legacy\"}\n";
    for order in [Order::OldestFirst, Order::NewestFirst] {
        assert_continues(directory.path(), order);
    }
    fs::write(directory.path().join("audit.jsonl.1"), legacy.repeat(200)).unwrap();
    for order in [Order::OldestFirst, Order::NewestFirst] {
        assert_continues(directory.path(), order);
    }
}
