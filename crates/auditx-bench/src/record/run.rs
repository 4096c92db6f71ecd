//! Runs one subject once, in a separate process, and prints the figures as JSON.
//!
//! Each call is timed individually. The times are stored in memory that was touched before the start. The
//! cost of reading the clock is included for all subjects.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use clap::Args;
use serde::{Deserialize, Serialize};

use super::stolen::stolen_ms;
use super::subject::{Subject, SubjectName};
use crate::Outcome;
use crate::memory::Memory;
use crate::quantile::{self, float, nanoseconds};

#[derive(Debug, Args)]
pub(crate) struct RunOptions {
    pub(super) subject: SubjectName,
    #[arg(long)]
    pub(super) threads: u64,
    #[arg(long)]
    pub(super) entries: u64,
    /// Calls per second over all threads, on a schedule [default: as fast as possible]
    #[arg(long)]
    pub(super) rate: Option<u64>,
    /// Evict the caches of the processor between calls
    #[arg(long, requires = "rate")]
    pub(super) cold: bool,
    #[arg(long)]
    pub(super) dir: PathBuf,
}

impl RunOptions {
    /// Returns these options as arguments for a child process.
    pub(super) fn to_arguments(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec![
            "record-run".into(),
            self.subject.to_string().into(),
            "--threads".into(),
            self.threads.to_string().into(),
            "--entries".into(),
            self.entries.to_string().into(),
            "--dir".into(),
            self.dir.clone().into(),
        ];
        if let Some(rate) = self.rate {
            arguments.extend(["--rate".into(), rate.to_string().into()]);
        }
        if self.cold {
            arguments.push("--cold".into());
        }
        arguments
    }
}

/// The figures of one run.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Run {
    pub(super) p50_ns: f64,
    pub(super) p99_ns: f64,
    pub(super) p999_ns: f64,
    pub(super) max_ns: f64,
    /// The p99.9 of the calls' own durations, with a schedule.
    pub(super) call_p999_ns: f64,
    pub(super) sealed_per_s: f64,
    pub(super) memory: Memory,
    /// The time stolen by the machine's host from all processors together, until everything was written.
    pub(super) stolen_ms: u64,
    pub(super) entries: u64,
    /// The number of lines in the files, as counted by the parent process.
    #[serde(default)]
    pub(super) lines: u64,
}

/// Runs one subject and prints its figures.
pub(super) fn run(options: &RunOptions) -> Outcome<()> {
    let subject = options.subject.open(&options.dir)?;
    let pace = options.rate.map(|rate| Pace { rate, is_cold: options.cold });
    let figures = time(subject, options.threads, options.entries, pace)?;
    println!("{}", serde_json::to_string(&figures)?);
    Ok(())
}

/// A fixed rate.
#[derive(Debug, Clone, Copy)]
struct Pace {
    rate: u64,
    is_cold: bool,
}

fn time(subject: Box<dyn Subject>, threads: u64, entries: u64, pace: Option<Pace>) -> Outcome<Run> {
    let shares: Vec<u64> =
        (0..threads).map(|thread| entries / threads + u64::from(thread < entries % threads)).collect();
    let barrier = Barrier::new(shares.len());
    let stolen = stolen_ms();
    let measured: Vec<Outcome<Thread>> = std::thread::scope(|scope| {
        let spawned: Vec<_> = shares
            .iter()
            .enumerate()
            .map(|(at, share)| {
                let (subject, barrier) = (&*subject, &barrier);
                let first = shares[..at].iter().sum();
                let schedule = pace.map(|pace| Schedule::of(pace, threads, at as u64));
                scope.spawn(move || Thread::run(subject, first, *share, barrier, schedule))
            })
            .collect();
        spawned
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err("a caller panicked".into())))
            .collect()
    });
    let measured = measured.into_iter().collect::<Outcome<Vec<Thread>>>()?;
    let start = measured.iter().map(|thread| thread.start).min().ok_or("no threads")?;
    subject.wait()?;
    let (mut elapsed, mut memory) = (start.elapsed(), Memory::of_this_process()?);
    if !subject.can_wait() {
        subject.drain()?;
        elapsed = start.elapsed();
        memory = Memory::of_this_process()?;
    } else {
        subject.drain()?;
    }
    let sorted = |of: fn(&Thread) -> &Vec<u64>| {
        let mut all: Vec<u64> = measured.iter().flat_map(|thread| of(thread).iter().copied()).collect();
        all.sort_unstable();
        all
    };
    let (latencies, calls) = (sorted(|thread| &thread.latencies), sorted(|thread| &thread.calls));
    Ok(Run {
        p50_ns: float(quantile::per_mille(&latencies, 500)),
        p99_ns: float(quantile::per_mille(&latencies, 990)),
        p999_ns: float(quantile::per_mille(&latencies, 999)),
        max_ns: float(quantile::per_mille(&latencies, 1_000)),
        call_p999_ns: float(quantile::per_mille(&calls, 999)),
        memory,
        stolen_ms: stolen_ms() - stolen,
        sealed_per_s: float(entries) / elapsed.as_secs_f64(),
        entries,
        lines: 0,
    })
}

struct Thread {
    start: Instant,
    /// Latencies from the time at which a call was due, or from its start without a schedule.
    latencies: Vec<u64>,
    /// The durations of the calls themselves, with a schedule.
    calls: Vec<u64>,
}

/// The times at which a thread's calls are due. A late call does not delay the schedule, so calls that wait
/// for a slow call count as slow, too (see Gil Tene's coordinated omission).
#[derive(Debug)]
struct Schedule {
    interval: Duration,
    /// The offset of this thread: the threads' calls are evenly distributed.
    phase: Duration,
    /// Memory that is written between calls.
    other: Vec<u8>,
}

/// Several times the size of a processor's own caches, which hold code and data together at the second level.
/// Takes less than 200 µs to write.
const OTHER_LEN: usize = 4 * 1024 * 1024;

/// The size of a cache line.
const CACHE_LINE: usize = 64;

impl Schedule {
    fn of(Pace { rate, is_cold }: Pace, threads: u64, thread: u64) -> Self {
        let interval = Duration::from_nanos(1_000_000_000 * threads / rate.max(1));
        let phase = Duration::from_nanos(1_000_000_000 * thread / rate.max(1));
        Self { interval, phase, other: vec![0; if is_cold { OTHER_LEN } else { 0 }] }
    }

    /// Spins until a call is due. Returns the time at which it was due.
    fn wait(&mut self, start: Instant, call: usize) -> Instant {
        for byte in self.other.iter_mut().step_by(CACHE_LINE) {
            *byte = std::hint::black_box(byte.wrapping_add(1));
        }
        let due = start + self.phase + self.interval * u32::try_from(call).unwrap_or(u32::MAX);
        while Instant::now() < due {
            std::hint::spin_loop();
        }
        due
    }
}

impl Thread {
    fn run(
        subject: &dyn Subject,
        first: u64,
        calls: u64,
        barrier: &Barrier,
        mut schedule: Option<Schedule>,
    ) -> Outcome<Self> {
        // The memory is written, not only reserved: a page fault during the run would count for the subject.
        let mut latencies = vec![u64::MAX; usize::try_from(calls)?];
        let mut alone = vec![u64::MAX; if schedule.is_some() { latencies.len() } else { 0 }];
        let mut start = Instant::now();
        subject.in_thread(&mut || {
            barrier.wait();
            start = Instant::now();
            let Some(schedule) = &mut schedule else {
                for (latency, call) in latencies.iter_mut().zip(first..) {
                    let before = Instant::now();
                    subject.record(call)?;
                    *latency = nanoseconds(before.elapsed());
                }
                return Ok(());
            };
            for (place, (latency, alone)) in latencies.iter_mut().zip(&mut alone).enumerate() {
                let due = schedule.wait(start, place);
                let before = Instant::now();
                subject.record(first + place as u64)?;
                let after = Instant::now();
                (*latency, *alone) = (nanoseconds(after - due), nanoseconds(after - before));
            }
            Ok(())
        })?;
        Ok(Self { start, latencies, calls: alone })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts;
    use crate::output::FILE;

    /// Returns the field names of the first line that a subject writes for a call; of a nested field, the
    /// outer name.
    fn names_written_by(subject: SubjectName, file: &str) -> Vec<String> {
        let directory = tempfile::tempdir().unwrap();
        let figures = time(subject.open(directory.path()).unwrap(), 2, 101, None).unwrap();
        assert_eq!(figures.entries, 101);
        assert_eq!(subject.lines().count(directory.path()).unwrap(), 101);
        let text = std::fs::read_to_string(directory.path().join(file)).unwrap();
        let first_line = text.lines().find(|line| (subject.lines().line)(line.as_bytes())).unwrap();
        let line: serde_json::Value = serde_json::from_str(first_line).unwrap();
        let name = |name: &String| name.split('.').next().unwrap_or_default().to_owned();
        let mut names: Vec<String> = line.as_object().unwrap().keys().map(name).collect();
        names.sort();
        names
    }

    #[test]
    fn every_peer_writes_all_fields_and_all_lines() {
        let mut expected = facts::names();
        expected.sort();
        for subject in [SubjectName::TracingAppender, SubjectName::SlogAsync, SubjectName::Write] {
            assert_eq!(names_written_by(subject, FILE), expected, "{subject}");
        }
    }

    #[test]
    fn a_late_call_does_not_delay_the_schedule() {
        let pace = Pace { rate: 1_000, is_cold: false };
        let mut schedule = Schedule::of(pace, 2, 0);
        assert_eq!((schedule.interval, schedule.phase), (Duration::from_millis(2), Duration::ZERO));
        assert_eq!(Schedule::of(pace, 2, 1).phase, Duration::from_millis(1));
        let start = Instant::now() - Duration::from_millis(100);
        let due = schedule.wait(start, 3);
        assert_eq!(due - start, Duration::from_millis(6));
        assert!(due.elapsed() >= Duration::from_millis(94), "the call was due in the past");
        assert!(schedule.wait(Instant::now(), 2).elapsed() < Duration::from_secs(1));
    }

    #[test]
    fn auditx_writes_the_same_fields_and_a_sequence_number() {
        let mut expected = facts::names();
        expected.push("seq".to_owned());
        expected.sort();
        assert_eq!(names_written_by(SubjectName::Auditx, "audit.jsonl"), expected);
    }
}
