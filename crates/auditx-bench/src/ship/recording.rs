//! The cost of an embedded shipper for recording calls: the same calls at a fixed rate, with and without a
//! shipper.

use std::time::{Duration, Instant};

use auditx_core::{AuditLogger, Config};
use auditx_postgres::Postgres;
use auditx_ship::{Settings, Shipper};
use auditx_tests::postgres::Server;
use serde::Serialize;

use super::TIMEOUT;
use crate::repetition::Repetition;
use crate::{Outcome, facts, quantile};

/// Entries per second: many for an ERP, but few enough that the processors are idle in between.
const RATE: u32 = 5_000;

const SECONDS: u32 = 4;

#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) subject: String,
    entries_per_s: u32,
    p50_ns: f64,
    pub(crate) ratio: f64,
    runs: u32,
}

pub(super) fn rows(repetition: &Repetition) -> Outcome<Vec<Row>> {
    let server = Server::start_with(&[]);
    let url = server.url("admin", server.port());
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(auditx_postgres::init(&url))?;
    let (mut alone, mut shipped) = (Vec::new(), Vec::new());
    for round in 1..=repetition.runs {
        eprintln!("run {round} of {}: recording", repetition.runs);
        alone.push(p50(repetition, None)?);
        shipped.push(p50(repetition, Some(&url))?);
    }
    let (alone, shipped) = (quantile::median(alone), quantile::median(shipped));
    let row = |subject: &str, p50_ns: f64| Row {
        subject: subject.to_owned(),
        entries_per_s: RATE,
        p50_ns,
        ratio: super::rounded(p50_ns / alone),
        runs: repetition.runs,
    };
    Ok(vec![row("recording", alone), row("recording-and-shipping", shipped)])
}

/// Returns the median duration of a call in nanoseconds.
fn p50(repetition: &Repetition, url: Option<&str>) -> Outcome<f64> {
    let directory = repetition.directory()?;
    let logger = AuditLogger::open(Config::new(directory.path()).hostname(facts::HOSTNAME))?;
    let shipper = match url {
        Some(url) => Some(Shipper::spawn(directory.path(), Postgres::new(url)?, Settings::default())?),
        None => None,
    };
    let _scope = facts::context()?.enter();
    let mut times = Vec::new();
    let begin = Instant::now();
    for call in 0..RATE * SECONDS {
        let due = begin + Duration::from_secs(1) * call / RATE;
        while Instant::now() < due {
            std::thread::sleep(due.saturating_duration_since(Instant::now()).min(Duration::from_millis(1)));
        }
        let called = Instant::now();
        facts::record(&logger, call.into())?;
        times.push(called.elapsed());
    }
    logger.close(TIMEOUT)?;
    if let Some(shipper) = shipper {
        let size = logger.checkpoint().map_or(0, |checkpoint| checkpoint.size());
        if !shipper.wait_until(Instant::now() + TIMEOUT, |progress| progress.next == size) {
            return Err(format!("not all lines were shipped in time: {:?}", shipper.progress()).into());
        }
        shipper.stop(Instant::now() + TIMEOUT)?;
    }
    Ok(quantile::median(times.iter().map(|time| time.as_secs_f64() * 1e9)))
}
