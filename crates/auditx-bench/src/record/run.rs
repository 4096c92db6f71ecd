//! One run of one subject, in a process of its own.
//!
//! Comes in: subject, threads, entries, directory. Goes out: the run's figures as JSON. Every call is timed
//! by itself into memory that was touched before the start; the clock's own cost is in every subject's figure
//! alike.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use clap::Args;
use serde::{Deserialize, Serialize};

use super::subject::{Subject, SubjectName};
use crate::{Outcome, quantile};

#[derive(Debug, Args)]
pub(crate) struct RunOptions {
    pub(super) subject: SubjectName,
    #[arg(long)]
    pub(super) threads: u64,
    #[arg(long)]
    pub(super) entries: u64,
    #[arg(long)]
    pub(super) dir: PathBuf,
}

impl RunOptions {
    /// The arguments that say the same to another process.
    pub(super) fn to_arguments(&self) -> Vec<OsString> {
        vec![
            "record-run".into(),
            self.subject.to_string().into(),
            "--threads".into(),
            self.threads.to_string().into(),
            "--entries".into(),
            self.entries.to_string().into(),
            "--dir".into(),
            self.dir.clone().into(),
        ]
    }
}

/// The figures of one run.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Run {
    pub(super) p50_ns: f64,
    pub(super) p99_ns: f64,
    pub(super) p999_ns: f64,
    pub(super) sealed_per_s: f64,
    pub(super) entries: u64,
    /// Counted by the parent, in the files.
    #[serde(default)]
    pub(super) lines: u64,
}

/// Runs one subject and prints its figures.
pub(super) fn run(options: &RunOptions) -> Outcome<()> {
    let subject = options.subject.open(&options.dir)?;
    let figures = time(subject, options.threads, options.entries)?;
    println!("{}", serde_json::to_string(&figures)?);
    Ok(())
}

fn time(subject: Box<dyn Subject>, threads: u64, entries: u64) -> Outcome<Run> {
    let shares: Vec<u64> =
        (0..threads).map(|thread| entries / threads + u64::from(thread < entries % threads)).collect();
    let barrier = Barrier::new(shares.len());
    let measured: Vec<Outcome<Thread>> = std::thread::scope(|scope| {
        let spawned: Vec<_> = shares
            .iter()
            .enumerate()
            .map(|(at, share)| {
                let (subject, barrier) = (&*subject, &barrier);
                let first = shares[..at].iter().sum();
                scope.spawn(move || Thread::run(subject, first, *share, barrier))
            })
            .collect();
        spawned
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err("a caller panicked".into())))
            .collect()
    });
    let measured = measured.into_iter().collect::<Outcome<Vec<Thread>>>()?;
    let start = measured.iter().map(|thread| thread.start).min().ok_or("no threads")?;
    subject.drain()?;
    let elapsed = start.elapsed();

    let mut latencies: Vec<u64> = measured.into_iter().flat_map(|thread| thread.latencies).collect();
    latencies.sort_unstable();
    Ok(Run {
        p50_ns: float(quantile::per_mille(&latencies, 500)),
        p99_ns: float(quantile::per_mille(&latencies, 990)),
        p999_ns: float(quantile::per_mille(&latencies, 999)),
        sealed_per_s: float(entries) / elapsed.as_secs_f64(),
        entries,
        lines: 0,
    })
}

struct Thread {
    start: Instant,
    latencies: Vec<u64>,
}

impl Thread {
    fn run(subject: &dyn Subject, first: u64, calls: u64, barrier: &Barrier) -> Outcome<Self> {
        // Filled, not only reserved: a page fault in the middle would count as the subject's.
        let mut latencies = vec![u64::MAX; usize::try_from(calls)?];
        let mut start = Instant::now();
        subject.in_thread(&mut || {
            barrier.wait();
            start = Instant::now();
            for (latency, call) in latencies.iter_mut().zip(first..) {
                let before = Instant::now();
                subject.record(call)?;
                *latency = nanoseconds(before.elapsed());
            }
            Ok(())
        })?;
        Ok(Self { start, latencies })
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "counts and nanoseconds here are far below 2^53")]
fn float(whole: u64) -> f64 {
    whole as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts;
    use crate::output::FILE;

    /// The names of the first line for a caller that a subject leaves, with the nested fact under its own name.
    fn names_left_by(subject: SubjectName, file: &str) -> Vec<String> {
        let directory = tempfile::tempdir().unwrap();
        let figures = time(subject.open(directory.path()).unwrap(), 2, 101).unwrap();
        assert_eq!(figures.entries, 101);
        assert_eq!(subject.lines().count(directory.path()).unwrap(), 101);
        let text = std::fs::read_to_string(directory.path().join(file)).unwrap();
        let own_line = text.lines().find(|line| (subject.lines().line)(line.as_bytes())).unwrap();
        let line: serde_json::Value = serde_json::from_str(own_line).unwrap();
        let name = |name: &String| name.split('.').next().unwrap_or_default().to_owned();
        let mut names: Vec<String> = line.as_object().unwrap().keys().map(name).collect();
        names.sort();
        names
    }

    #[test]
    fn every_peer_writes_the_same_facts_and_loses_none() {
        let mut expected = facts::names();
        expected.sort();
        for subject in [SubjectName::TracingAppender, SubjectName::SlogAsync, SubjectName::Write] {
            assert_eq!(names_left_by(subject, FILE), expected, "{subject}");
        }
    }

    #[test]
    fn auditx_writes_the_same_facts_and_their_order_number() {
        let mut expected = facts::names();
        expected.push("seq".to_owned());
        expected.sort();
        assert_eq!(names_left_by(SubjectName::Auditx, "audit.jsonl"), expected);
    }
}
