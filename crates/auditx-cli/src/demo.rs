//! `auditx demo`: records every kind of entry through the public API of the library, then shows and verifies
//! them.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use auditx_core::{
    AuditAction, BusinessModule, Config, Error, LogLevel, RateLimit, Receipt, RequestContext, StoredEntry,
    VerifierKey, audit, configure,
};
use auditx_reader::{Answer, Field, Json, Lines, Search, Verification, VerifyOptions, verify};
use auditx_store::{ACTIVE, DEFAULT_LOG_DIR};
use serde_json::json;

use crate::failure::{Failure, Status, is_empty_or_missing};
use crate::number::counted;
use crate::progress::Progress;
use crate::table;
use crate::terminal::{self, program, sanitized, shell_word};
use crate::trail::open_failure;
use crate::ui;

/// Record example entries, then show and verify them
///
/// The command records as an application does, but only into a new or empty
/// directory, because recorded entries stay in a trail. Each entry is marked as a
/// demonstration.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment)]
pub(crate) struct Arguments {
    // Ignores AUDITX_LOG_DIR, which is the directory of an application.
    /// The directory of the trail, new or empty; AUDITX_LOG_DIR is ignored
    #[arg(long = "dir", value_name = "DIR", default_value = DEFAULT_LOG_DIR)]
    directory: PathBuf,
    /// Then show the trail in a browser, until Ctrl-C
    #[arg(long)]
    ui: bool,
}

const EXAMPLES: &str = "\
Examples:
  auditx demo                      record into ./logs
  auditx demo --ui                 and look at the entries in a browser
  auditx demo --dir /tmp/trial     record into another directory";

/// The member of `metadata` that marks every entry.
const MARK: &str = "demonstration";

/// The name of the log.
const ORIGIN: &str = "auditx-demonstration";

/// How long flushing and closing may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// More than the demo records, including control records.
const LINES: u64 = 64;

const OFFICE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, 1, 10));
const ATTACKER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, 1, 50));
const ATTACKS: usize = 7;

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    let directory = arguments.directory.as_path();
    if !is_empty_or_missing(directory) {
        return Err(not_empty(directory));
    }
    let config = Config::new(directory).origin(ORIGIN).default_currency("MMK");
    configure(config).map_err(|error| {
        open_failure(&error, directory, "stop that process, or choose another directory with --dir")
    })?;
    let receipts = record()?;
    audit().flush(TIMEOUT)?;
    // Read before closing, while no other process can write to the trail.
    let entries = read_back(directory, &receipts)?;
    let key = audit().verifier_key()?;
    audit().close(TIMEOUT)?;
    let verification = verified(directory, &key)?;
    show(directory, &entries)?;
    let status = conclude(directory, &verification, &key)?;
    if arguments.ui {
        writeln!(terminal::output())?;
        return ui::run(&ui::Arguments::of_demonstration(directory.to_path_buf()));
    }
    Ok(status)
}

/// Returns the failure for a directory that is not empty.
fn not_empty(directory: &Path) -> Failure {
    let (display_path, program) = (sanitized(&directory.to_string_lossy()), program());
    let elsewhere = format!("{program} demo --dir /tmp/trial");
    Failure::new(if is_demonstration(directory) {
        format!(
            "{display_path} contains the demonstration of an earlier run; nothing was recorded\n\
             to view it:            {program} query --dir {}\n\
             to record another one: {elsewhere}",
            shell_word(directory)
        )
    } else {
        format!(
            "{display_path} is not empty: the demonstration needs a new or empty directory, because \
             recorded entries stay in a trail; for example: {elsewhere}"
        )
    })
}

/// Returns `true` if every entry of the trail belongs to a demonstration.
fn is_demonstration(directory: &Path) -> bool {
    let mut marked = 0;
    let outcome = Search::new(directory).strict().each(|found| {
        let metadata = found.row.get(Field::Metadata);
        let is_marked = metadata.and_then(|metadata| metadata.member(MARK)) == Some(Json::Bool(true));
        marked += u64::from(is_marked);
        if is_marked || found.row.has(Field::Auditx) {
            ControlFlow::Continue(())
        } else {
            marked = 0;
            ControlFlow::Break(())
        }
    });
    marked > 0 && outcome.is_ok_and(|summary| summary.errors.lines() == 0)
}

/// Verifies the trail with its key and its latest checkpoint.
fn verified(directory: &Path, key: &VerifierKey) -> Result<Verification, Failure> {
    let mut options = VerifyOptions::new().key(key.clone());
    if let Some(latest) = audit().checkpoint() {
        options = options.known(latest);
    }
    let mut progress = Progress::of("verifying");
    Ok(verify(directory, &options, &mut |done, total| progress.update(done, total))?)
}

fn record() -> Result<Vec<Receipt>, Error> {
    let mut receipts = business()?;
    let _scope = RequestContext::new().extra(MARK, true).enter();
    for _ in 0..ATTACKS {
        receipts.push(
            audit()
                .log_security("Login failed")
                .user("attacker")
                .ip(ATTACKER)
                .success(false)
                .reason("wrong password")
                .record()?,
        );
    }
    Ok(receipts)
}

/// Records the entries of the quick start in the README.
fn business() -> Result<Vec<Receipt>, Error> {
    let _scope = RequestContext::new()
        .user("admin")
        .user_role("manager")
        .company_id("CO-001")
        .branch_id("BR-YGN")
        .ip(OFFICE)
        .extra(MARK, true)
        .enter();
    let (sales, crm) = (BusinessModule::Sales, BusinessModule::Crm);
    Ok(vec![
        audit().log_security("User login successful").action(AuditAction::Login).record()?,
        audit()
            .log_transaction("Sales invoice posted", sales, AuditAction::Post, "SI-2026-0042", 1_250_000)
            .entity("sales_invoice", "inv-42")
            .party("Golden Trading Co.")
            .record()?,
        audit()
            .log_inventory("Stock issued for sales order", AuditAction::Transfer, "SKU-1001", 50)
            .product_name("LED Panel 24W")
            .warehouse_id("WH-MAIN")
            .reference_no("SI-2026-0042")
            .record()?,
        audit()
            .log_service("Service job completed", AuditAction::Update, "SVC-889")
            .customer_id("CUST-220")
            .technician("U Kyaw")
            .service_type("AC Maintenance")
            .status_label("completed")
            .amount(85_000)
            .record()?,
        audit()
            .log_change("Customer credit limit updated", crm, AuditAction::Update, "customer", "CUST-220")
            .old_values(json!({"credit_limit": 500_000}))
            .new_values(json!({"credit_limit": 1_000_000}))
            .record()?,
    ])
}

/// Reads the entries of these receipts back from the trail.
fn read_back(directory: &Path, receipts: &[Receipt]) -> Result<Vec<StoredEntry>, Failure> {
    let mut recorded = Vec::with_capacity(receipts.len());
    for receipt in receipts {
        recorded.push(receipt.wait_durable()?.seq);
    }
    let mut entries = Vec::with_capacity(recorded.len());
    for line in Lines::last(directory, LINES)? {
        let line = line?;
        if line.seq().is_some_and(|seq| recorded.contains(&seq)) {
            entries.push(line.parse()?);
        }
    }
    Ok(entries)
}

fn show(directory: &Path, entries: &[StoredEntry]) -> Result<(), Failure> {
    let display_path = sanitized(&directory.to_string_lossy());
    let sensitive = entries.iter().filter(|entry| is_sensitive(entry)).count();
    let critical = entries.iter().filter(|entry| entry.level == LogLevel::Critical.as_str()).count();
    let mut out = terminal::output();
    writeln!(out, "Recorded {} entries into {display_path}, marked as a demonstration:\n", entries.len())?;
    writeln!(out, "{}\n", table::of_entries(entries, terminal::width(), terminal::has_colours()))?;
    let RateLimit { limit, window, .. } = RateLimit::default();
    writeln!(
        out,
        "The last {critical} are CRITICAL: more than {limit} failures from one address within {} s.",
        window.as_secs()
    )?;
    writeln!(out, "Every entry is durable, as one line of JSON:\n")?;
    writeln!(out, "  {display_path}/audit.jsonl     all entries, and control records of the trail")?;
    writeln!(
        out,
        "  {display_path}/security.jsonl  a copy of the {sensitive} of level SECURITY or CRITICAL"
    )?;
    Ok(out.flush()?)
}

/// Prints the result of the verification and commands to try next.
fn conclude(directory: &Path, verification: &Verification, key: &VerifierKey) -> Result<Status, Failure> {
    let mut out = terminal::output();
    let lines = counted(verification.lines, "line");
    let status = match &verification.fault {
        None if verification.answer == Answer::Intact => {
            writeln!(out, "\nVerified: all {lines} match what was signed with this key:\n\n  {key}")?;
            Status::Success
        }
        fault => {
            let why = fault.as_ref().map(ToString::to_string).unwrap_or_default();
            writeln!(out, "\nNOT verified: the {lines} do not match what was signed. {}", sanitized(&why))?;
            Status::Negative
        }
    };
    writeln!(out, "\nTry next:\n")?;
    let (program, dir) = (program(), shell_word(directory));
    let commands = [
        (format!("{program} ui --dir {dir}"), "look at the trail in a browser"),
        (format!("{program} tail --dir {dir} -f"), "show new entries"),
        (format!("{program} doctor --dir {dir}"), "examine the trail"),
        (format!("{program} verify --dir {dir}"), "add --key and --known for a full verification"),
    ];
    let width = commands.iter().map(|(command, _)| command.len()).max().unwrap_or_default();
    for (command, what) in &commands {
        writeln!(out, "  {command:<width$}  # {what}")?;
    }
    writeln!(out, "  jq 'select(.level == \"CRITICAL\")' {}", shell_word(&directory.join(ACTIVE)))?;
    out.flush()?;
    Ok(status)
}

fn is_sensitive(entry: &StoredEntry) -> bool {
    entry.level.parse::<LogLevel>().is_ok_and(LogLevel::is_sensitive)
}
