//! Exporting a report in the background: what a request asks for, and what a worker then does in that request's context.
//!
//! Comes in: an export to make, and later the job that says so, out of a queue that others may write to. Goes out: a CSV
//! file, and entries in two trails that one request id holds together.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use auditx_core::{
    AuditAction, BusinessModule, Carrier, EntryBuilder, General, LogLevel, RequestContext, audit,
};
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;

use crate::queue::{Delivery, Queue, Undone};
use crate::refusal::Refusal;

/// What a refusal repeats of a job that makes no sense. An entry has a largest size, and whoever wrote the job chose its.
const LONGEST_REASON: usize = 300;

/// A report to export: what moved of a product, in the company of whoever asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Export {
    product_id: String,
}

/// What crosses the queue.
#[derive(Debug, Serialize, Deserialize)]
struct Job {
    carrier: Carrier,
    export: Export,
}

/// An export that was asked for.
#[derive(Debug, Serialize)]
pub struct Requested {
    request_id: String,
    job_id: String,
}

/// Asks for a report. Recorded, and durable, before a worker can know of it.
///
/// # Errors
/// Where it cannot be recorded; [`Refusal::Unavailable`] where the queue does not take it, which is recorded too.
pub async fn request(queue: &Queue, export: Export) -> Result<Requested, Refusal> {
    let receipt = about("Report export requested").entity("product", &export.product_id).record()?;
    receipt.durable().await?;
    // The job is called after the entry that asks for it. A client's own id could be somebody else's job's.
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

/// What a worker exports from, to where.
#[derive(Debug)]
pub struct Desk {
    /// Whose it is: a name that no other worker has.
    pub worker: String,
    /// Lines of `company,branch,product,quantity,reference`.
    pub ledger: PathBuf,
    /// Where reports are put; made where it does not exist.
    pub reports: PathBuf,
    /// How often a job is tried.
    pub attempts: usize,
}

impl Desk {
    /// Does a job that came out of the queue, in the context it carries. A job that makes no sense is refused in the worker's
    /// own context, because what it claims of users and requests is worth nothing.
    ///
    /// # Errors
    /// Where it is not done; that is recorded.
    pub async fn take(&self, delivery: Delivery) -> Result<(), Undone> {
        let (context, export) = match understood(&delivery) {
            Ok(understood) => understood,
            Err(why) => return Err(refused(&delivery, &why)),
        };
        context.edit(|fields| {
            // Every entry of the job then says so.
            fields.extra.insert("job_id".to_owned(), delivery.id.clone().into());
            fields.extra.insert("attempt".to_owned(), delivery.attempt.into());
        });
        let begun = {
            let _scope = context.enter();
            about("Report export begun").entity("product", &export.product_id).record()
        };
        match begun {
            Ok(_) => context.scope(self.carry_out(&delivery, export)).await,
            Err(error) if error.is_too_large() => {
                Err(refused(&delivery, &format!("what it carries is too large for an entry: {error}")))
            }
            Err(error) => Err(unrecorded(&error)),
        }
    }

    async fn carry_out(&self, delivery: &Delivery, export: Export) -> Result<(), Undone> {
        let file = self.reports.join(format!("{}.csv", delivery.id));
        // Two workers may do the same job at the same time, where one was thought dead.
        let unfinished = file.with_extension(format!("{}.part", self.worker));
        let (company, ledger) = (RequestContext::current().fields().company_id, self.ledger.clone());
        let product = export.product_id.clone();
        // On a thread of its own, because apalis' heartbeats come from this one.
        let exported = spawn_blocking(move || -> io::Result<usize> {
            let rows = write_report(&ledger, &unfinished, &[&company, &product])?;
            fs::rename(&unfinished, &file)?;
            Ok(rows)
        })
        .await;
        let why = match exported {
            Ok(Ok(rows)) => {
                let done = about("Report exported").entity("product", &export.product_id);
                done.metadata("rows", rows).record().map_err(|error| unrecorded(&error))?;
                return Ok(());
            }
            Ok(Err(error)) => format!("{}: {error}", self.ledger.display()),
            Err(panicked) => panicked.to_string(),
        };
        if delivery.attempt < self.attempts {
            failure("Report export failed", &why).record().map_err(|error| unrecorded(&error))?;
            Err(Undone::Again(why))
        } else {
            failure("Report export given up", &why).record().map_err(|error| unrecorded(&error))?;
            Err(Undone::Never(why))
        }
    }
}

/// The context and the export that a job says, or why it says none.
fn understood(delivery: &Delivery) -> Result<(RequestContext, Export), String> {
    // It becomes the name of a file, and whoever writes to Redis chose it.
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if !(1..=64).contains(&delivery.id.len()) || !delivery.id.chars().all(is_plain) {
        return Err("its id is no id of ours".to_owned());
    }
    // serde's message quotes what it finds, and that may be a secret in a wrong field.
    let unreadable = |error: serde_json::Error| {
        format!("not the expected JSON at line {} column {}", error.line(), error.column())
    };
    let Job { carrier, export } = serde_json::from_slice(&delivery.bytes).map_err(unreadable)?;
    let context = RequestContext::from_carrier(&carrier).map_err(|error| error.to_string())?;
    Ok((context, export))
}

/// Refuses a job, in the worker's own context.
fn refused(delivery: &Delivery, why: &str) -> Undone {
    let why = shortened(why);
    let entry = failure("Report export refused", &why)
        .metadata("job_id", shortened(&delivery.id))
        .metadata("attempt", delivery.attempt);
    match entry.record() {
        Ok(_) => Undone::Never(why),
        Err(error) => unrecorded(&error),
    }
}

/// Writes the report; it is on the disk when this returns.
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
            return Err(io::Error::other(format!("a line of the ledger is none: {} bytes", line.len())));
        };
        if [company, product] == *wanted {
            write!(report, "{branch},{product},{rest}\r\n")?;
            rows += 1;
        }
    }
    report.into_inner()?.sync_all()?;
    Ok(rows)
}

fn about(description: &'static str) -> EntryBuilder<'static, General> {
    audit().log(description).module(BusinessModule::Reporting).action(AuditAction::Export)
}

fn failure<'a>(description: &'static str, why: &'a str) -> EntryBuilder<'a, General> {
    about(description).level(LogLevel::Error).success(false).reason(why)
}

/// What cannot be recorded is not done, or not yet: apalis brings the job back.
fn unrecorded(error: &auditx_core::Error) -> Undone {
    Undone::Again(format!("it could not be recorded: {error}"))
}

fn shortened(text: &str) -> String {
    text.chars().take(LONGEST_REASON).collect()
}
