//! For an application's own tests: a trail in memory, and assertions that say what they missed.
//!
//! It is the real logger, on a file system in memory where there is one (Linux: `/dev/shm`; elsewhere the temporary directory), so
//! that what a test sees is what production writes: redaction, context, encoding, limits. Each test has a trail of its own;
//! there are no globals, and tests may run at once.
//!
//! ```
//! use auditx_core::testing::{Expected, TestTrail};
//! use auditx_core::{AuditAction, AuditLogger, BusinessModule, RequestContext};
//!
//! fn post_invoice(books: &AuditLogger) -> auditx_core::Result<()> {
//!     books
//!         .log_transaction("Sales invoice posted", BusinessModule::Sales, AuditAction::Post, "SI-1", 1_250_000)
//!         .record()?;
//!     Ok(())
//! }
//!
//! let trail = TestTrail::new();
//! let _scope = RequestContext::new().user("thida").enter();
//! post_invoice(trail.logger())?;
//! let entry = trail.assert_one(
//!     &Expected::new("Sales invoice posted").user("thida").module(BusinessModule::Sales).reference_no("SI-1").amount(1_250_000),
//! );
//! assert!(entry.success);
//! trail.assert_none(&Expected::any().success(false));
//! # Ok::<(), auditx_core::Error>(())
//! ```

mod expected;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::clock::Timestamp;
use crate::config::{Compression, Config, Durability, JournalKind};
use crate::id::new_id;
use crate::line::{RecordedEntry, StoredEntry};
use crate::logger::AuditLogger;
use crate::segment::TrailReader;

pub use expected::Expected;

const MEMORY: &str = "/dev/shm";

/// Far longer than anything takes that a test waits for, on a busy machine too.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A trail for one test; gone when dropped.
#[derive(Debug)]
pub struct TestTrail {
    // Closed first: then nobody makes files any more.
    logger: AuditLogger,
    directory: Directory,
}

/// Removed when dropped.
#[derive(Debug)]
struct Directory(PathBuf);

impl TestTrail {
    /// A new one, with defaults that suit a test: what `record()` accepted is readable when it returns, nothing is compressed, the
    /// host is called `test-host`.
    ///
    /// # Panics
    /// Where no directory can be made.
    #[must_use]
    pub fn new() -> Self {
        Self::with(|config| config)
    }

    /// The same, with the application's own settings: its currency, its rules of redaction.
    ///
    /// # Panics
    /// Where no directory can be made, or the settings cannot work.
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
        let logger = opened.unwrap_or_else(|error| panic!("a trail for a test could not be opened: {error}"));
        Self { logger, directory: Directory(directory) }
    }

    /// Its logger: hand it to what is tested, or to the HTTP middleware.
    #[must_use]
    pub fn logger(&self) -> &AuditLogger {
        &self.logger
    }

    /// Where its files are.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory.0
    }

    /// From now on nothing is recorded, and `record()` says `is_closed`: how does the application take it?
    ///
    /// # Panics
    /// Where the trail does not close.
    pub fn refuse(&self) {
        self.logger.close(PATIENCE).unwrap_or_else(|error| panic!("the trail does not close: {error}"));
    }

    /// What was recorded so far, in order; the library's own records apart.
    ///
    /// # Panics
    /// Where the trail cannot be read.
    #[must_use]
    pub fn entries(&self) -> Vec<StoredEntry> {
        let ready = self.logger.flush(PATIENCE);
        if let Err(error) = ready.or_else(|error| if error.is_closed() { Ok(()) } else { Err(error) }) {
            panic!("the trail does not come to rest: {error}");
        }
        let mut reader = TrailReader::new(self.directory(), 0);
        let mut entries = Vec::new();
        loop {
            let line = reader.next_line().unwrap_or_else(|error| panic!("the trail cannot be read: {error}"));
            let Some((_, line)) = line else { break };
            let entry = RecordedEntry::from_line(line).and_then(|entry| entry.parse());
            entries.push(entry.unwrap_or_else(|error| panic!("the trail cannot be read: {error}")));
        }
        entries.retain(|entry: &StoredEntry| entry.control_record.is_none());
        entries
    }

    /// The entries that are as expected.
    ///
    /// # Panics
    /// Where the trail cannot be read.
    #[must_use]
    pub fn matching(&self, expected: &Expected) -> Vec<StoredEntry> {
        let mut entries = self.entries();
        entries.retain(|entry| expected.misses(entry).is_empty());
        entries
    }

    /// The one entry that is as expected.
    ///
    /// # Panics
    /// Where there is none, saying which came nearest and in what it differs; where there are several.
    #[track_caller]
    pub fn assert_one(&self, expected: &Expected) -> StoredEntry {
        let mut found = self.assert_count(expected, 1);
        found.remove(0)
    }

    /// So many entries that are as expected.
    ///
    /// # Panics
    /// Where there are more or fewer.
    #[track_caller]
    pub fn assert_count(&self, expected: &Expected, count: usize) -> Vec<StoredEntry> {
        let found = self.matching(expected);
        assert!(
            found.len() == count,
            "{} entries instead of {count} are as expected: {expected:?}\n{}",
            found.len(),
            self.nearest(expected)
        );
        found
    }

    /// No entry is as described.
    ///
    /// # Panics
    /// Where one is.
    #[track_caller]
    pub fn assert_none(&self, expected: &Expected) {
        self.assert_count(expected, 0);
    }

    /// What there is instead, the nearest first.
    fn nearest(&self, expected: &Expected) -> String {
        const SHOWN: usize = 5;
        let entries = self.entries();
        let mut by_misses: Vec<_> = entries.iter().map(|entry| (expected.misses(entry), entry)).collect();
        by_misses.sort_by_key(|(misses, _)| misses.len());
        let mut text = format!("the trail has {} entries", entries.len());
        for (misses, entry) in by_misses.iter().take(SHOWN) {
            let verdict = if misses.is_empty() { "as expected".to_owned() } else { misses.join(", ") };
            text.push_str(&format!("\n  {} {:?}: {verdict}", entry.seq, entry.description));
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
        // A clone of the logger that lives on writes to files that have no name any more.
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("a test's trail stays in {}: {error}", self.0.display());
        }
    }
}

#[cfg(test)]
mod tests;
