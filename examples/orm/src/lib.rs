//! What both examples need: a database with a captured table, an audit trail, and a collector between them.

use std::error::Error;
use std::time::Duration;

use auditx_capture::Collector;
use auditx_core::kind::Change;
use auditx_core::{AuditAction, AuditLogger, BusinessModule, Config, EncodedEntry, EntryBuilder};
use auditx_postgres::PostgresOutbox;
use auditx_postgres::capture::{self, Table};
use auditx_reader::{Field, Lines};
use auditx_tests::postgres::Server;
use serde_json::{Value, json};
use tempfile::TempDir;

/// The outcome of what an example does.
pub type Result<T = (), E = Box<dyn Error>> = std::result::Result<T, E>;

/// The highest credit limit that a clerk may grant.
pub const MAX_LIMIT: i64 = 1_000_000;

/// How long the collector may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A temporary PostgreSQL server with the table `customer`, and an audit trail of its changes.
#[derive(Debug)]
pub struct Shop {
    /// The URL of the database.
    pub url: String,
    /// The logger of the trail.
    pub logger: AuditLogger,
    collector: Collector,
    log_dir: TempDir,
    _server: Server,
}

impl Shop {
    /// Starts the server, creates and captures the table, and starts the collector.
    ///
    /// # Errors
    /// If the trail cannot be created or the server refuses.
    pub async fn open() -> Result<Self> {
        let server = Server::start();
        server.sql("CREATE TABLE customer (id bigint PRIMARY KEY, name text, credit_limit bigint)");
        let url = server.url("admin", server.port());
        // Creates the outbox too. Without triggers, `auditx_postgres::init` does.
        capture::enable(&url, &Table::new("customer", "crm")).await?;
        let log_dir = tempfile::tempdir()?;
        let logger = AuditLogger::open(Config::new(log_dir.path()))?;
        let collector = Collector::spawn(&logger, PostgresOutbox::open(&url)?)?;
        Ok(Self { url, logger, collector, log_dir, _server: server })
    }

    /// Waits until everything that committed is in the trail, and prints its entries about customer 42 by
    /// time.
    ///
    /// # Errors
    /// If the collector fails or the trail cannot be read.
    pub fn print(self) -> Result {
        // A look at the outbox that began before the last commit may not have seen it: the second look from
        // now has.
        let before = self.collector.progress().emptied;
        if !self.collector.wait_until(TIMEOUT, |progress| progress.emptied > before + 1) {
            return Err(self.collector.progress().error.into());
        }
        drop(self.collector);
        self.logger.close(TIMEOUT)?;
        let mut entries = Vec::new();
        for line in Lines::all(self.log_dir.path())? {
            let line = line?;
            let row = line.row()?;
            if (&*row.text(Field::EntityType), &*row.text(Field::EntityId)) == ("customer", "42") {
                let [at, user, what] =
                    [Field::Timestamp, Field::User, Field::Description].map(|field| row.text(field));
                entries.push((at.into_owned(), format!("  {user}  {what}")));
            }
        }
        entries.sort_unstable();
        println!("What the audit trail has about customer 42:");
        entries.iter().for_each(|(_, entry)| println!("{entry}"));
        Ok(())
    }
}

/// Returns the entry about the new customer 42.
///
/// # Errors
/// If it is too large for a line.
pub fn added(logger: &AuditLogger) -> Result<EncodedEntry> {
    let entry = change(logger, "Customer added", AuditAction::Create);
    Ok(entry.new_values(json!({"name": "Golden Trading Co.", "credit_limit": 500_000})).encode()?)
}

/// Returns the entry about a higher credit limit.
///
/// # Errors
/// If it is too large for a line.
pub fn raised(logger: &AuditLogger, old: i64, new: i64) -> Result<EncodedEntry> {
    let values = |limit: i64| -> Value { json!({"credit_limit": limit}) };
    let entry = change(logger, "Credit limit raised", AuditAction::Update);
    Ok(entry.old_values(values(old)).new_values(values(new)).encode()?)
}

/// Records a refusal. That it was tried must be known although nothing changed, so it is recorded at once,
/// and not in the transaction, which rolls back.
///
/// # Errors
/// If the trail does not accept the entry.
pub fn refused(logger: &AuditLogger, limit: i64) -> Result {
    let denied = logger.log_security("Credit limit refused").action(AuditAction::Reject);
    denied.entity("customer", "42").success(false).metadata("limit", limit).record()?;
    Ok(())
}

fn change<'l>(logger: &'l AuditLogger, what: &'static str, action: AuditAction) -> EntryBuilder<'l, Change> {
    logger.log_change(what, BusinessModule::Crm, action, "customer", "42")
}
