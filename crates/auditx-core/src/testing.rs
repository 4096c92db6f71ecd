//! Support for an application's own tests: a temporary trail, and assertions on its entries.
//!
//! The trail is written by the real logger, so that a test sees what production writes: redaction, context,
//! encoding, limits. It is in memory on Linux (`/dev/shm`), otherwise in the temporary directory. Each test
//! has its own trail and there is no global state, so tests may run in parallel.
//!
//! ```
//! use auditx_core::testing::{Expected, TestTrail};
//! use auditx_core::{AuditAction, AuditLogger, BusinessModule, RequestContext};
//!
//! fn post_invoice(books: &AuditLogger) -> auditx_core::Result<()> {
//!     let (module, action) = (BusinessModule::Sales, AuditAction::Post);
//!     books.log_transaction("Sales invoice posted", module, action, "SI-1", 1_250_000).record()?;
//!     Ok(())
//! }
//!
//! let trail = TestTrail::new();
//! let _scope = RequestContext::new().user("thida").enter();
//! post_invoice(trail.logger())?;
//! let entry = trail.assert_one(
//!     &Expected::new("Sales invoice posted")
//!         .user("thida")
//!         .module(BusinessModule::Sales)
//!         .reference_no("SI-1")
//!         .amount(1_250_000),
//! );
//! assert!(entry.success);
//! trail.assert_none(&Expected::any().success(false));
//! # Ok::<(), auditx_core::Error>(())
//! ```

mod expected;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use auditx_format::clock::Timestamp;
use auditx_format::id::new_id;
use auditx_format::line::{RecordedEntry, StoredEntry};
use auditx_store::TrailReader;
use auditx_store::config::{Compression, Config, Durability, JournalKind};

use crate::logger::AuditLogger;

pub use expected::Expected;

const MEMORY: &str = "/dev/shm";

/// The timeout of waits in tests. Much longer than any of them takes, even on a busy machine.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(120);

/// A trail for one test. Its directory is removed on drop.
#[derive(Debug)]
pub struct TestTrail {
    // Dropped, and thereby closed, before the directory is removed.
    logger: AuditLogger,
    directory: Directory,
}

/// Removed when dropped.
#[derive(Debug)]
struct Directory(PathBuf);

impl TestTrail {
    /// Creates a trail with settings for tests: entries are in the trail when `record()` returns, segments
    /// are not compressed, and the hostname is `test-host`.
    ///
    /// # Panics
    /// If the directory cannot be created.
    #[must_use]
    pub fn new() -> Self {
        Self::with(|config| config)
    }

    /// Like [`TestTrail::new`], with additional settings, such as the application's currency and redaction
    /// rules.
    ///
    /// # Panics
    /// If the directory cannot be created, or the settings are invalid.
    #[must_use]
    pub fn with(settings: impl FnOnce(Config) -> Config) -> Self {
        let memory = PathBuf::from(MEMORY);
        let parent = if memory.is_dir() { memory } else { std::env::temp_dir() };
        let id = new_id(Timestamp::of(SystemTime::now()));
        let directory = parent.join(format!("auditx-test-{}", id.simple()));
        let config = Config::new(&directory)
            .journal(JournalKind::Direct)
            .durability(Durability::Os)
            .compression(Compression::None)
            .hostname("test-host");
        let opened = AuditLogger::open(settings(config));
        let logger = opened.unwrap_or_else(|error| panic!("cannot open a trail for the test: {error}"));
        Self { logger, directory: Directory(directory) }
    }

    /// Returns the logger, to be passed to the code under test or to the HTTP middleware.
    #[must_use]
    pub fn logger(&self) -> &AuditLogger {
        &self.logger
    }

    /// Returns the directory of the trail.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory.0
    }

    /// Closes the trail, to test how the application behaves if `record()` fails with `is_closed`.
    ///
    /// # Panics
    /// If the trail cannot be closed.
    pub fn close(&self) {
        self.logger.close(TIMEOUT).unwrap_or_else(|error| panic!("cannot close the trail: {error}"));
    }

    /// Returns the entries recorded so far, in order, without control records.
    ///
    /// # Panics
    /// If the trail cannot be read.
    #[must_use]
    pub fn entries(&self) -> Vec<StoredEntry> {
        let flushed = self.logger.flush(TIMEOUT);
        if let Err(error) = flushed.or_else(|error| if error.is_closed() { Ok(()) } else { Err(error) }) {
            panic!("cannot flush the trail: {error}");
        }
        let mut reader = TrailReader::new(self.directory(), 0);
        let mut entries = Vec::new();
        loop {
            let line = reader.next_line().unwrap_or_else(|error| panic!("cannot read the trail: {error}"));
            let Some((_, line)) = line else { break };
            let entry = RecordedEntry::from_line(line).and_then(|entry| entry.parse());
            entries.push(entry.unwrap_or_else(|error| panic!("cannot read the trail: {error}")));
        }
        entries.retain(|entry: &StoredEntry| entry.control_record.is_none());
        entries
    }

    /// Returns the entries that match `expected`.
    ///
    /// # Panics
    /// If the trail cannot be read.
    #[must_use]
    pub fn matching(&self, expected: &Expected) -> Vec<StoredEntry> {
        let mut entries = self.entries();
        entries.retain(|entry| expected.mismatches(entry).is_empty());
        entries
    }

    /// Asserts that exactly one entry matches `expected`, and returns it.
    ///
    /// # Panics
    /// If no entry or more than one matches. The message lists the closest entries and their differences.
    #[track_caller]
    pub fn assert_one(&self, expected: &Expected) -> StoredEntry {
        let mut found = self.assert_count(expected, 1);
        found.remove(0)
    }

    /// Asserts that exactly `count` entries match `expected`, and returns them.
    ///
    /// # Panics
    /// If more or fewer entries match.
    #[track_caller]
    pub fn assert_count(&self, expected: &Expected, count: usize) -> Vec<StoredEntry> {
        let found = self.matching(expected);
        assert!(
            found.len() == count,
            "{} entries match, {count} were expected: {expected:?}\n{}",
            found.len(),
            self.closest(expected)
        );
        found
    }

    /// Asserts that no entry matches `expected`.
    ///
    /// # Panics
    /// If an entry matches.
    #[track_caller]
    pub fn assert_none(&self, expected: &Expected) {
        self.assert_count(expected, 0);
    }

    /// Describes the entries of the trail, those with the fewest mismatches first.
    fn closest(&self, expected: &Expected) -> String {
        const SHOWN: usize = 5;
        let entries = self.entries();
        let mut compared: Vec<_> = entries.iter().map(|entry| (expected.mismatches(entry), entry)).collect();
        compared.sort_by_key(|(mismatches, _)| mismatches.len());
        let mut text = format!("the trail has {} entries", entries.len());
        for (mismatches, entry) in compared.iter().take(SHOWN) {
            let result = if mismatches.is_empty() { "matches".to_owned() } else { mismatches.join(", ") };
            text.push_str(&format!("\n  {} {:?}: {result}", entry.seq, entry.description));
        }
        text
    }
}

impl Default for TestTrail {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // A clone of the logger that is still open continues to write to the removed files.
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("cannot remove the trail of a test, {}: {error}", self.0.display());
        }
    }
}

#[cfg(test)]
mod tests;
