//! A worker for the jobs of `jobs_web`: a process of its own, with a trail of its own.
//!
//! ```console
//! $ cargo run -p auditx-examples --bin jobs_worker -- --name worker-1 --ledger ledger.csv
//! ```

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use auditx_core::{Config, audit, configure};
use auditx_examples::jobs::Desk;
use auditx_examples::options::CLOSE_TIMEOUT;
use auditx_examples::{queue, stop};
use clap::Parser;
use tokio::runtime::Runtime;
use tokio::time::sleep;

/// Exports reports in the background. Any number of workers may run, each under a name of its own.
#[derive(Debug, Parser)]
#[command(version, args_override_self = true)]
struct Options {
    /// Its name, and the name of its trail below the log directory: one process at a time.
    #[arg(long, default_value = "worker-1")]
    name: String,

    /// The directory of the audit trails.
    #[arg(long, default_value = "logs")]
    log_dir: PathBuf,

    /// Where the queue is.
    #[arg(long, value_name = "URL", default_value = "redis://127.0.0.1:6379")]
    redis: String,

    /// The file that reports are made from: lines of `company,branch,product,quantity,reference`.
    #[arg(long, default_value = "ledger.csv")]
    ledger: PathBuf,

    /// Where reports are put.
    #[arg(long, default_value = "reports")]
    reports: PathBuf,

    /// How often a job is tried.
    #[arg(long, default_value_t = 5)]
    attempts: usize,

    /// How many seconds pass between two signs of life. After three without one, its job is given to another worker.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    heartbeat: u64,

    /// How many seconds the job at hand may still take once the worker is told to stop.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    grace: u64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    configure(Config::new(&options.log_dir).instance(&options.name))?;
    let runtime = Runtime::new()?;
    let worked = runtime.block_on(work(&options));
    // A job that outlives the grace ends here, in the middle: its thread is not waited for.
    runtime.shutdown_background();
    audit().close(CLOSE_TIMEOUT)?;
    worked
}

async fn work(options: &Options) -> Result<(), Box<dyn Error>> {
    let (stop, told_to_stop) = (stop::requested()?, stop::requested()?);
    let desk = Arc::new(Desk {
        worker: options.name.clone(),
        ledger: options.ledger.clone(),
        reports: options.reports.clone(),
        attempts: options.attempts,
    });
    let stop = async {
        stop.await;
        println!("stopping after the job at hand");
    };
    println!("taking jobs");
    let heartbeat = Duration::from_secs(options.heartbeat);
    let taking = queue::take(&options.redis, &options.name, heartbeat, stop, move |delivery| {
        let desk = Arc::clone(&desk);
        async move { desk.take(delivery).await }
    });
    tokio::select! {
        worked = taking => Ok(worked?),
        // Redis still has the job at hand, and gives it to another worker.
        () = async { told_to_stop.await; sleep(Duration::from_secs(options.grace)).await } => Ok(()),
    }
}
