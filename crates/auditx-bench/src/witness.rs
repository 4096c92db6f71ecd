//! `witness`: measures the time from an entry to a checkpoint that three local witnesses cosigned, the
//! cosignatures per second of one witness for many logs, and what a policy adds to a verification.
//!
//! The witnesses are servers in this process, with HTTP over loopback and an fsync for each batch.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use auditx_core::{AuditLogger, Config};
use auditx_reader::{Answer, VerifyOptions, verify};
use auditx_tlog::{
    CompactRange, Hash, NodeIndex, Policy, SignedCheckpoint, Signer as _, SigningKey, Submission,
    VerifierKey, WitnessKey, leaf_hash, node_hash,
};
use auditx_witness::{Witness, Witnesses, router};
use clap::Args;
use futures_util::future::try_join_all;
use serde::Serialize;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use crate::goal::Goal;
use crate::make::{self, make_trail};
use crate::repetition::Repetition;
use crate::{Outcome, quantile, report};

/// Entries whose cosignature is waited for in a run.
const ENTRIES: usize = 10;

const LOGS: usize = 1_000;

/// Checkpoints of each log in a run.
const CHECKPOINTS: usize = 10;

/// Connections that submit at the same time.
const CONNECTIONS: usize = 64;

const TIMEOUT: Duration = Duration::from_secs(60);

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    repetition: Repetition,
    /// Number of entries of the trail to verify
    #[arg(long, default_value_t = 500_000, value_parser = clap::value_parser!(u64).range(10_000..))]
    entries: u64,
}

#[derive(Debug, Serialize)]
struct Row {
    what: &'static str,
    median: f64,
    unit: &'static str,
    runs: usize,
}

/// Runs the benchmark and prints the medians.
pub(crate) fn measure(options: &Options) -> Outcome<()> {
    let parent = options.repetition.parent()?;
    let (mut delays, mut rates, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let large = options.repetition.directory()?;
    make_trail(&make::Options::plain(large.path().to_owned(), options.entries))?;
    let policy = cosigned(large.path(), &parent)?;
    for round in 1..=options.repetition.runs {
        eprintln!("run {round} of {}", options.repetition.runs);
        delays.extend(delays_of_entries(&parent)?);
        rates.push(cosignatures_per_second(&parent)?);
        ratios.push(verification_ratio(large.path(), &policy)?);
    }
    let row = |what, unit, figures: &[f64]| Row {
        what,
        median: (quantile::median(figures.iter().copied()) * 1e3).round() / 1e3,
        unit,
        runs: figures.len(),
    };
    let rows = [
        row("an entry until three witnesses cosigned it", "ms", &delays),
        row("cosignatures for 1,000 logs", "1/s", &rates),
        row("verification with a policy, relative to one without", "x", &ratios),
    ];
    let goals = [
        ("cosigned at most 2,000 ms after an entry", rows[0].median <= 2_000.0),
        ("at least 2,000 cosignatures/s", rows[1].median >= 2_000.0),
        ("a policy costs at most 5 %", rows[2].median <= 1.05),
    ];
    for ((what, reached), row) in goals.into_iter().zip(&rows) {
        let goal = Goal { what, measured: format!("{} {}", row.median, row.unit), reached };
        let reached = if goal.reached { "reached" } else { "not reached" };
        eprintln!("{reached}: {}: {}", goal.what, goal.measured);
    }
    report::print(&rows, options.repetition.json)
}

/// A witness on a free port, until it is dropped.
struct Server {
    address: SocketAddr,
    key: WitnessKey,
    _runtime: Runtime,
    _state: TempDir,
}

fn served(parent: &Path, logs: Vec<VerifierKey>, number: usize) -> Outcome<Server> {
    let state = TempDir::new_in(parent)?;
    let name = format!("witness.example.com/w{number}");
    let key = Arc::new(SigningKey::generate());
    Witness::create(state.path(), &name, &*key)?;
    let witness = Witness::open(state.path(), &name, key, logs)?;
    let key = witness.key().clone();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let listener = runtime.block_on(async { tokio::net::TcpListener::from_std(listener) })?;
    runtime.spawn(async move { axum::serve(listener, router(Arc::new(witness))).await });
    Ok(Server { address, key, _runtime: runtime, _state: state })
}

/// Starts three witnesses for a log and returns a policy that requires all of them.
fn three(parent: &Path, log: &VerifierKey) -> Outcome<(Vec<Server>, Policy)> {
    let servers: Vec<Server> =
        (0..3).map(|number| served(parent, vec![log.clone()], number)).collect::<Outcome<_>>()?;
    let mut text = format!("log {log}\n");
    for (number, server) in servers.iter().enumerate() {
        text += &format!("witness w{number} {} http://{}\n", server.key, server.address);
    }
    let policy = Policy::parse((text + "group three all w0 w1 w2\nquorum three\n").as_bytes())?;
    Ok((servers, policy))
}

/// Returns the times from entries to a checkpoint that names them and that all witnesses cosigned, in
/// milliseconds.
fn delays_of_entries(parent: &Path) -> Outcome<Vec<f64>> {
    let trail = TempDir::new_in(parent)?;
    let logger = AuditLogger::open(Config::new(trail.path()))?;
    let (_servers, policy) = three(parent, &logger.verifier_key()?)?;
    let submitter = Witnesses::of(&policy)?.spawn(&logger)?;
    let mut delays = Vec::with_capacity(ENTRIES);
    for _ in 0..ENTRIES {
        let begin = Instant::now();
        let seq = logger.log("Invoice posted").record()?.wait_durable()?.seq;
        let is_cosigned = submitter.wait_until(TIMEOUT, |progress| {
            let cosigned = progress.cosigned.as_ref().filter(|cosigned| cosigned.size() > seq);
            cosigned.is_some_and(|cosigned| policy.witnessed_at(cosigned, u64::MAX).is_ok())
        });
        if !is_cosigned {
            return Err(format!("line {seq} was not cosigned: {:?}", submitter.progress()).into());
        }
        delays.push(begin.elapsed().as_secs_f64() * 1e3);
    }
    logger.close(TIMEOUT)?;
    Ok(delays)
}

/// Lets three witnesses cosign a closed trail.
fn cosigned(trail: &Path, parent: &Path) -> Outcome<Policy> {
    let logger = AuditLogger::open(Config::new(trail))?;
    let (_servers, policy) = three(parent, &logger.verifier_key()?)?;
    let submitter = Witnesses::of(&policy)?.spawn(&logger)?;
    logger.close(TIMEOUT)?;
    let progress = submitter.close();
    if progress.failures.is_empty() { Ok(policy) } else { Err(format!("{progress:?}").into()) }
}

/// Verifies with a policy, and with the same key and checkpoint without one, and returns the ratio of the
/// times.
fn verification_ratio(trail: &Path, policy: &Policy) -> Outcome<f64> {
    let known = auditx_reader::latest_checkpoint(trail)?;
    let key = policy.logs().first().ok_or("a policy with a log")?.clone();
    let without = VerifyOptions::new().key(key).known(known);
    let with = VerifyOptions::new().policy(policy.clone()).fresh(Duration::from_secs(86_400));
    let time = |options: &VerifyOptions| -> Outcome<f64> {
        let begin = Instant::now();
        let verification = verify(trail, options, &mut |_, _| ())?;
        match verification.answer {
            Answer::Intact => Ok(begin.elapsed().as_secs_f64()),
            _ => Err(format!("{verification:?}").into()),
        }
    };
    // Once for the page cache.
    time(&without)?;
    let (first, second) = (time(&without)?, time(&with)?);
    Ok(second / first)
}

/// A log and the bodies that it submits, one after the other.
fn submissions(number: usize) -> Outcome<(VerifierKey, Vec<String>)> {
    let (key, origin) = (SigningKey::generate(), format!("erp.example.com/auditx/{number}"));
    let leaves: Vec<Hash> = (0..=CHECKPOINTS).map(|leaf| leaf_hash(&leaf.to_le_bytes())).collect();
    let node = |(level, index): &NodeIndex| {
        let begin = usize::try_from(index << level).unwrap_or(usize::MAX);
        let mut hashes = leaves[begin..begin + (1 << level)].to_vec();
        while hashes.len() > 1 {
            hashes = hashes.chunks(2).map(|pair| node_hash(&pair[0], &pair[1])).collect();
        }
        hashes[0]
    };
    let (mut tree, mut bodies) = (CompactRange::new(0), Vec::new());
    for (size, leaf) in (1..=CHECKPOINTS as u64).zip(&leaves) {
        tree.push(*leaf);
        let root = tree.root().ok_or("a whole tree")?;
        let checkpoint = SignedCheckpoint::sign(&origin, size, &root, &[&key])?;
        let read = &mut |nodes: &[NodeIndex]| Ok::<_, auditx_tlog::Error>(nodes.iter().map(node).collect());
        bodies.push(Submission::make(size - 1, checkpoint, read)?.to_string());
    }
    Ok((VerifierKey::new(&origin, &key.public_key())?, bodies))
}

fn cosignatures_per_second(parent: &Path) -> Outcome<f64> {
    let logs: Vec<_> = (0..LOGS).map(submissions).collect::<Outcome<_>>()?;
    let server = served(parent, logs.iter().map(|(key, _)| key.clone()).collect(), 0)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let begin = Instant::now();
    let share = LOGS.div_ceil(CONNECTIONS);
    runtime.block_on(try_join_all(logs.chunks(share).map(|logs| submit_all(server.address, logs))))?;
    Ok(quantile::float((LOGS * CHECKPOINTS) as u64) / begin.elapsed().as_secs_f64())
}

/// Submits all bodies of these logs over one connection.
async fn submit_all(address: SocketAddr, logs: &[(VerifierKey, Vec<String>)]) -> Outcome<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    for step in 0..CHECKPOINTS {
        for (key, bodies) in logs {
            let body = &bodies[step];
            let head = format!(
                "POST /add-checkpoint HTTP/1.1\r\nHost: {address}\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all((head + body).as_bytes()).await?;
            let answer = read_answer(&mut stream).await?;
            if !answer.starts_with("HTTP/1.1 200") {
                return Err(format!("{}: {answer}", key.name()).into());
            }
        }
    }
    Ok(())
}

/// Reads an answer with a length.
async fn read_answer(stream: &mut TcpStream) -> Outcome<String> {
    let mut bytes = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        let read = stream.read(&mut chunk).await?;
        bytes.extend(&chunk[..read]);
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.ok_or("an answer without a length")?.parse()?;
            if body.len() >= length {
                return Ok(text.into_owned());
            }
        }
        if read == 0 {
            return Err("the witness closed the connection".into());
        }
    }
}
