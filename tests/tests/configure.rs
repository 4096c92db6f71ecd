//! Configures the process-wide logger repeatedly while threads record. The only test in its process, because
//! `audit()` is global.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use auditx_core::{Config, Error, audit, configure};
use auditx_tests::deadline::{TIMEOUT, wait_until};
use auditx_tests::stop::Stop;
use auditx_tests::trail::entries;

const THREADS: u64 = 8;

/// Records until `stop` is set. Returns the number of accepted entries and the errors of refused ones.
fn record_until(stop: &Stop, thread: u64, accepted: &AtomicU64) -> (u64, Vec<Error>) {
    let mut refused = Vec::new();
    let mut number = 0;
    while !stop.is_set() {
        match audit().log(format!("{thread} {number}")).record() {
            Ok(_) => {
                number += 1;
                accepted.fetch_add(1, Ordering::SeqCst);
            }
            Err(error) => refused.push(error),
        }
    }
    (number, refused)
}

#[test]
fn each_entry_is_in_exactly_one_trail() {
    let directory = tempfile::tempdir().unwrap();
    let directories: Vec<PathBuf> = (0..3).map(|number| directory.path().join(number.to_string())).collect();
    configure(Config::new(&directories[0])).unwrap();
    let (stop, accepted) = (Stop::default(), AtomicU64::new(0));
    let outcomes: Vec<(u64, Vec<Error>)> = std::thread::scope(|scope| {
        let stopping = stop.when_dropped();
        let recorders: Vec<_> = (0..THREADS)
            .map(|thread| {
                scope.spawn({
                    let (stop, accepted) = (&stop, &accepted);
                    move || record_until(stop, thread, accepted)
                })
            })
            .collect();
        for round in 0..60 {
            // Each directory twice in a row, so that it follows another directory and itself.
            configure(Config::new(&directories[round / 2 % directories.len()]).max_file_bytes(262_144))
                .unwrap();
            if round % 3 != 0 {
                let before = accepted.load(Ordering::SeqCst);
                wait_until("entries after a configure", || accepted.load(Ordering::SeqCst) > before + 100);
            }
        }
        drop(stopping);
        recorders.into_iter().map(|recorder| recorder.join().unwrap()).collect()
    });
    audit().close(TIMEOUT).unwrap();

    let mut found: BTreeMap<String, u64> = BTreeMap::new();
    for directory in &directories {
        for line in entries(directory) {
            *found.entry(line.description().to_owned()).or_default() += 1;
        }
    }
    let mut expected: BTreeMap<String, u64> = BTreeMap::new();
    for (thread, (count, _)) in outcomes.iter().enumerate() {
        expected.extend((0..*count).map(|number| (format!("{thread} {number}"), 1)));
    }
    assert!(expected.len() > 4_000, "{}", expected.len());
    assert!(found == expected, "{} different entries found, {} accepted", found.len(), expected.len());
    let refused: Vec<&Error> = outcomes.iter().flat_map(|(_, refused)| refused).collect();
    assert!(refused.is_empty(), "{} entries were refused: {:?}", refused.len(), refused[0]);
}
