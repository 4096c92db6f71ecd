//! Replaces `database.rs` if the feature `ship` is off.
//!
//! [`Database`] has no values: every option that takes one fails when it is parsed.

use std::convert::Infallible;
use std::str::FromStr;
use std::time::Duration;

use auditx_capture::Collector;
use auditx_core::AuditLogger;

use crate::failure::Failure;

/// Cannot be constructed.
#[derive(Debug, Clone)]
pub(crate) struct Database(Infallible);

/// What is captured in a database, and what waits.
pub(crate) struct Status {
    pub(crate) tables: Vec<Captured>,
    pub(crate) waiting: u64,
    pub(crate) oldest: Option<Duration>,
    pub(crate) ddl: Ddl,
    pub(crate) slot: Option<Slot>,
}

/// What is captured of commands, roles and rights.
#[derive(Clone, Copy, PartialEq, Eq)]
#[expect(dead_code, reason = "no status is ever created")]
pub(crate) enum Ddl {
    Off,
    Roles,
    Disabled,
    On,
}

/// A replication slot.
pub(crate) struct Slot {
    pub(crate) name: String,
    pub(crate) is_there: bool,
    pub(crate) is_read: bool,
    pub(crate) retained: u64,
    pub(crate) waiting: u64,
}

/// A table that is captured.
pub(crate) struct Captured {
    pub(crate) table: String,
    pub(crate) entity_type: String,
    pub(crate) module: String,
    pub(crate) key: Vec<String>,
    pub(crate) exclude: Vec<String>,
    pub(crate) mask: Vec<String>,
    pub(crate) is_active: bool,
    pub(crate) is_from_log: bool,
}

/// A table to capture.
pub(crate) struct Table;

impl Table {
    pub(crate) fn new(_: &str, _: &str) -> Self {
        Self
    }

    pub(crate) fn key(self, _: Vec<String>) -> Self {
        self
    }

    pub(crate) fn exclude(self, _: Vec<String>) -> Self {
        self
    }

    pub(crate) fn mask(self, _: Vec<String>) -> Self {
        self
    }
}

impl FromStr for Database {
    type Err = String;

    fn from_str(_: &str) -> Result<Self, String> {
        Err("this auditx was built without databases: install it with \
             `cargo install auditx-cli --features ship`"
            .to_owned())
    }
}

impl Database {
    pub(crate) fn enable(&self, _: &Table) -> Result<Captured, Failure> {
        match self.0 {}
    }

    pub(crate) fn enable_logical(&self, _: &Table) -> Result<Captured, Failure> {
        match self.0 {}
    }

    pub(crate) fn disable(&self, _: &str) -> Result<bool, Failure> {
        match self.0 {}
    }

    pub(crate) fn enable_ddl(&self) -> Result<Ddl, Failure> {
        match self.0 {}
    }

    pub(crate) fn disable_ddl(&self) -> Result<bool, Failure> {
        match self.0 {}
    }

    pub(crate) fn status(&self) -> Result<Status, Failure> {
        match self.0 {}
    }

    pub(crate) fn collect(&self, _: &AuditLogger) -> Result<Vec<Collector>, Failure> {
        match self.0 {}
    }
}
