//! Records the changes that committed in a SQLite database, and only those. Needs no server.
//!
//! ```console
//! $ cargo run -p auditx-examples --bin sqlite_capture
//! $ cargo run -p auditx-examples --bin sqlite_capture -- --database shop.db --log-dir logs
//! ```

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

use auditx_core::kind::Change;
use auditx_core::{AuditAction, AuditLogger, BusinessModule, Config, EntryBuilder, RequestContext};
use auditx_reader::{Field, Lines};
use auditx_sqlite::{Collector, SqliteOutbox};
use clap::Parser;
use rusqlite::{Connection, Transaction};
use serde_json::json;

type Result<T = (), E = Box<dyn Error>> = std::result::Result<T, E>;

/// The highest credit limit that a clerk may grant.
const MAX_LIMIT: i64 = 1_000_000;

/// How long the collector may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Changes a customer in a few transactions and prints which of the changes are in the audit trail.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// The SQLite database; created if it does not exist. Without it, one in a new temporary directory.
    #[arg(long)]
    database: Option<PathBuf>,

    /// The directory of the audit trail. Without it, one in a new temporary directory.
    #[arg(long)]
    log_dir: Option<PathBuf>,
}

fn main() -> Result {
    let options = Options::parse();
    // It stays, so that the trail can be looked at afterwards.
    let temporary = || tempfile::tempdir().map(tempfile::TempDir::keep);
    let directory = match (&options.database, &options.log_dir) {
        (Some(_), Some(_)) => PathBuf::new(),
        _ => temporary()?,
    };
    let database = options.database.unwrap_or_else(|| directory.join("shop.db"));
    let log_dir = options.log_dir.unwrap_or_else(|| directory.join("logs"));

    let logger = AuditLogger::open(Config::new(&log_dir))?;
    let mut shop = Shop { connection: opened(&database)?, logger: logger.clone() };
    let collector = Collector::spawn(&logger, SqliteOutbox::open(&database)?)?;
    let scope = RequestContext::new().user("thida").branch_id("YGN").enter();
    shop.work()?;
    drop(scope);
    // A look at the outbox that began before the last commit may not have seen it: the second look from now
    // has.
    let before = collector.progress().emptied;
    if !collector.wait_until(TIMEOUT, |progress| progress.emptied > before + 1) {
        return Err(collector.progress().error.into());
    }
    drop(collector);
    logger.close(TIMEOUT)?;
    print(&log_dir)
}

/// Opens the database and creates its tables, those of the outbox among them.
fn opened(database: &Path) -> Result<Connection> {
    let connection = Connection::open(database)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS customer (id INTEGER PRIMARY KEY, name TEXT, credit_limit INTEGER);
         DELETE FROM customer WHERE id = 42",
    )?;
    auditx_sqlite::init(&connection)?;
    Ok(connection)
}

/// An application with a database and an audit trail.
struct Shop {
    connection: Connection,
    logger: AuditLogger,
}

impl Shop {
    /// Makes some changes, of which some commit.
    fn work(&mut self) -> Result {
        println!("Changes in the database, each with its audit entry in the same transaction:");

        let transaction = self.connection.transaction()?;
        transaction.execute("INSERT INTO customer VALUES (42, 'Golden Trading Co.', 500000)", [])?;
        let new = json!({"name": "Golden Trading Co.", "credit_limit": 500_000});
        let entry = change(&self.logger, "Customer added", AuditAction::Create).new_values(new).encode()?;
        auditx_sqlite::store(&transaction, &entry)?;
        transaction.commit()?;
        println!("  1. customer 42 added: committed");

        let transaction = self.connection.transaction()?;
        raise_limit(&transaction, &self.logger, 700_000)?;
        transaction.rollback()?;
        println!("  2. credit limit raised to 700,000: rolled back");

        let mut transaction = self.connection.transaction()?;
        raise_limit(&transaction, &self.logger, 800_000)?;
        let savepoint = transaction.savepoint()?;
        savepoint.execute("UPDATE customer SET name = 'Golden' WHERE id = 42", [])?;
        let entry = change(&self.logger, "Customer renamed", AuditAction::Update).encode()?;
        auditx_sqlite::store(&savepoint, &entry)?;
        drop(savepoint);
        transaction.commit()?;
        println!("  3. credit limit raised to 800,000: committed; renamed in a savepoint: rolled back");

        self.refuse(5_000_000)?;
        println!("  4. credit limit raised to 5,000,000: refused and rolled back; the refusal is recorded");
        Ok(())
    }

    /// Refuses a change. That it was tried must be known although nothing changed, so it is recorded at once,
    /// and not in the transaction.
    fn refuse(&mut self, limit: i64) -> Result {
        let transaction = self.connection.transaction()?;
        raise_limit(&transaction, &self.logger, limit)?;
        if limit > MAX_LIMIT {
            transaction.rollback()?;
            let denied = self.logger.log_security("Credit limit refused").action(AuditAction::Reject);
            denied.entity("customer", "42").success(false).metadata("limit", limit).record()?;
            return Ok(());
        }
        transaction.commit()?;
        Ok(())
    }
}

/// Returns an entry about customer 42.
fn change<'l>(logger: &'l AuditLogger, what: &'static str, action: AuditAction) -> EntryBuilder<'l, Change> {
    logger.log_change(what, BusinessModule::Crm, action, "customer", "42")
}

fn raise_limit(transaction: &Transaction<'_>, logger: &AuditLogger, limit: i64) -> Result {
    let old: i64 =
        transaction.query_row("SELECT credit_limit FROM customer WHERE id = 42", [], |row| row.get(0))?;
    transaction.execute("UPDATE customer SET credit_limit = ?1 WHERE id = 42", [limit])?;
    let entry = change(logger, "Credit limit raised", AuditAction::Update)
        .old_values(json!({"credit_limit": old}))
        .new_values(json!({"credit_limit": limit}))
        .encode()?;
    auditx_sqlite::store(transaction, &entry)?;
    Ok(())
}

/// Prints the entries about the customer, by time: in the trail, a refusal that is recorded at once may be
/// before a change that is collected.
fn print(log_dir: &Path) -> Result {
    let mut entries = Vec::new();
    for line in Lines::all(log_dir)? {
        let line = line?;
        let row = line.row()?;
        if (&*row.text(Field::EntityType), &*row.text(Field::EntityId)) == ("customer", "42") {
            let [at, user, what] = [Field::Timestamp, Field::User, Field::Description].map(|f| row.text(f));
            entries.push(format!("  {at}  {user}  {what}"));
        }
    }
    entries.sort_unstable();
    println!("\nWhat the audit trail has about customer 42:\n{}", entries.join("\n"));
    println!("\nWhat rolled back is not there. To see the values before and after each change:");
    println!("  auditx history customer/42 --dir {}", log_dir.display());
    Ok(())
}
