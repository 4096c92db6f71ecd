//! Reports what a search could not read or verify, and determines the exit status.

use auditx_reader::Summary;

use crate::failure::Status;
use crate::family::{Member, Read};
use crate::number::counted;
use crate::terminal::{print_message, sanitized};

/// Returns the message about a trail that does not match its signed checkpoints.
pub(crate) fn mismatch_message(fault: &impl ToString) -> String {
    format!(
        "the trail does not match what was signed, so the result may be wrong: {}; \
         run `auditx verify` for details",
        sanitized(&fault.to_string())
    )
}

/// Printed for files that were copied without their directory `.auditx`.
const NOT_SIGNED: &str = "there is no checkpoint: these lines are not signed";

/// Reports on standard error what could not be read, what does not match the signed checkpoints and what is
/// not signed. Returns the exit status, which is an error if the result may be incomplete.
pub(crate) fn report(read: &[Read<'_>], is_strict: bool) -> Status {
    let statuses: Vec<Status> =
        read.iter().map(|(member, summary)| report_one(member, summary, is_strict)).collect();
    let has = |status| statuses.contains(&status);
    if has(Status::Error) {
        Status::Error
    } else if has(Status::Success) {
        Status::Success
    } else {
        Status::Negative
    }
}

/// Returns the number of entries that were found in all trails.
pub(crate) fn found(read: &[Read<'_>]) -> u64 {
    read.iter().map(|(_, summary)| summary.found).sum()
}

/// Returns the number of lines that could not be read.
pub(crate) fn unreadable(read: &[Read<'_>]) -> u64 {
    read.iter().map(|(_, summary)| summary.errors.lines()).sum()
}

fn report_one(member: &Member, summary: &Summary, is_strict: bool) -> Status {
    let print = |message: &str| print_message(&member.labelled(message));
    let errors = &summary.errors;
    for error in errors.iter() {
        let what = if error.is_unreadable() { "unreadable line: " } else { "" };
        print(&format!("{what}{}", sanitized(&error.to_string())));
    }
    if errors.lines() > 0 {
        print(&format!("{} could not be read", counted(errors.lines(), "line")));
    }
    if errors.segments() > 0 {
        print(&format!(
            "{} could not be read to the end: the result is incomplete",
            counted(errors.segments(), "segment")
        ));
    }
    if let Some(fault) = &summary.fault {
        print(&mismatch_message(fault));
    }
    if summary.is_unsigned {
        print(NOT_SIGNED);
    }
    if let Some(signed) = summary.signed.filter(|_| summary.unsigned > 0) {
        let what = match summary.unsigned {
            1 => "1 entry is not signed: it is".to_owned(),
            count => format!("{count} entries are not signed: they are"),
        };
        print(&format!("{what} newer than the latest checkpoint, which covers {}", counted(signed, "line")));
    }
    let is_doubtful = errors.lines() > 0 || summary.is_unsigned;
    if summary.fault.is_some() || errors.segments() > 0 || is_strict && is_doubtful {
        Status::Error
    } else if summary.found > 0 {
        Status::Success
    } else {
        Status::Negative
    }
}
