//! The subjects: each can record an entry and wait until all entries are in the file.
//!
//! Each subject has its own source file and is configured as its documentation recommends for a log that must
//! not lose lines. Timing is independent of the subject.

use std::fmt;
use std::path::Path;

use auditx_core::{Config, Durability, JournalKind};
use clap::ValueEnum;

use serde::Serialize;

use super::{auditx, slog_async, tracing_appender, write};
use crate::Outcome;
use crate::output::{self, Lines};

/// A way to record entries.
pub(crate) trait Subject: Sync {
    /// Records the entry of the n-th call.
    fn record(&self, call: u64) -> Outcome<()>;

    /// Waits until everything recorded so far is in the file.
    fn wait(&self) -> Outcome<()> {
        Ok(())
    }

    /// Closes the subject, after which everything recorded is in the file.
    fn drain(self: Box<Self>) -> Outcome<()>;

    /// Returns whether [`Subject::wait`] waits until everything is in the file; otherwise only `drain` does.
    fn can_wait(&self) -> bool {
        false
    }

    /// Runs a thread's calls, inside the subject's state for a thread or a request.
    fn in_thread(&self, calls: &mut dyn FnMut() -> Outcome<()>) -> Outcome<()> {
        calls()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum SubjectName {
    Auditx,
    AuditxOs,
    AuditxDirect,
    TracingAppender,
    SlogAsync,
    Write,
}

impl SubjectName {
    pub(crate) fn open(self, directory: &Path) -> Outcome<Box<dyn Subject>> {
        Ok(match self {
            Self::Auditx | Self::AuditxOs | Self::AuditxDirect => {
                Box::new(auditx::Auditx::open(self.configured(Config::new(directory)))?)
            }
            Self::TracingAppender => Box::new(tracing_appender::TracingAppender::open(directory)?),
            Self::SlogAsync => Box::new(slog_async::SlogAsync::open(directory)?),
            Self::Write => Box::new(write::Write::open(directory)?),
        })
    }

    /// Returns the description of its configuration for the page.
    pub(crate) fn setup(self) -> &'static str {
        match self {
            Self::Auditx => auditx::SETUP,
            Self::AuditxOs => auditx::SETUP_OS,
            Self::AuditxDirect => auditx::SETUP_DIRECT,
            Self::TracingAppender => tracing_appender::SETUP,
            Self::SlogAsync => slog_async::SETUP,
            Self::Write => write::SETUP,
        }
    }

    fn configured(self, config: Config) -> Config {
        match self {
            Self::AuditxOs => config.durability(Durability::Os),
            Self::AuditxDirect => config.journal(JournalKind::Direct),
            _ => config,
        }
    }

    /// Returns the lines that it writes for each call.
    pub(crate) fn lines(self) -> Lines {
        match self {
            Self::Auditx | Self::AuditxOs | Self::AuditxDirect => output::TRAIL,
            Self::TracingAppender | Self::SlogAsync | Self::Write => output::OBJECTS,
        }
    }
}

impl fmt::Display for SubjectName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        formatter.pad(value.as_ref().map_or("", |value| value.get_name()))
    }
}
