//! Child processes: start, read standard output, send signals, wait for the end.

use std::io::{BufRead, BufReader};
use std::process::{ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};

use rustix::process::{Pid, Signal, kill_process};

use crate::deadline::{TIMEOUT, wait_for};

/// A running child process. Killed when dropped, so that a failed test leaves no process behind.
#[derive(Debug)]
pub struct Child {
    process: std::process::Child,
    lines: Receiver<String>,
}

impl Child {
    /// Starts the command and reads its standard output in the background.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn start(command: &mut Command) -> Self {
        Self::spawned(command.stdin(Stdio::null()))
    }

    /// Like [`Child::start`], with the other end of a pipe as standard input.
    ///
    /// # Panics
    /// As [`Child::start`].
    #[must_use]
    pub fn start_fed(command: &mut Command) -> (Self, ChildStdin) {
        let mut child = Self::spawned(command.stdin(Stdio::piped()));
        let input = child.process.stdin.take().expect("standard input is a pipe");
        (child, input)
    }

    fn spawned(command: &mut Command) -> Self {
        let mut process = command
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let mut output = BufReader::new(process.stdout.take().expect("standard output is a pipe"));
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            while output.read_line(&mut line).is_ok_and(|len| len > 0) {
                // An incomplete last line of a killed child is ignored.
                if let Some(whole) = line.strip_suffix('\n')
                    && sender.send(whole.to_owned()).is_err()
                {
                    return;
                }
                line.clear();
            }
        });
        Self { process, lines }
    }

    /// Returns the process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Waits for the next line of standard output. Returns `None` after the last line.
    ///
    /// # Panics
    /// If the child prints nothing within [`TIMEOUT`].
    pub fn next_line(&self) -> Option<String> {
        match self.lines.recv_timeout(TIMEOUT) {
            Ok(line) => Some(line),
            Err(mpsc::RecvTimeoutError::Disconnected) => None,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("the child printed nothing for {TIMEOUT:?}"),
        }
    }

    /// Sends a signal to the child.
    ///
    /// # Panics
    /// If it cannot be sent.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).expect("a child can be signalled");
    }

    /// Waits until the child ends. Returns its exit status and its remaining output.
    ///
    /// # Panics
    /// If the child runs for longer than [`TIMEOUT`].
    pub fn end(mut self) -> (ExitStatus, Vec<String>) {
        let status =
            wait_for("the child to end", || self.process.try_wait().expect("a child can be waited for"));
        let mut rest = Vec::new();
        while let Some(line) = self.next_line() {
            rest.push(line);
        }
        (status, rest)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Both fail only if the child has already been waited for.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
