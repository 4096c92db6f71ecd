//! How long shipping pauses when the leader of a stream with three replicas is killed: the longest time in
//! which no line is stored, from the kill until the entries recorded one second later are stored. One second
//! of it is the interval between two checkpoints.

use std::time::{Duration, Instant};

use async_nats::jetstream;
use auditx_core::{AuditLogger, Config};
use auditx_nats::Nats;
use auditx_ship::{Settings, Shipper};
use auditx_tests::nats::Servers;
use serde::Serialize;

use super::{TIMEOUT, rounded};
use crate::repetition::Repetition;
use crate::{Outcome, facts, quantile};

/// The pause between two entries.
const PAUSE: Duration = Duration::from_millis(5);

#[derive(Debug, Serialize)]
pub(super) struct Row {
    subject: &'static str,
    median_pause_s: f64,
    longest_pause_s: f64,
    runs: u32,
}

pub(super) fn row(repetition: &Repetition) -> Outcome<Row> {
    let mut pauses = Vec::new();
    for round in 1..=repetition.runs {
        eprintln!("run {round} of {}: a leader is killed", repetition.runs);
        pauses.push(pause(repetition)?.as_secs_f64());
    }
    Ok(Row {
        subject: "leader-killed",
        median_pause_s: rounded(quantile::median(pauses.iter().copied())),
        longest_pause_s: rounded(pauses.iter().copied().fold(0.0, f64::max)),
        runs: repetition.runs,
    })
}

fn pause(repetition: &Repetition) -> Outcome<Duration> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut servers = Servers::three();
    // The cluster elects its leader first.
    auditx_tests::deadline::wait_for("a stream on three servers", || {
        runtime.block_on(auditx_nats::init(&servers.url())).ok()
    });
    let directory = repetition.directory()?;
    let logger = AuditLogger::open(Config::new(directory.path()).hostname(facts::HOSTNAME))?;
    let shipper = Shipper::spawn(directory.path(), Nats::new(&servers.url())?, Settings::default())?;
    let _scope = facts::context()?.enter();
    let mut calls = 0;
    let mut record = || {
        calls += 1;
        std::thread::sleep(PAUSE);
        facts::record(&logger, calls)
    };
    let steady = Instant::now() + Duration::from_secs(3);
    while Instant::now() < steady || shipper.progress().next == 0 {
        record()?;
    }
    let leader = runtime.block_on(leader(&servers))?;
    servers.kill(leader);
    let killed = Instant::now();
    let (mut moved, mut next, mut longest) = (killed, shipper.progress().next, Duration::ZERO);
    let mut wanted = None;
    while wanted.is_none_or(|wanted| next < wanted) {
        record()?;
        if killed.elapsed() > Duration::from_secs(1) {
            wanted = wanted.or(logger.checkpoint().map(|checkpoint| checkpoint.size()));
        }
        let progress = shipper.progress();
        if progress.next > next {
            (longest, moved, next) = (longest.max(moved.elapsed()), Instant::now(), progress.next);
        }
    }
    logger.close(TIMEOUT)?;
    let size = logger.checkpoint().map_or(0, |checkpoint| checkpoint.size());
    if !shipper.wait_until(Instant::now() + TIMEOUT, |progress| progress.next == size) {
        return Err(format!("not all lines were shipped in time: {:?}", shipper.progress()).into());
    }
    shipper.stop(Instant::now() + TIMEOUT)?;
    Ok(longest)
}

/// Returns the number of the server that is the stream's leader.
async fn leader(servers: &Servers) -> Outcome<usize> {
    let client = async_nats::connect(format!("127.0.0.1:{}", servers.port(0))).await?;
    let mut stream = jetstream::new(client).get_stream("AUDIT").await?;
    let cluster = stream.info().await?.cluster.clone();
    let name = cluster.and_then(|cluster| cluster.leader).ok_or("the stream has no leader")?;
    Ok(name.trim_start_matches('n').parse()?)
}
