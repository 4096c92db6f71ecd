//! `make`: a large trail as an ERP would leave it, for measuring and for trying commands out.
//!
//! Comes in: how many entries, a directory, over how many days, a seed. Goes out: a closed trail, written by the library itself under
//! a clock that runs from 2026-11-01 through those days; the same entries for the same seed, but for their ids. Every sealed segment
//! of it has its skip index, and is compressed where that was asked for.

mod entries;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use auditx_core::{AuditLogger, Clock, Compression, Config, SegmentIndex, sealed_segments};
use clap::Args;

use crate::{Outcome, facts};

use entries::Business;

/// 2026-11-01T00:00:00Z
const BEGIN: Duration = Duration::from_secs(1_793_491_200);

/// Far longer than it takes to close, index and compress what any measurement makes.
const PATIENCE: Duration = Duration::from_secs(600);

/// Between two looks at what the maintenance has done: the library tells nobody when it is through.
const LOOK: Duration = Duration::from_millis(20);

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How many entries
    #[arg(long, default_value_t = 1_000_000)]
    entries: u64,
    /// Where; there must be no trail yet
    #[arg(long)]
    dir: PathBuf,
    /// Over how many days
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3_650))]
    days: u64,
    /// Sealed segments are compressed
    #[arg(long)]
    compressed: bool,
    /// Other entries
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl Options {
    /// As `make` makes it when it is told nothing else.
    pub(crate) fn plain(dir: PathBuf, entries: u64) -> Self {
        Self { entries, dir, days: 30, compressed: false, seed: 1 }
    }

    fn config(&self, clock: Arc<Calendar>) -> Config {
        let compression = if self.compressed { Compression::Zstd } else { Compression::None };
        Config::new(&self.dir).hostname(facts::HOSTNAME).compression(compression).clock(Shown(clock))
    }
}

/// Makes it and says what it made.
pub(crate) fn make(options: &Options) -> Outcome<()> {
    let bytes = make_trail(options)?;
    println!("{} entries, {} MB of lines in {}", options.entries, bytes / 1_000_000, options.dir.display());
    Ok(())
}

/// Makes it and gives the bytes of its lines. Fails where there is a trail already.
pub(crate) fn make_trail(options: &Options) -> Outcome<u64> {
    if options.dir.join(auditx_core::ACTIVE).exists() {
        return Err(format!("there is a trail in {} already", options.dir.display()).into());
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
    logger.close(PATIENCE)?;
    settle(options, clock)?;
    Ok(bytes)
}

/// Opens the trail once more and lets the maintenance finish what closing interrupted.
fn settle(options: &Options, clock: Arc<Calendar>) -> Outcome<()> {
    let logger = AuditLogger::open(options.config(clock))?;
    let deadline = Instant::now() + PATIENCE;
    while !is_settled(&options.dir, options.compressed)? {
        if Instant::now() > deadline {
            return Err(format!("sealed segments of {} still have no index", options.dir.display()).into());
        }
        std::thread::sleep(LOOK);
    }
    Ok(logger.close(PATIENCE)?)
}

fn is_settled(directory: &Path, compressed: bool) -> Outcome<bool> {
    for segment in sealed_segments(directory)? {
        if (compressed && !segment.compressed) || SegmentIndex::read(directory, &segment)?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Microseconds since the beginning.
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
    fn every_sealed_segment_of_a_made_trail_has_its_index() {
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
