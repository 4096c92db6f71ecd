//! Starts the server process, asks what it has used and stops it.
//!
//! The protocol consists of lines on the server's standard input and output. The server responds to `mark`
//! with its usage so far. `stop` ends it, and so does the end of input, so that no server outlives a
//! benchmark that crashed. Its last line is the usage after everything logged is in the file.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use tokio::sync::oneshot;

use super::usage::Usage;
use crate::{Outcome, child};

/// The benchmark's handle to the server process.
pub(super) struct ServerProcess {
    process: Child,
    commands: ChildStdin,
    responses: Lines<BufReader<ChildStdout>>,
    port: u16,
}

impl ServerProcess {
    /// Starts a server and waits until it is listening.
    pub(super) fn start(arguments: Vec<OsString>) -> Outcome<Self> {
        let mut process = child::command(arguments)?.stdin(Stdio::piped()).spawn()?;
        let (Some(commands), Some(responses)) = (process.stdin.take(), process.stdout.take()) else {
            return Err("the server has no standard input and output".into());
        };
        let mut server = Self { process, commands, responses: BufReader::new(responses).lines(), port: 0 };
        server.port = server.response("port")?.parse()?;
        Ok(server)
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Returns what the process has used so far.
    pub(super) fn usage(&mut self) -> Outcome<Usage> {
        self.commands.write_all(b"mark\n")?;
        self.reported()
    }

    /// Stops the server, waits until its log is complete, and returns what it has used.
    pub(super) fn stop(mut self) -> Outcome<Usage> {
        self.commands.write_all(b"stop\n")?;
        let usage = self.reported()?;
        let status = self.process.wait()?;
        if status.success() { Ok(usage) } else { Err(format!("the server ended with {status}").into()) }
    }

    fn reported(&mut self) -> Outcome<Usage> {
        Ok(serde_json::from_str(&self.response("usage")?)?)
    }

    fn response(&mut self, name: &str) -> Outcome<String> {
        let line = self.responses.next().ok_or("the server ended too early")??;
        match line.split_once(' ') {
            Some((word, value)) if word == name => Ok(value.to_owned()),
            _ => Err(format!("the server sent `{line}` instead of `{name}`").into()),
        }
    }
}

/// The server's side of the protocol: sends the port, then handles commands. The returned channel receives a
/// value when the server must stop.
pub(super) fn listen_for_commands(port: u16) -> Outcome<oneshot::Receiver<()>> {
    println!("port {port}");
    let (stop, stopped) = oneshot::channel();
    std::thread::Builder::new().name("commands".to_owned()).spawn(move || {
        for line in std::io::stdin().lock().lines() {
            match line.as_deref() {
                Ok("mark") => send_usage(),
                _ => break,
            }
        }
        // The receiver is gone if the server has ended by itself.
        stop.send(()).ok();
    })?;
    Ok(stopped)
}

/// Sends what this process has used, ended threads included. Also called at the end, after the log is
/// complete.
pub(super) fn send_usage() {
    match Usage::of_this_process().and_then(|usage| Ok(serde_json::to_string(&usage)?)) {
        Ok(usage) => println!("usage {usage}"),
        Err(error) => eprintln!("auditx-bench: cannot read what the server has used: {error}"),
    }
}
