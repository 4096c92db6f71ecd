//! How a command ends: its exit status, and what it says where it failed.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use crate::terminal::{complain, harmless};

/// What the exit status says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// Found what was asked for; all is well.
    Found,
    /// Found nothing; something needs attention.
    Nothing,
    /// Could not do it.
    Error,
    /// Nothing is wrong, and nobody can be sure.
    Unconfirmed,
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        Self::from(match status {
            Status::Found => 0,
            Status::Nothing => 1,
            Status::Error => 2,
            Status::Unconfirmed => 3,
        })
    }
}

/// Why a command could not do its work.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Nobody reads the output any more: no error of anybody's.
    NoReader,
    /// For people, in lower case without a full stop.
    Said(String),
}

impl Failure {
    pub(crate) fn said(message: impl Into<String>) -> Self {
        Self::Said(message.into())
    }

    /// clap's answer: help and version are none, everything else is an error.
    pub(crate) fn of_command_line(answer: &clap::Error) -> Result<Status, Self> {
        if !answer.use_stderr() {
            answer.print()?;
            return Ok(Status::Found);
        }
        let text = answer.render().to_string();
        let text = text.trim_end();
        Err(Self::said(text.strip_prefix("error: ").unwrap_or(text)))
    }

    /// Says it on standard error.
    pub(crate) fn report(&self) -> Status {
        match self {
            Self::NoReader => Status::Found,
            Self::Said(message) => {
                complain(message);
                Status::Error
            }
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoReader => f.write_str("nobody reads the output"),
            Self::Said(message) => f.write_str(message),
        }
    }
}

/// Failing to write, that is: reading has errors of its own.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::NoReader,
            _ => Self::Said(format!("cannot write the output: {error}")),
        }
    }
}

impl From<auditx_core::Error> for Failure {
    fn from(error: auditx_core::Error) -> Self {
        Self::Said(harmless(&error.to_string()))
    }
}

impl From<auditx_reader::Error> for Failure {
    fn from(error: auditx_reader::Error) -> Self {
        let hint = match error.path() {
            Some(path) if error.is_missing() && !path.is_dir() => how_to_make(path),
            _ => String::new(),
        };
        Self::Said(format!("{}{hint}", harmless(&error.to_string())))
    }
}

/// What is wrong with a query, over several lines.
impl From<auditx_reader::QueryError> for Failure {
    fn from(error: auditx_reader::QueryError) -> Self {
        let lines: Vec<String> = error.to_string().lines().map(harmless).collect();
        Self::Said(lines.join("\n"))
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

/// How to get a trail where there is none.
pub(crate) fn how_to_make(directory: &Path) -> String {
    let demo = if is_free(directory) {
        format!("run `auditx demo --dir {}` for a demonstration, or ", crate::terminal::shell_word(directory))
    } else {
        String::new()
    };
    format!(
        "\nTo make a trail there, {demo}open it in your application with\n\
         `AuditLogger::open(Config::new(\"{}\"))`",
        directory.to_string_lossy().escape_default(),
    )
}

/// Whether nothing is there: no such directory, or an empty one. Opening one that cannot be read says why.
pub(crate) fn is_free(directory: &Path) -> bool {
    fs::read_dir(directory).map_or(true, |mut entries| entries.next().is_none())
}
