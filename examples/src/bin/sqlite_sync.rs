//! Keeps a copy of the trail in SQLite, for whoever wants to ask it in SQL.
//!
//! ```console
//! $ cargo run -p auditx-examples --bin sqlite_sync -- --log-dir logs --database audit.db
//! $ cargo run -p auditx-examples --bin sqlite_sync -- --database audit.db --retry-parked
//! ```

use std::path::PathBuf;
use std::time::Duration;

use auditx_core::{Config, HookError, audit, configure};
use auditx_examples::quick_start;
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

    /// The SQLite database; made where there is none.
    #[arg(long, default_value = "audit.db")]
    database: PathBuf,

    /// How many seconds to wait for the database. What is not copied by then is copied by the next run.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    wait: u64,

    /// Only try to bring in the lines that the database refused before; may run beside whoever writes the trail.
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
        move |entry| copy.take(entry, say)
    }))?;

    quick_start::record()?;
    audit().drain(wait)?;
    copy.print(std::io::stdout())?;
    audit().close(wait)?;
    Ok(())
}

/// In app.log. It names the line and why, and nothing that stands in it.
fn say(parked: &Parked) {
    let Parked { seq, id, reason, .. } = parked;
    audit().error(
        "the copy in SQLite goes on without a line: it is in audit_parked",
        json!({"seq": seq, "id": id, "reason": reason}),
    );
}

fn retry_parked(copy: &SqliteCopy) -> Result<(), HookError> {
    let retried = copy.retry_parked()?;
    for parked in &retried.brought_in {
        println!("line {} is in audit now", parked.seq);
    }
    for parked in &retried.still_refused {
        println!("line {} stays parked: {}", parked.seq, parked.reason);
    }
    match retried.still_refused.len() {
        0 => Ok(()),
        number => Err(format!("lines that stay parked: {number}").into()),
    }
}
