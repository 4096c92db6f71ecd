//! Runs one program once, in a separate small process without other children, so that the kernel's peak
//! memory of the process's children is that of the program.
//!
//! It prints as JSON the duration of the program in seconds, its peak memory, the number of lines it wrote,
//! and on request the lines. The output goes through a pipe, because grep stops at the first match if it
//! writes to the null device. For a program smaller than this process, the peak is that of this process,
//! because the kernel starts the program from it.

use std::ffi::OsString;
use std::io::Read;
use std::process::{Command, Stdio};
use std::time::Instant;

use clap::Args;
use nix::sys::resource::{UsageWho, getrusage};
use serde::{Deserialize, Serialize};

use crate::Outcome;

/// The largest pipe that the kernel allows without privileges, so that the program rarely waits for this
/// process.
const PIPE: usize = 1024 * 1024;

#[derive(Debug, Args)]
pub(crate) struct RunOptions {
    /// Include the program's output in the report
    #[arg(long)]
    answer: bool,
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Run {
    pub(super) seconds: f64,
    pub(super) peak_kib: u64,
    pub(super) lines: u64,
    pub(super) answer: String,
}

/// Runs the command and prints its duration and memory.
pub(crate) fn run(options: &RunOptions) -> Outcome<()> {
    let (program, arguments) = options.command.split_first().ok_or("no command")?;
    // The fastest locale for all programs: grep and sort are slower with other locales.
    let mut command = Command::new(program);
    command.args(arguments).env("LC_ALL", "C").stdin(Stdio::null()).stdout(Stdio::piped());
    let mut buffer = vec![0; PIPE];
    let mut answer = Vec::new();
    let mut lines = 0;
    let begin = Instant::now();
    let mut child =
        command.spawn().map_err(|error| format!("cannot start {}: {error}", program.display()))?;
    let mut output = child.stdout.take().ok_or("no pipe")?;
    rustix::pipe::fcntl_setpipe_size(&output, PIPE)?;
    loop {
        let read = output.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        lines += memchr::memchr_iter(b'\n', &buffer[..read]).count();
        if options.answer {
            answer.extend_from_slice(&buffer[..read]);
        }
    }
    let status = child.wait()?;
    let seconds = begin.elapsed().as_secs_f64();
    if !status.success() {
        return Err(format!("{} ended with {status}", program.display()).into());
    }
    let peak_kib = u64::try_from(getrusage(UsageWho::RUSAGE_CHILDREN)?.max_rss())?;
    let run = Run { seconds, peak_kib, lines: u64::try_from(lines)?, answer: String::from_utf8(answer)? };
    println!("{}", serde_json::to_string(&run)?);
    Ok(())
}
