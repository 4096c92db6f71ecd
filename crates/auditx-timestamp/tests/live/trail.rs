//! A trail, and a clock that can be set.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use auditx_core::{AuditLogger, Clock, Config};
use auditx_reader::{Verification, VerifyOptions, key_in_directory, latest_checkpoint, verify};
use auditx_tests::deadline::TIMEOUT;
use auditx_tests::tsa::Authority;
use auditx_timestamp::{Roots, verified};
use tempfile::TempDir;

/// The clock of the system, and the seconds that it is ahead.
#[derive(Debug, Clone, Default)]
pub(crate) struct SetClock(Arc<AtomicI64>);

impl SetClock {
    pub(crate) fn set(&self, seconds_ahead: i64) {
        self.0.store(seconds_ahead, Ordering::SeqCst);
    }
}

impl Clock for SetClock {
    fn now(&self) -> SystemTime {
        let ahead = self.0.load(Ordering::SeqCst);
        let distance = Duration::from_secs(ahead.unsigned_abs());
        if ahead < 0 { SystemTime::now() - distance } else { SystemTime::now() + distance }
    }
}

pub(crate) fn record(logger: &AuditLogger, count: usize) {
    for number in 0..count {
        logger.log(format!("Invoice {number} posted")).record().unwrap();
    }
    logger.flush(TIMEOUT).unwrap();
}

/// A closed trail with this many entries.
pub(crate) fn closed(count: usize) -> TempDir {
    let directory = TempDir::new().unwrap();
    let logger = AuditLogger::open(Config::new(directory.path())).unwrap();
    record(&logger, count);
    logger.close(TIMEOUT).unwrap();
    directory
}

/// Opens the trail again, records, and closes it.
pub(crate) fn extend(directory: &Path, clock: &SetClock, count: usize) {
    let logger = AuditLogger::open(Config::new(directory).clock(clock.clone())).unwrap();
    record(&logger, count);
    logger.close(TIMEOUT).unwrap();
}

pub(crate) fn roots(authority: &Authority) -> Roots {
    Roots::parse(&authority.root()).unwrap()
}

/// Verifies a trail with the key that it has, a checkpoint, and its time stamps.
pub(crate) fn verification(directory: &Path, authority: &Authority) -> Verification {
    let (dated, unusable) = verified(directory, &roots(authority)).unwrap();
    let known = latest_checkpoint(directory).unwrap();
    let key = key_in_directory(directory, known.origin()).unwrap().unwrap();
    let options = VerifyOptions::new().key(key).known(known).time_stamps(dated, unusable);
    verify(directory, &options, &mut |_, _| ()).unwrap()
}
