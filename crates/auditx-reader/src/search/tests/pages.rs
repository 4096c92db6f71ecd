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

#[test]
fn searches_that_ran_out_of_time_continue_until_every_line_was_found_once() {
    let (directory, _) = trail();
    for order in [Order::OldestFirst, Order::NewestFirst] {
        let seqs = |search: &Search| {
            let mut seqs = Vec::new();
            let summary = search.each(|found| {
                seqs.push(found.row.seq().unwrap());
                ControlFlow::Continue(())
            });
            (seqs, summary.unwrap())
        };
        let whole = Search::new(directory.path()).order(order);
        let limited = whole.clone().time_limit(Duration::ZERO);
        let (mut search, mut all, mut pages) = (limited.clone(), Vec::new(), 0);
        loop {
            let (more, summary) = seqs(&search);
            assert_eq!(summary.fault, None);
            all.extend(more);
            pages += 1;
            if !summary.is_out_of_time {
                break;
            }
            search = limited.clone().after(summary.next.unwrap());
        }
        assert_eq!(all, seqs(&whole).0, "{order:?}");
        assert!(pages > 3, "{pages} pages");
    }
}
