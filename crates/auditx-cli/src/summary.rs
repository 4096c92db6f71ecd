//! Reports what a search could not read or verify, and determines the exit status.

use auditx_reader::Summary;

use crate::failure::Status;
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
pub(crate) fn report(summary: &Summary, is_strict: bool) -> Status {
    let errors = &summary.errors;
    for error in errors.iter() {
        let what = if error.is_unreadable() { "unreadable line: " } else { "" };
        print_message(&format!("{what}{}", sanitized(&error.to_string())));
    }
    if errors.lines() > 0 {
        print_message(&format!("{} could not be read", counted(errors.lines(), "line")));
    }
    if errors.segments() > 0 {
        print_message(&format!(
            "{} could not be read to the end: the result is incomplete",
            counted(errors.segments(), "segment")
        ));
    }
    if let Some(fault) = &summary.fault {
        print_message(&mismatch_message(fault));
    }
    if summary.is_unsigned {
        print_message(NOT_SIGNED);
    }
    if let Some(signed) = summary.signed.filter(|_| summary.unsigned > 0) {
        let what = match summary.unsigned {
            1 => "1 entry is not signed: it is".to_owned(),
            count => format!("{count} entries are not signed: they are"),
        };
        print_message(&format!(
            "{what} newer than the latest checkpoint, which covers {}",
            counted(signed, "line")
        ));
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
