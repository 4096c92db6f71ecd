//! The exit status of a command, and the errors that it reports.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use crate::terminal::{print_message, sanitized};

/// The exit status of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// Success: exit status 0.
    Success,
    /// Nothing was found, or a check failed: exit status 1.
    Negative,
    /// The command failed: exit status 2.
    Error,
    /// No fault was found, but not everything could be checked: exit status 3.
    Unconfirmed,
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        Self::from(match status {
            Status::Success => 0,
            Status::Negative => 1,
            Status::Error => 2,
            Status::Unconfirmed => 3,
        })
    }
}

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The reader of standard output closed the pipe. This is not an error.
    OutputClosed,
    /// An error message, in lower case without a full stop.
    Message(String),
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self::Message(message.into())
    }

    /// Prints what clap returned if it is the help or the version; everything else is an error.
    pub(crate) fn of_command_line(answer: &clap::Error) -> Result<Status, Self> {
        if !answer.use_stderr() {
            answer.print()?;
            return Ok(Status::Success);
        }
        let text = answer.render().to_string();
        let text = text.trim_end();
        Err(Self::new(text.strip_prefix("error: ").unwrap_or(text)))
    }

    /// An error of reading a trail. `missing` is the path of what does not exist.
    fn of_trail(error: &impl fmt::Display, missing: Option<&Path>) -> Self {
        let hint = missing.filter(|path| !path.is_dir()).map(creation_hint).unwrap_or_default();
        Self::Message(format!("{}{hint}", sanitized(&error.to_string())))
    }

    /// Prints the message on standard error and returns the exit status.
    pub(crate) fn report(&self) -> Status {
        match self {
            Self::OutputClosed => Status::Success,
            Self::Message(message) => {
                print_message(message);
                Status::Error
            }
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutputClosed => f.write_str("the output was closed"),
            Self::Message(message) => f.write_str(message),
        }
    }
}

/// For errors of writing the output only; errors of reading have types of their own.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::Message(format!("cannot write the output: {error}")),
        }
    }
}

impl From<auditx_core::Error> for Failure {
    fn from(error: auditx_core::Error) -> Self {
        Self::Message(sanitized(&error.to_string()))
    }
}

impl From<auditx_tlog::Error> for Failure {
    fn from(error: auditx_tlog::Error) -> Self {
        auditx_core::Error::from(error).into()
    }
}

impl From<auditx_ship::Error> for Failure {
    fn from(error: auditx_ship::Error) -> Self {
        Self::Message(sanitized(&error.to_string()))
    }
}

impl From<auditx_reader::Error> for Failure {
    fn from(error: auditx_reader::Error) -> Self {
        Self::of_trail(&error, error.path().filter(|_| error.is_missing()))
    }
}

impl From<auditx_bundle::Error> for Failure {
    fn from(error: auditx_bundle::Error) -> Self {
        Self::of_trail(&error, error.path().filter(|_| error.is_missing()))
    }
}

/// The message has several lines: it marks the place of the error in the query.
impl From<auditx_reader::QueryError> for Failure {
    fn from(error: auditx_reader::QueryError) -> Self {
        let lines: Vec<String> = error.to_string().lines().map(sanitized).collect();
        Self::Message(lines.join("\n"))
    }
}

impl From<auditx_reader::SearchError> for Failure {
    fn from(error: auditx_reader::SearchError) -> Self {
        match error {
            auditx_reader::SearchError::Trail(error) => error.into(),
            auditx_reader::SearchError::Output(error) => error.into(),
        }
    }
}

/// Explains how to create a trail in a directory that has none.
pub(crate) fn creation_hint(directory: &Path) -> String {
    let demo = if is_empty_or_missing(directory) {
        format!("run `auditx demo --dir {}` for a demonstration, or ", crate::terminal::shell_word(directory))
    } else {
        String::new()
    };
    format!(
        "\nTo create a trail there, {demo}open it in your application with\n\
         `AuditLogger::open(Config::new(\"{}\"))`",
        directory.to_string_lossy().escape_default(),
    )
}

/// Returns `true` if the directory does not exist, is empty or cannot be read. In the last case, opening it
/// reports the reason.
pub(crate) fn is_empty_or_missing(directory: &Path) -> bool {
    fs::read_dir(directory).map_or(true, |mut entries| entries.next().is_none())
}
