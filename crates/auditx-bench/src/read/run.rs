//! One run of one program, in a small process of its own that knows no other child: what the kernel says of the most memory of its
//! children is that of the program.
//!
//! Comes in: a command. Goes out, as JSON: seconds from its start to its end, its peak of memory, how many lines it wrote, and on
//! request the lines. They go through a pipe, for grep stops at its first hit when it writes to the null device. The peak of a
//! program smaller than this process is this one's, out of which the kernel starts it.

use std::ffi::OsString;
use std::io::Read;
use std::process::{Command, Stdio};
use std::time::Instant;

use clap::Args;
use nix::sys::resource::{UsageWho, getrusage};
use serde::{Deserialize, Serialize};

use crate::Outcome;

/// As large as the kernel allows to anyone: the program seldom waits for this process.
const PIPE: usize = 1024 * 1024;

#[derive(Debug, Args)]
pub(crate) struct RunOptions {
    /// Report what it wrote
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

/// Runs the command and prints what that took.
pub(crate) fn run(options: &RunOptions) -> Outcome<()> {
    let (program, arguments) = options.command.split_first().ok_or("no command")?;
    // As fast as each of them is anywhere: grep and sort are slower where letters have a language.
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
