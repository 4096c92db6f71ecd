//! A worker process for the jobs of `jobs_web`, with its own trail.
//!
//! ```console
//! $ cargo run -p auditx-examples --bin jobs_worker -- --name worker-1 --ledger ledger.csv
//! ```

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use auditx_core::{Config, audit, configure};
use auditx_examples::jobs::Exporter;
use auditx_examples::options::CLOSE_TIMEOUT;
use auditx_examples::{queue, shutdown};
use clap::{Parser, value_parser};
use tokio::runtime::Runtime;
use tokio::time::sleep;

/// Exports reports in the background. Any number of workers may run, each with a different name.
#[derive(Debug, Parser)]
#[command(version, args_override_self = true)]
struct Options {
    /// Name of the worker and of its trail below the log directory; one process at a time may use it.
    #[arg(long, default_value = "worker-1")]
    name: String,

    /// The directory of the audit trails.
    #[arg(long, default_value = "logs")]
    log_dir: PathBuf,

    /// URL of the Redis server that holds the queue.
    #[arg(long, value_name = "URL", default_value = "redis://127.0.0.1:6379")]
    redis: String,

    /// The file that reports are made from, with lines of `company,branch,product,quantity,reference`.
    #[arg(long, default_value = "ledger.csv")]
    ledger: PathBuf,

    /// The directory for reports.
    #[arg(long, default_value = "reports")]
    reports: PathBuf,

    /// Maximum number of attempts per job.
    #[arg(long, default_value_t = 5)]
    attempts: usize,

    /// Seconds between heartbeats. After three missed heartbeats, another worker takes over the job.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = value_parser!(u64).range(1..))]
    heartbeat: u64,

    /// Seconds that the current job may take after the worker was asked to stop.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    grace: u64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    configure(Config::new(&options.log_dir).instance(&options.name))?;
    let runtime = Runtime::new()?;
    let result = runtime.block_on(work(&options));
    // Does not wait for the thread of a job that exceeded the grace period.
    runtime.shutdown_background();
    audit().close(CLOSE_TIMEOUT)?;
    result
}

async fn work(options: &Options) -> Result<(), Box<dyn Error>> {
    let (stop, stopping) = (shutdown::signal()?, shutdown::signal()?);
    let exporter = Arc::new(Exporter {
        worker: options.name.clone(),
        ledger: options.ledger.clone(),
        reports: options.reports.clone(),
        attempts: options.attempts,
    });
    let stop = async {
        stop.await;
        println!("stopping after the current job");
    };
    println!("waiting for jobs");
    let heartbeat = Duration::from_secs(options.heartbeat);
    let worker = queue::run_worker(&options.redis, &options.name, heartbeat, stop, move |delivery| {
        let exporter = Arc::clone(&exporter);
        async move { exporter.run(delivery).await }
    });
    tokio::select! {
        result = worker => Ok(result?),
        // Redis still has the unfinished job, and gives it to another worker.
        () = async { stopping.await; sleep(Duration::from_secs(options.grace)).await } => Ok(()),
    }
}
