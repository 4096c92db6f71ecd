//! What is measured: a way to record the facts, and a way to know that all of them are in the file.
//!
//! Each subject lives in a file of its own and is set up as its documentation recommends for a log that must
//! not lose lines. None of them knows how it is timed.

use std::fmt;
use std::path::Path;

use auditx_core::{Config, Durability, JournalKind};
use clap::ValueEnum;

use serde::Serialize;

use super::{auditx, slog_async, tracing_appender, write};
use crate::Outcome;
use crate::output::{self, Lines};

/// One way to record.
pub(super) trait Subject: Sync {
    /// Records the facts of the n-th call.
    fn record(&self, call: u64) -> Outcome<()>;

    /// Returns when everything recorded so far is in the file.
    fn wait(&self) -> Outcome<()> {
        Ok(())
    }

    /// Ends it; everything recorded is in the file then.
    fn drain(self: Box<Self>) -> Outcome<()>;

    /// Whether [`Subject::wait`] says when everything is in the file; else only its end does.
    fn can_wait(&self) -> bool {
        false
    }

    /// Runs a thread's calls, inside whatever the subject keeps for a thread or a request.
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
    pub(super) fn open(self, directory: &Path) -> Outcome<Box<dyn Subject>> {
        Ok(match self {
            Self::Auditx | Self::AuditxOs | Self::AuditxDirect => {
                Box::new(auditx::Auditx::open(self.configured(Config::new(directory)))?)
            }
            Self::TracingAppender => Box::new(tracing_appender::TracingAppender::open(directory)?),
            Self::SlogAsync => Box::new(slog_async::SlogAsync::open(directory)?),
            Self::Write => Box::new(write::Write::open(directory)?),
        })
    }

    /// How the document describes its set-up.
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

    /// What it leaves behind for each call.
    pub(super) fn lines(self) -> Lines {
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
