//! Runs the binary in pipes or on a terminal.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// The exit status and output of a process.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Environment variables that are removed, so that the environment of the tests does not matter.
pub(crate) const VARIABLES: [&str; 14] = [
    "NO_COLOR",
    "CLICOLOR",
    "CLICOLOR_FORCE",
    "COLUMNS",
    "AUDITX_LOG_DIR",
    "AUDITX_INSTANCE",
    "AUDITX_COMPRESSION",
    "AUDITX_DEFAULT_CURRENCY",
    "AUDITX_DURABILITY",
    "AUDITX_ON_FULL",
    "AUDITX_RETENTION",
    "AUDITX_SIGNING_KEY",
    "AUDITX_TZ",
    "TZ",
];

/// Returns the command with `--dir`, in an environment that is the same wherever the tests run.
pub(crate) fn command(arguments: &[&str], directory: &Path) -> Command {
    let mut command = without_trail(arguments);
    command.arg("--dir").arg(directory);
    command
}

/// Like [`command`], without `--dir`.
pub(crate) fn without_trail(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_auditx"));
    for name in VARIABLES {
        command.env_remove(name);
    }
    command.env("TERM", "xterm-256color").args(arguments).stdin(Stdio::null());
    command
}

/// Runs the command in pipes.
pub(crate) fn auditx(arguments: &[&str], directory: &Path) -> Ended {
    ended(&mut command(arguments, directory))
}

/// The warning of reading commands about lines without a checkpoint.
pub(crate) const NOT_SIGNED: &str = "auditx: there is no checkpoint: these lines are not signed\n";

/// Runs a command. The warning [`NOT_SIGNED`] is removed, because it is printed for every hand-written trail.
pub(crate) fn ended(command: &mut Command) -> Ended {
    let Ended { status, out, err } = ended_with_remarks(command);
    Ended { status, out, err: err.replace(NOT_SIGNED, "") }
}

pub(crate) fn ended_with_remarks(command: &mut Command) -> Ended {
    let output = command.output().expect("the binary runs");
    Ended {
        status: output.status.code(),
        out: String::from_utf8(output.stdout).expect("what it shows is UTF-8"),
        err: String::from_utf8(output.stderr).expect("what it complains about is UTF-8"),
    }
}

/// Runs a command with this standard input.
pub(crate) fn fed(command: &mut Command, input: &[u8]) -> Ended {
    let mut file = tempfile::tempfile().expect("a file without a name");
    file.write_all(input).and_then(|()| file.rewind()).expect("the file holds the input");
    ended(command.stdin(file))
}

/// Runs a command on a terminal of this width and returns what it printed there.
pub(crate) fn on_terminal(command: &mut Command, columns: u16) -> (Option<i32>, String) {
    let (terminal, other_end) = terminal(columns);
    shown_on(terminal, command.stdout(other_end).stderr(Stdio::null()))
}

/// Runs a command on a terminal with `answer` as input, and returns what it printed.
pub(crate) fn asked_on_terminal(command: &mut Command, answer: &str) -> (Option<i32>, String) {
    let (mut terminal, other_end) = terminal(80);
    terminal.write_all(answer.as_bytes()).expect("the terminal takes what is typed");
    let (input, errors) = (other_end.try_clone().expect("a copy"), other_end.try_clone().expect("a copy"));
    shown_on(terminal, command.stdin(input).stderr(errors).stdout(other_end))
}

/// Opens a pseudoterminal and returns the end of the user and the end of the command.
fn terminal(columns: u16) -> (File, File) {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&terminal).and_then(|()| unlockpt(&terminal)).expect("a terminal of ours");
    let size = Winsize { ws_row: 50, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&terminal, size).expect("a terminal has a size");
    let name = ptsname(&terminal, Vec::new()).expect("a terminal has a name");
    let other_end = OpenOptions::new()
        .read(true)
        .write(true)
        .open(std::ffi::OsStr::from_bytes(name.as_bytes()))
        .expect("the other end of the terminal");
    (File::from(terminal), other_end)
}

fn shown_on(mut terminal: File, command: &mut Command) -> (Option<i32>, String) {
    let mut child = command.spawn().expect("the binary runs");
    // The `Command` still holds the other end; reading from the terminal would not end while it is open.
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut shown = Vec::new();
    let mut block = [0; 4096];
    // Reading from a terminal whose other end is closed fails.
    while let Ok(len @ 1..) = terminal.read(&mut block) {
        shown.extend_from_slice(&block[..len]);
    }
    let status = child.wait().expect("the binary ends");
    (status.code(), String::from_utf8(shown).expect("what it shows is UTF-8").replace("\r\n", "\n"))
}
