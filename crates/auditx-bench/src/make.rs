//! `make`: creates a large trail like that of an ERP, for benchmarks and for trying out commands.
//!
//! The library itself writes the trail, with a clock that runs from 2026-11-01 over the given number of days.
//! The same seed gives the same entries, except for their ids. Every sealed segment has its skip index, and
//! is compressed if requested.

mod entries;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use auditx_core::{AuditLogger, Clock, Compression, Config};
use auditx_store::{SegmentIndex, sealed_segments};
use clap::Args;

use crate::{Outcome, facts};

use entries::Business;

/// 2026-11-01T00:00:00Z
const BEGIN: Duration = Duration::from_secs(1_793_491_200);

/// A time limit far longer than closing, indexing and compressing the trail of any benchmark takes.
const TIMEOUT: Duration = Duration::from_secs(600);

/// The interval at which the progress of maintenance is checked; the library does not signal its completion.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Number of entries
    #[arg(long, default_value_t = 1_000_000)]
    entries: u64,
    /// Directory of the trail; it must not contain one yet
    #[arg(long)]
    dir: PathBuf,
    /// Number of days that the entries cover
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3_650))]
    days: u64,
    /// Compress sealed segments
    #[arg(long)]
    compressed: bool,
    /// Seed of the random entries
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl Options {
    /// Returns the default options of `make`.
    pub(crate) fn plain(dir: PathBuf, entries: u64) -> Self {
        Self { entries, dir, days: 30, compressed: false, seed: 1 }
    }

    fn config(&self, clock: Arc<Calendar>) -> Config {
        let compression = if self.compressed { Compression::Zstd } else { Compression::None };
        Config::new(&self.dir).hostname(facts::HOSTNAME).compression(compression).clock(Shown(clock))
    }
}

/// Creates a trail and prints its size.
pub(crate) fn make(options: &Options) -> Outcome<()> {
    let bytes = make_trail(options)?;
    println!("{} entries, {} MB of lines in {}", options.entries, bytes / 1_000_000, options.dir.display());
    Ok(())
}

/// Creates a trail and returns the size of its lines in bytes. Fails if there is a trail already.
pub(crate) fn make_trail(options: &Options) -> Outcome<u64> {
    if options.dir.join(auditx_store::ACTIVE).exists() {
        return Err(format!("{} already contains a trail", options.dir.display()).into());
    }
    let clock = Arc::new(Calendar::default());
    let logger = AuditLogger::open(options.config(clock.clone()))?;
    let span = u128::from(options.days) * 86_400 * 1_000_000;
    let mut business = Business::new(options.seed);
    for number in 0..options.entries {
        let micros = span * u128::from(number) / u128::from(options.entries.max(1));
        clock.0.store(u64::try_from(micros)?, Ordering::Relaxed);
        business.record(&logger, number)?;
    }
    let bytes = logger.metrics().bytes;
    logger.close(TIMEOUT)?;
    finish_maintenance(options, clock)?;
    Ok(bytes)
}

/// Opens the trail again, so that maintenance can finish what closing interrupted.
fn finish_maintenance(options: &Options, clock: Arc<Calendar>) -> Outcome<()> {
    let logger = AuditLogger::open(options.config(clock))?;
    let deadline = Instant::now() + TIMEOUT;
    while !is_finished(&options.dir, options.compressed)? {
        if Instant::now() > deadline {
            return Err(format!("maintenance of {} did not finish in time", options.dir.display()).into());
        }
        std::thread::sleep(POLL_INTERVAL);
    }
    Ok(logger.close(TIMEOUT)?)
}

fn is_finished(directory: &Path, compressed: bool) -> Outcome<bool> {
    for segment in sealed_segments(directory)? {
        if (compressed && !segment.compressed) || SegmentIndex::read(directory, &segment)?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The clock of the trail: microseconds since its first day.
#[derive(Debug, Default)]
struct Calendar(AtomicU64);

#[derive(Debug)]
struct Shown(Arc<Calendar>);

impl Clock for Shown {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + BEGIN + Duration::from_micros(self.0.0.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sealed_segment_of_a_created_trail_has_an_index() {
        for compressed in [false, true] {
            let directory = tempfile::tempdir().unwrap();
            let dir = directory.path().to_owned();
            let options = Options { compressed, ..Options::plain(dir, 60_000) };
            make_trail(&options).unwrap();
            let sealed = sealed_segments(directory.path()).unwrap();
            assert!(!sealed.is_empty());
            for segment in sealed {
                assert_eq!(segment.compressed, compressed, "{segment:?}");
                assert!(SegmentIndex::read(directory.path(), &segment).unwrap().is_some(), "{segment:?}");
            }
        }
    }
}
