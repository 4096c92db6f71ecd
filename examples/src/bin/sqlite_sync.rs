//! Keeps a copy of the trail in SQLite, for whoever wants to ask it in SQL.
//!
//! ```console
//! $ cargo run -p auditx-examples --bin sqlite_sync -- --log-dir logs --database audit.db
//! ```

use std::path::PathBuf;
use std::time::Duration;

use auditx_core::{Config, HookError, audit, configure};
use auditx_examples::quick_start;
use auditx_examples::sqlite_copy::SqliteCopy;
use clap::Parser;

/// Records a few entries, copies them to SQLite and prints the rows.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// The directory of the audit trail.
    #[arg(long, default_value = "logs")]
    log_dir: PathBuf,

    /// The SQLite database; made where there is none.
    #[arg(long, default_value = "audit.db")]
    database: PathBuf,

    /// How many seconds to wait for the database. What is not copied by then is copied by the next run.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    wait: u64,
}

fn main() -> Result<(), HookError> {
    let options = Options::parse();
    let wait = Duration::from_secs(options.wait);
    let copy = SqliteCopy::new(&options.log_dir, &options.database);
    configure(Config::new(&options.log_dir).default_currency("MMK").on_audit_from_start("sqlite", {
        let copy = copy.clone();
        move |entry| copy.take(entry)
    }))?;

    quick_start::record()?;
    audit().drain(wait)?;
    copy.print(std::io::stdout())?;
    audit().close(wait)?;
    Ok(())
}
