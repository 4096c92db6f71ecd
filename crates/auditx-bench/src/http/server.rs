//! The server as a process: how the measurement starts it, asks for its CPU time and stops it.
//!
//! The two sides talk in lines over the server's standard input and output: `mark` is answered with the CPU
//! time so far, `stop` (or the end of input, so that no server outlives a measurement that died) ends it, and
//! the last line is the CPU time once everything logged is in the file.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::sync::oneshot;

use crate::{Outcome, child};

/// The measuring side.
pub(super) struct ServerProcess {
    process: Child,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    port: u16,
}

impl ServerProcess {
    /// Starts a server and waits until it listens.
    pub(super) fn start(arguments: Vec<OsString>) -> Outcome<Self> {
        let mut process = child::command(arguments)?.stdin(Stdio::piped()).spawn()?;
        let (Some(orders), Some(answers)) = (process.stdin.take(), process.stdout.take()) else {
            return Err("a server without standard input and output".into());
        };
        let mut server = Self { process, orders, answers: BufReader::new(answers).lines(), port: 0 };
        server.port = server.answer("port")?.parse()?;
        Ok(server)
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// User and system time of the whole process until now.
    pub(super) fn cpu_so_far(&mut self) -> Outcome<Duration> {
        self.orders.write_all(b"mark\n")?;
        self.cpu()
    }

    /// Stops it, waits until its log is complete, and returns the CPU time of its whole life.
    pub(super) fn stop(mut self) -> Outcome<Duration> {
        self.orders.write_all(b"stop\n")?;
        let cpu = self.cpu()?;
        let status = self.process.wait()?;
        if status.success() { Ok(cpu) } else { Err(format!("a server ended with {status}").into()) }
    }

    fn cpu(&mut self) -> Outcome<Duration> {
        Ok(Duration::from_nanos(self.answer("cpu")?.parse()?))
    }

    fn answer(&mut self, name: &str) -> Outcome<String> {
        let line = self.answers.next().ok_or("a server ended too early")??;
        match line.split_once(' ') {
            Some((word, value)) if word == name => Ok(value.to_owned()),
            _ => Err(format!("a server said `{line}` where `{name}` was due").into()),
        }
    }
}

/// The server's side: tells the port, then obeys. What it returns is filled when the server has to stop.
pub(super) fn listen_for_orders(port: u16) -> Outcome<oneshot::Receiver<()>> {
    println!("port {port}");
    let (stop, stopped) = oneshot::channel();
    std::thread::Builder::new().name("orders".to_owned()).spawn(move || {
        for line in std::io::stdin().lock().lines() {
            match line.as_deref() {
                Ok("mark") => tell_cpu(),
                _ => break,
            }
        }
        // The server may have ended by itself; then nobody waits for this any more.
        stop.send(()).ok();
    })?;
    Ok(stopped)
}

/// Tells the CPU time of this process, ended threads included. Called last once more, when the log is
/// complete.
pub(super) fn tell_cpu() {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    println!("cpu {}", i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec));
}
