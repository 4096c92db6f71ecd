//! Records on a disk that refuses after a while, makes room, and goes on: `full_disk DIRECTORY`.
//!
//! The disk is the process's own limit on the size of a file, which cuts writes and then refuses them just as a full
//! disk does, and needs no privilege. Whoever starts this ignores SIGXFSZ for it.

use std::fs;
use std::time::Duration;

use auditx_core::{AuditLogger, Config, JournalKind};
use auditx_tests::clock::StoppedClock;
use auditx_tests::report::say;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// How many entries are refused before there is room again.
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
            Ok(_) if refused > 0 => panic!("an entry was accepted where there is no room"),
            Ok(_) => accepted += 1,
            Err(error) => {
                assert!(error.is_storage(), "{error:?}");
                assert_eq!(error.path(), Some(active.as_path()));
                refused += 1;
            }
        }
    }
    limit(unlimited);
    logger.log("There is room again").record().expect("recording goes on");
    let metrics = logger.metrics();
    assert_eq!((metrics.accepted, metrics.rejected), (accepted + 1, refused));
    logger.close(Duration::from_secs(60)).expect("the trail closes");
    say(&accepted);
}

fn limit(limit: Rlimit) {
    setrlimit(Resource::Fsize, limit).expect("a soft limit may be changed");
}
