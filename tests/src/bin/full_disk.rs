//! Records until the disk is full, frees space, and records again: `full_disk DIRECTORY`.
//!
//! The full disk is simulated by the process's limit on file size, which shortens and then refuses writes as
//! a full disk does, and needs no privileges. The caller must ignore SIGXFSZ for this process.

use std::fs;
use std::time::Duration;

use auditx_core::{AuditLogger, Config, JournalKind};
use auditx_tests::clock::StoppedClock;
use auditx_tests::report::print_line;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// How many entries are refused before the limit is lifted.
const REFUSED: u64 = 7;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, directory] = arguments.as_slice() else { panic!("usage: full_disk DIRECTORY") };
    let config = Config::new(directory).hostname("erp-1").origin("erp.example.com").clock(StoppedClock);
    // With a ring, entries wait in it instead of being refused.
    let config = config.journal(JournalKind::Direct);
    let logger = AuditLogger::open(config).expect("the trail opens");
    let active = logger.trail_dir().expect("it is open").join("audit.jsonl");
    let unlimited = getrlimit(Resource::Fsize);
    let length = fs::metadata(&active).expect("the active segment is there").len();
    limit(Rlimit { current: Some(length + 10_000), ..unlimited });

    let mut accepted = 0;
    let mut refused = 0;
    while refused < REFUSED {
        match logger.log("Goods received").record() {
            Ok(_) if refused > 0 => panic!("an entry was accepted although the disk is full"),
            Ok(_) => accepted += 1,
            Err(error) => {
                assert!(error.is_storage(), "{error:?}");
                assert_eq!(error.path(), Some(active.as_path()));
                refused += 1;
            }
        }
    }
    limit(unlimited);
    logger.log("The disk has space again").record().expect("the entry is accepted");
    let metrics = logger.metrics();
    assert_eq!((metrics.accepted, metrics.rejected), (accepted + 1, refused));
    logger.close(Duration::from_secs(60)).expect("the trail closes");
    print_line(&accepted);
}

fn limit(limit: Rlimit) {
    setrlimit(Resource::Fsize, limit).expect("a soft limit may be changed");
}
