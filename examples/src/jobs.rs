//! Report exports as background jobs: a request enqueues a job, and a worker runs it in that request's
//! context.
//!
//! The request's entries are in the service's trail and the job's entries in the worker's; both have the same
//! request id. Jobs are not trusted, because others may write to the queue.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use auditx_core::kind::General;
use auditx_core::{AuditAction, BusinessModule, Carrier, EntryBuilder, LogLevel, RequestContext, audit};
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;

use crate::queue::{Delivery, JobError, Queue};
use crate::refusal::Refusal;

/// Maximum number of characters that an entry quotes from an invalid job. Entries have a maximum size; jobs
/// have none.
const MAX_QUOTED: usize = 300;

/// A report to export: the movements of a product in the user's company.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Export {
    product_id: String,
}

/// A job as it is encoded in the queue.
#[derive(Debug, Serialize, Deserialize)]
struct Job {
    carrier: Carrier,
    export: Export,
}

/// An export that was enqueued.
#[derive(Debug, Serialize)]
pub struct Requested {
    request_id: String,
    job_id: String,
}

/// Enqueues an export. Its entry is durable before a worker can see the job.
///
/// # Errors
/// [`Refusal::NotRecorded`] if the request cannot be recorded; [`Refusal::Unavailable`] if the queue does not
/// accept the job, which is recorded too.
pub async fn request(queue: &Queue, export: Export) -> Result<Requested, Refusal> {
    let receipt = entry("Report export requested").entity("product", &export.product_id).record()?;
    receipt.durable().await?;
    // The job's id is the entry's id. With the client's own request id, one client could name another's job.
    let job_id = receipt.id().to_string();
    let context = RequestContext::current();
    let job = Job { carrier: context.to_carrier(), export };
    let bytes = serde_json::to_vec(&job).map_err(|error| Refusal::Failed(error.to_string()))?;
    if let Err(refusal) = queue.put(&job_id, bytes).await {
        failure("Report export not enqueued", &refusal.to_string()).metadata("job_id", &*job_id).record()?;
        return Err(refusal);
    }
    Ok(Requested { request_id: context.fields().request_id, job_id })
}

/// Runs a worker's jobs: exports reports from a ledger.
#[derive(Debug)]
pub struct Exporter {
    /// The worker's name, which no other worker has.
    pub worker: String,
    /// The ledger, with lines of `company,branch,product,quantity,reference`.
    pub ledger: PathBuf,
    /// The directory for reports; created if it does not exist.
    pub reports: PathBuf,
    /// Maximum number of attempts per job.
    pub attempts: usize,
}

impl Exporter {
    /// Runs a job in the context that it carries. An invalid job is refused in the worker's own context,
    /// because the user and the request that it names cannot be trusted.
    ///
    /// # Errors
    /// Fails if the job is not done; the failure is recorded.
    pub async fn run(&self, delivery: Delivery) -> Result<(), JobError> {
        let (context, export) = match decode(&delivery) {
            Ok(decoded) => decoded,
            Err(why) => return Err(refuse(&delivery, &why)),
        };
        context.edit(|fields| {
            // In the metadata of every entry of the job.
            fields.extra.insert("job_id".to_owned(), delivery.id.clone().into());
            fields.extra.insert("attempt".to_owned(), delivery.attempt.into());
        });
        let begun = {
            let _scope = context.enter();
            entry("Report export begun").entity("product", &export.product_id).record()
        };
        match begun {
            Ok(_) => context.scope(self.export(&delivery, export)).await,
            Err(error) if error.is_too_large() => {
                Err(refuse(&delivery, &format!("the job's context is too large for an entry: {error}")))
            }
            Err(error) => Err(not_recorded(&error)),
        }
    }

    async fn export(&self, delivery: &Delivery, export: Export) -> Result<(), JobError> {
        let file = self.reports.join(format!("{}.csv", delivery.id));
        // Each worker has its own temporary file: two may run the same job if one was taken for dead.
        let unfinished = file.with_extension(format!("{}.part", self.worker));
        let (company, ledger) = (RequestContext::current().fields().company_id, self.ledger.clone());
        let product = export.product_id.clone();
        // Not on this thread, because it sends apalis' heartbeats.
        let exported = spawn_blocking(move || -> io::Result<usize> {
            let rows = write_report(&ledger, &unfinished, &[&company, &product])?;
            fs::rename(&unfinished, &file)?;
            Ok(rows)
        })
        .await;
        let why = match exported {
            Ok(Ok(rows)) => {
                let done = entry("Report exported").entity("product", &export.product_id);
                done.metadata("rows", rows).record().map_err(|error| not_recorded(&error))?;
                return Ok(());
            }
            Ok(Err(error)) => format!("{}: {error}", self.ledger.display()),
            Err(panicked) => panicked.to_string(),
        };
        if delivery.attempt < self.attempts {
            failure("Report export failed", &why).record().map_err(|error| not_recorded(&error))?;
            Err(JobError::Retry(why))
        } else {
            failure("Report export given up", &why).record().map_err(|error| not_recorded(&error))?;
            Err(JobError::Abort(why))
        }
    }
}

/// Decodes a job. The error is the reason why the job is invalid.
fn decode(delivery: &Delivery) -> Result<(RequestContext, Export), String> {
    // The id becomes a file name, and anyone who can write to Redis can choose it.
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if !(1..=64).contains(&delivery.id.len()) || !delivery.id.chars().all(is_plain) {
        return Err("invalid job id".to_owned());
    }
    // serde's message quotes the value, which may be a secret in the wrong field.
    let invalid = |error: serde_json::Error| {
        format!("not the expected JSON at line {} column {}", error.line(), error.column())
    };
    let Job { carrier, export } = serde_json::from_slice(&delivery.bytes).map_err(invalid)?;
    let context = RequestContext::from_carrier(&carrier).map_err(|error| error.to_string())?;
    Ok((context, export))
}

/// Records in the worker's own context that a job is refused.
fn refuse(delivery: &Delivery, why: &str) -> JobError {
    let why = truncate(why);
    let entry = failure("Report export refused", &why)
        .metadata("job_id", truncate(&delivery.id))
        .metadata("attempt", delivery.attempt);
    match entry.record() {
        Ok(_) => JobError::Abort(why),
        Err(error) => not_recorded(&error),
    }
}

/// Writes the report and syncs it. Returns the number of rows.
fn write_report(ledger: &Path, file: &Path, wanted: &[&str; 2]) -> io::Result<usize> {
    let lines = BufReader::new(File::open(ledger)?);
    if let Some(reports) = file.parent() {
        fs::create_dir_all(reports)?;
    }
    let mut report = BufWriter::new(File::create(file)?);
    write!(report, "branch,product,quantity,reference\r\n")?;
    let mut rows = 0;
    for line in lines.lines() {
        let line = line?;
        let mut cells = line.splitn(4, ',');
        let (Some(company), Some(branch), Some(product), Some(rest)) =
            (cells.next(), cells.next(), cells.next(), cells.next())
        else {
            return Err(io::Error::other(format!("malformed ledger line of {} bytes", line.len())));
        };
        if [company, product] == *wanted {
            write!(report, "{branch},{product},{rest}\r\n")?;
            rows += 1;
        }
    }
    report.into_inner()?.sync_all()?;
    Ok(rows)
}

fn entry(description: &'static str) -> EntryBuilder<'static, General> {
    audit().log(description).module(BusinessModule::Reporting).action(AuditAction::Export)
}

fn failure<'a>(description: &'static str, why: &'a str) -> EntryBuilder<'a, General> {
    entry(description).level(LogLevel::Error).success(false).reason(why)
}

/// A job that cannot be recorded is not done; apalis retries it.
fn not_recorded(error: &auditx_core::Error) -> JobError {
    JobError::Retry(format!("cannot record the job: {error}"))
}

fn truncate(text: &str) -> String {
    text.chars().take(MAX_QUOTED).collect()
}
