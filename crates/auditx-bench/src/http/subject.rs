//! The subjects: each framework alone, and with each way to write one closing line per request.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use memchr::memmem;

use super::{actix, audited, axum};
use crate::Outcome;
use crate::output::{FILE, Lines, TRAIL};

/// The requested path; every server routes it with a parameter.
pub(super) const PATH: &str = "/sales/invoice/42";

/// The body of every response.
pub(super) const BODY: &str = "posted";

#[derive(Debug, Args)]
pub(crate) struct ServeOptions {
    pub(super) subject: SubjectName,
    #[arg(long)]
    pub(super) dir: PathBuf,
}

impl ServeOptions {
    /// Returns these options as arguments for a child process.
    pub(super) fn to_arguments(&self) -> Vec<OsString> {
        vec!["serve".into(), self.subject.to_string().into(), "--dir".into(), self.dir.clone().into()]
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SubjectName {
    #[value(name = "axum")]
    Axum,
    #[value(name = "axum+auditx")]
    AxumAuditx,
    #[value(name = "axum+trace")]
    AxumTrace,
    #[value(name = "actix")]
    Actix,
    #[value(name = "actix+auditx")]
    ActixAuditx,
    #[value(name = "actix+logger")]
    ActixLogger,
    #[value(name = "actix+tracing")]
    ActixTracing,
}

impl SubjectName {
    /// Serves until the parent process stops it, and returns after everything logged is in the file.
    pub(super) fn serve(self, directory: &Path) -> Outcome<()> {
        match self {
            Self::Axum => axum::bare(),
            Self::AxumAuditx => audited::axum(directory),
            Self::AxumTrace => axum::with_trace(directory),
            Self::Actix => actix::bare(),
            Self::ActixAuditx => audited::actix(directory),
            Self::ActixLogger => actix::with_logger(directory),
            Self::ActixTracing => actix::with_tracing(directory),
        }
    }

    /// Returns the closing line that it writes for each request; `None` if it does not log.
    pub(super) fn lines(self) -> Option<Lines> {
        const fn marked(line: fn(&[u8]) -> bool) -> Option<Lines> {
            Some(Lines { file: |name| name == FILE, line })
        }
        match self {
            Self::Axum | Self::Actix => None,
            Self::AxumAuditx | Self::ActixAuditx => Some(TRAIL),
            Self::AxumTrace => {
                marked(|line| memmem::find(line, br#""message":"finished processing request""#).is_some())
            }
            Self::ActixLogger => {
                marked(|line| memmem::find(line, b"\"GET /sales/invoice/42 HTTP/1.1\" 200").is_some())
            }
            Self::ActixTracing => marked(|line| memmem::find(line, br#""message":"close""#).is_some()),
        }
    }
}

impl fmt::Display for SubjectName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        formatter.pad(value.as_ref().map_or("", |value| value.get_name()))
    }
}
