//! Databases whose changes are captured: a URL of PostgreSQL.

use std::str::FromStr;

use auditx_capture::Collector;
use auditx_core::AuditLogger;
use auditx_postgres::capture;
use auditx_postgres::{LogOutbox, PostgresOutbox};

use crate::failure::Failure;
use crate::runtime::wait_for;
use crate::terminal::sanitized;

pub(crate) use auditx_postgres::capture::{Captured, Ddl, Slot, Status, Table};

/// The URL of a database.
#[derive(Debug, Clone)]
pub(crate) struct Database(String);

impl FromStr for Database {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, String> {
        // The URL may contain a password, so error messages must not quote it.
        match url.split_once("://").map(|(scheme, _)| scheme) {
            Some("postgres" | "postgresql") => Ok(Self(url.to_owned())),
            Some(scheme) => Err(format!("unsupported scheme {scheme}://: expected postgres://")),
            None => Err("expected a URL, such as postgres://user@host/database".to_owned()),
        }
    }
}

impl Database {
    pub(crate) fn enable(&self, table: &Table) -> Result<Captured, Failure> {
        wait_for(capture::enable(&self.0, table))?.map_err(|error| failure(&error))
    }

    pub(crate) fn enable_logical(&self, table: &Table) -> Result<Captured, Failure> {
        wait_for(capture::enable_logical(&self.0, table))?.map_err(|error| failure(&error))
    }

    pub(crate) fn disable(&self, table: &str) -> Result<bool, Failure> {
        wait_for(capture::disable(&self.0, table))?.map_err(|error| failure(&error))
    }

    pub(crate) fn enable_ddl(&self) -> Result<Ddl, Failure> {
        wait_for(capture::enable_ddl(&self.0))?.map_err(|error| failure(&error))
    }

    pub(crate) fn disable_ddl(&self) -> Result<bool, Failure> {
        wait_for(capture::disable_ddl(&self.0))?.map_err(|error| failure(&error))
    }

    pub(crate) fn status(&self) -> Result<Status, Failure> {
        wait_for(capture::status(&self.0))?.map_err(|error| failure(&error))
    }

    /// Starts to move what committed into a trail: from the outbox, and from the log if tables are captured
    /// from there.
    pub(crate) fn collect(&self, logger: &AuditLogger) -> Result<Vec<Collector>, Failure> {
        let outbox = PostgresOutbox::open(&self.0).map_err(|error| failure(&error))?;
        let log = match self.status()?.slot {
            Some(_) => Some(LogOutbox::open(&self.0).map_err(|error| failure(&error))?),
            None => None,
        };
        let mut collectors = vec![Collector::spawn(logger, outbox).map_err(|error| failure(&error))?];
        if let Some(log) = log {
            collectors.push(Collector::spawn(logger, log).map_err(|error| failure(&error))?);
        }
        Ok(collectors)
    }
}

fn failure(error: &impl std::fmt::Display) -> Failure {
    Failure::new(sanitized(&error.to_string()))
}
