//! `make`: a large trail as an ERP would leave it, for measuring and for trying commands out.
//!
//! Comes in: how many entries, a directory, over how many days, a seed. Goes out: a closed trail, written by the library itself under
//! a clock that runs from 2026-11-01 through those days; the same entries for the same seed, but for their ids.

mod entries;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use auditx_core::{AuditLogger, Clock, Compression, Config};
use clap::Args;

use crate::{Outcome, facts};

use entries::Business;

/// 2026-11-01T00:00:00Z
const BEGIN: Duration = Duration::from_secs(1_793_491_200);

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

/// Makes it and says what it made.
pub(crate) fn make(options: &Options) -> Outcome<()> {
    let bytes = make_trail(options)?;
    println!("{} entries, {} MB of lines in {}", options.entries, bytes / 1_000_000, options.dir.display());
    Ok(())
}

fn make_trail(options: &Options) -> Outcome<u64> {
    if options.dir.join(auditx_core::ACTIVE).exists() {
        return Err(format!("there is a trail in {} already", options.dir.display()).into());
    }
    let compression = if options.compressed { Compression::Zstd } else { Compression::None };
    let clock = std::sync::Arc::new(Calendar::default());
    let config = Config::new(&options.dir)
        .hostname(facts::HOSTNAME)
        .compression(compression)
        .clock(Shown(clock.clone()));
    let logger = AuditLogger::open(config)?;
    let span = u128::from(options.days) * 86_400 * 1_000_000;
    let mut business = Business::new(options.seed);
    for number in 0..options.entries {
        let micros = span * u128::from(number) / u128::from(options.entries.max(1));
        clock.0.store(u64::try_from(micros)?, Ordering::Relaxed);
        business.record(&logger, number)?;
    }
    let bytes = logger.metrics().bytes;
    logger.close(Duration::from_secs(600))?;
    Ok(bytes)
}

/// Microseconds since the beginning.
#[derive(Debug, Default)]
struct Calendar(AtomicU64);

#[derive(Debug)]
struct Shown(std::sync::Arc<Calendar>);

impl Clock for Shown {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + BEGIN + Duration::from_micros(self.0.0.load(Ordering::Relaxed))
    }
}
