//! A process of our own that is started, listened to, and ended in one way or another.

use std::io::{BufRead, BufReader};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};

use rustix::process::{Pid, Signal, kill_process};

use crate::deadline::{PATIENCE, wait_for};

/// A running child. Killed when dropped, so that a test that fails leaves nobody behind.
#[derive(Debug)]
pub struct Child {
    process: std::process::Child,
    said: Receiver<String>,
}

impl Child {
    /// Starts it and listens to its standard output.
    ///
    /// # Panics
    /// Where it cannot be started.
    #[must_use]
    pub fn start(command: &mut Command) -> Self {
        let mut process = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let mut output = BufReader::new(process.stdout.take().expect("its output is a pipe"));
        let (tell, said) = mpsc::channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            while output.read_line(&mut line).is_ok_and(|len| len > 0) {
                // A child killed while it spoke has not said it.
                if let Some(whole) = line.strip_suffix('\n')
                    && tell.send(whole.to_owned()).is_err()
                {
                    return;
                }
                line.clear();
            }
        });
        Self { process, said }
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Waits for the next line it says; none once it has ended and everything it said was given out.
    ///
    /// # Panics
    /// Where it says nothing within [`PATIENCE`].
    pub fn next_line(&self) -> Option<String> {
        match self.said.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(mpsc::RecvTimeoutError::Disconnected) => None,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("the child said nothing for {PATIENCE:?}"),
        }
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// Where it cannot be sent.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).expect("our own child can be signalled");
    }

    /// Waits for its end; gives how it ended and what else it said.
    ///
    /// # Panics
    /// Where it goes on for longer than [`PATIENCE`].
    pub fn end(mut self) -> (ExitStatus, Vec<String>) {
        let status = wait_for("the end of a child", || {
            self.process.try_wait().expect("our own child can be waited for")
        });
        let mut said = Vec::new();
        while let Some(line) = self.next_line() {
            said.push(line);
        }
        (status, said)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Both fail only where it has been waited for already.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
