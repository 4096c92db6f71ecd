//! Keeps a copy of the trail in SQLite, for queries in SQL.
//!
//! ```console
//! $ cargo run -p auditx-examples --bin sqlite_sync -- --log-dir logs --database audit.db
//! $ cargo run -p auditx-examples --bin sqlite_sync -- --database audit.db --retry-parked
//! ```

use std::path::PathBuf;
use std::time::Duration;

use auditx_core::{Config, HookError, audit, configure};
use auditx_examples::entries;
use auditx_examples::sqlite_copy::{Parked, SqliteCopy};
use clap::Parser;
use serde_json::json;

/// Records a few entries, copies them to SQLite and prints the rows.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// The directory of the audit trail.
    #[arg(long, default_value = "logs")]
    log_dir: PathBuf,

    /// The SQLite database; created if it does not exist.
    #[arg(long, default_value = "audit.db")]
    database: PathBuf,

    /// Seconds to wait for the database. What is not copied by then is copied by the next run.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    wait: u64,

    /// Only insert the parked lines, which the database refused before. The writer of the trail may run at
    /// the same time.
    #[arg(long)]
    retry_parked: bool,
}

fn main() -> Result<(), HookError> {
    let options = Options::parse();
    let copy = SqliteCopy::new(&options.log_dir, &options.database);
    if options.retry_parked {
        return retry_parked(&copy);
    }
    let wait = Duration::from_secs(options.wait);
    configure(Config::new(&options.log_dir).default_currency("MMK").on_audit_from_start("sqlite", {
        let copy = copy.clone();
        move |entry| copy.copy(entry, log_parked)
    }))?;

    entries::record()?;
    audit().flush_hooks(wait)?;
    copy.print(std::io::stdout())?;
    audit().close(wait)?;
    Ok(())
}

/// Logs a parked line to app.log: its seq, id and the reason, but not its text.
fn log_parked(parked: &Parked) {
    let Parked { seq, id, reason, .. } = parked;
    audit().error(
        "the SQLite copy parked a line in audit_parked and continues",
        json!({"seq": seq, "id": id, "reason": reason}),
    );
}

fn retry_parked(copy: &SqliteCopy) -> Result<(), HookError> {
    let retried = copy.retry_parked()?;
    for parked in &retried.inserted {
        println!("line {} inserted", parked.seq);
    }
    for parked in &retried.refused {
        println!("line {} still parked: {}", parked.seq, parked.reason);
    }
    match retried.refused.len() {
        0 => Ok(()),
        number => Err(format!("{number} lines are still parked").into()),
    }
}
