//! One of several processes that record: it opens its subject, waits for the signal to begin, and reports.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::Instant;

use clap::Args;
use serde::{Deserialize, Serialize};

use crate::quantile::{self, float, nanoseconds};
use crate::record::SubjectName;
use crate::{Outcome, child};

/// How often it reports the number of calls that have returned.
const REPORT: u64 = 1_000;

#[derive(Debug, Args)]
pub(crate) struct RunOptions {
    subject: SubjectName,
    #[arg(long)]
    entries: u64,
    #[arg(long)]
    dir: PathBuf,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Figures {
    pub(super) p50_ns: f64,
    pub(super) p99_ns: f64,
}

/// Runs as such a process.
pub(super) fn run(options: &RunOptions) -> Outcome<()> {
    let subject = options.subject.open(&options.dir)?;
    let mut latencies = vec![u64::MAX; usize::try_from(options.entries)?];
    let mut commands = std::io::stdin().lines();
    println!("ready");
    let Some(_go) = commands.next().transpose()? else { return subject.drain() };
    subject.in_thread(&mut || {
        for (latency, call) in latencies.iter_mut().zip(0..) {
            let before = Instant::now();
            subject.record(call)?;
            *latency = nanoseconds(before.elapsed());
            if (call + 1) % REPORT == 0 {
                println!("returned {}", call + 1);
            }
        }
        Ok(())
    })?;
    println!("returned {}", options.entries);
    let subject = if subject.can_wait() {
        subject.wait()?;
        Some(subject)
    } else {
        subject.drain()?;
        None
    };
    latencies.sort_unstable();
    let figures = Figures {
        p50_ns: float(quantile::per_mille(&latencies, 500)),
        p99_ns: float(quantile::per_mille(&latencies, 990)),
    };
    println!("figures {}", serde_json::to_string(&figures)?);
    drop(commands.next().transpose()?);
    subject.map_or(Ok(()), |subject| subject.drain())
}

/// Such a process, seen from the benchmark.
pub(super) struct Recorder {
    process: Child,
    commands: Option<ChildStdin>,
    printed: Lines<BufReader<ChildStdout>>,
    /// How many calls are known to have returned.
    returned: u64,
    was_killed: bool,
}

impl Recorder {
    /// Starts a process and waits until its subject is open.
    pub(super) fn start(subject: SubjectName, entries: u64, directory: &Path) -> Outcome<Self> {
        let arguments: [OsString; 6] = [
            "processes-run".into(),
            subject.to_string().into(),
            "--entries".into(),
            entries.to_string().into(),
            "--dir".into(),
            directory.into(),
        ];
        let mut process = child::command(arguments)?.stdin(Stdio::piped()).spawn()?;
        let commands = process.stdin.take();
        let printed = process.stdout.take().ok_or("the process has no standard output")?;
        let printed = BufReader::new(printed).lines();
        let mut recorder = Self { process, commands, printed, returned: 0, was_killed: false };
        recorder.read_until("ready")?.ok_or("a recording process ended too early")?;
        Ok(recorder)
    }

    /// Lets it record.
    pub(super) fn go(&mut self) -> Outcome<()> {
        Ok(self.commands.as_mut().ok_or("the process has no standard input")?.write_all(b"go\n")?)
    }

    /// Kills it once so many of its calls have returned.
    pub(super) fn kill_after(&mut self, calls: u64) -> Outcome<()> {
        while self.returned < calls {
            self.read_until("returned")?.ok_or("a recording process ended too early")?;
        }
        self.was_killed = true;
        Ok(self.process.kill()?)
    }

    /// Waits until everything it recorded is in the file; `None` if it was killed.
    pub(super) fn figures(&mut self) -> Outcome<Option<Figures>> {
        match self.read_until("figures")? {
            Some(figures) => Ok(Some(serde_json::from_str(&figures)?)),
            None if self.was_killed => Ok(None),
            None => Err("a recording process ended too early".into()),
        }
    }

    /// Ends it, and returns how many of its calls are known to have returned.
    pub(super) fn end(mut self) -> Outcome<u64> {
        self.commands = None;
        while self.read_until("returned")?.is_some() {}
        let status = self.process.wait()?;
        if !status.success() && !self.was_killed {
            return Err(format!("a recording process ended with {status}").into());
        }
        Ok(self.returned)
    }

    fn read_until(&mut self, what: &str) -> Outcome<Option<String>> {
        for line in &mut self.printed {
            let line = line?;
            let (word, value) = line.split_once(' ').unwrap_or((&line, ""));
            if word == "returned" {
                self.returned = value.parse()?;
            }
            if word == what {
                return Ok(Some(value.to_owned()));
            }
        }
        Ok(None)
    }
}
