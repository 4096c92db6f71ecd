//! Running the binary to its end, in pipes or on a terminal.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// How a call ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A call whose surroundings are the same wherever the tests run.
pub(crate) fn command(arguments: &[&str], directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_auditx"));
    for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "AUDITX_LOG_DIR"] {
        command.env_remove(name);
    }
    command.env("TERM", "xterm-256color").args(arguments).arg("--dir").arg(directory).stdin(Stdio::null());
    command
}

/// Runs to the end, in pipes.
pub(crate) fn auditx(arguments: &[&str], directory: &Path) -> Ended {
    ended(&mut command(arguments, directory))
}

pub(crate) fn ended(command: &mut Command) -> Ended {
    let output = command.output().expect("the binary runs");
    Ended {
        status: output.status.code(),
        out: String::from_utf8(output.stdout).expect("what it shows is UTF-8"),
        err: String::from_utf8(output.stderr).expect("what it complains about is UTF-8"),
    }
}

/// Runs on a terminal of this width and gives what it showed there.
pub(crate) fn on_terminal(command: &mut Command, columns: u16) -> (Option<i32>, String) {
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
    let mut child = command.stdout(other_end).stderr(Stdio::null()).spawn().expect("the binary runs");
    // The command still holds the other end: without it the terminal would end with the child.
    command.stdout(Stdio::null());
    let mut shown = Vec::new();
    let mut terminal = File::from(terminal);
    let mut block = [0; 4096];
    // Reading from a terminal that nobody holds any more is an error, and the end.
    while let Ok(len @ 1..) = terminal.read(&mut block) {
        shown.extend_from_slice(&block[..len]);
    }
    let status = child.wait().expect("the binary ends");
    (status.code(), String::from_utf8(shown).expect("what it shows is UTF-8").replace("\r\n", "\n"))
}
