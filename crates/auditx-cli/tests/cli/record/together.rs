//! Tests of `auditx record` beside other processes that have the trail open.

use std::collections::HashSet;
use std::thread;

use auditx_tests::deadline::TIMEOUT;

use super::{entries, trail};
use crate::program::auditx;
use crate::trail::logger;

/// Runs a hundred commands at once, of which each records an entry. Returns the ids that they printed.
fn hundred(directory: &std::path::Path) -> HashSet<String> {
    thread::scope(|scope| {
        let begun: Vec<_> = (0..100)
            .map(|number| scope.spawn(move || auditx(&["record", &format!("job {number}")], directory)))
            .collect();
        begun
            .into_iter()
            .map(|thread| {
                let ended = thread.join().unwrap();
                assert_eq!((ended.status, ended.err.as_str()), (Some(0), ""));
                ended.out.trim().to_owned()
            })
            .collect()
    })
}

fn recorded(directory: &std::path::Path) -> HashSet<String> {
    entries(directory).iter().map(|entry| entry["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_hundred_at_once_record_beside_an_application() {
    let trail = trail();
    let logger = logger(trail.path());
    let ids = hundred(trail.path());
    logger.flush(TIMEOUT).unwrap();
    assert_eq!((ids.len(), recorded(trail.path())), (100, ids));
    logger.close(TIMEOUT).unwrap();
    let verified = auditx(&["verify"], trail.path());
    assert_eq!(verified.status, Some(3), "only the key is not known from elsewhere: {}", verified.out);
}

#[test]
fn a_hundred_at_once_record_without_an_application() {
    let trail = trail();
    let ids = hundred(trail.path());
    assert_eq!(ids.len(), 100);
    // The last of them to end has written what was left.
    assert_eq!(recorded(trail.path()), ids);
    let verified = auditx(&["verify"], trail.path());
    assert_eq!(verified.status, Some(3), "only the key is not known from elsewhere: {}", verified.out);
}

#[test]
fn a_durable_entry_beside_an_application_has_its_seq() {
    let trail = trail();
    let logger = logger(trail.path());
    let ended = auditx(&["record", "--durable", "job"], trail.path());
    let (id, seq) = ended.out.trim().split_once(' ').unwrap();
    let entry = entries(trail.path()).into_iter().find(|entry| entry["id"] == id).unwrap();
    assert_eq!(entry["seq"].to_string(), seq);
    logger.close(TIMEOUT).unwrap();
}

#[test]
fn maintenance_needs_a_trail_that_no_other_process_has_open() {
    let trail = trail();
    let logger = logger(trail.path());
    let refused = auditx(&["key", "rotate"], trail.path());
    assert_eq!(refused.status, Some(2), "{}", refused.err);
    assert!(refused.err.contains("process"), "{}", refused.err);
    logger.close(TIMEOUT).unwrap();
}
