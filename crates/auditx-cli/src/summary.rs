//! How a search went, for whoever asked: what could not be read, and the exit status.

use auditx_reader::Summary;

use crate::failure::Status;
use crate::number::counted;
use crate::terminal::{complain, harmless};

/// What a command says of a trail that is not what was signed.
pub(crate) fn not_as_signed(fault: &impl ToString) -> String {
    format!(
        "the trail is not what was signed, so the answer may be wrong: {}; `auditx verify` says more",
        harmless(&fault.to_string())
    )
}

/// Of files that somebody copied without their directory `.auditx`.
const NOT_SIGNED: &str = "nobody signed these lines: there is no checkpoint beside them";

/// Says on standard error what could not be read, what is not as it was signed and what is not signed, and returns the exit
/// status: an error if the answer may not be the whole one.
pub(crate) fn tell(summary: &Summary, is_strict: bool) -> Status {
    let complaints = &summary.complaints;
    for complaint in complaints.iter() {
        let what = if complaint.is_unreadable() { "unreadable line: " } else { "" };
        complain(&format!("{what}{}", harmless(&complaint.to_string())));
    }
    if complaints.lines() > 0 {
        complain(&format!("{} could not be read", counted(complaints.lines(), "line")));
    }
    if complaints.segments() > 0 {
        complain(&format!(
            "{} could not be read to the end: the answer is not whole",
            counted(complaints.segments(), "segment")
        ));
    }
    if let Some(fault) = &summary.fault {
        complain(&not_as_signed(fault));
    }
    if summary.is_unsigned {
        complain(NOT_SIGNED);
    }
    if let Some(signed) = summary.signed.filter(|_| summary.unsigned > 0) {
        let what = match summary.unsigned {
            1 => "1 entry is not signed: it is".to_owned(),
            count => format!("{count} entries are not signed: they are"),
        };
        complain(&format!(
            "{what} newer than the latest checkpoint, which names {}",
            counted(signed, "line")
        ));
    }
    let is_doubtful = complaints.lines() > 0 || summary.is_unsigned;
    if summary.fault.is_some() || complaints.segments() > 0 || is_strict && is_doubtful {
        Status::Error
    } else if summary.found > 0 {
        Status::Found
    } else {
        Status::Nothing
    }
}
