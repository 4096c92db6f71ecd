//! How a search went, for whoever asked: what could not be read, and the exit status.

use auditx_reader::Summary;

use crate::failure::Status;
use crate::number::counted;
use crate::terminal::{complain, harmless};

/// Says on standard error what could not be read, and gives the exit status: where a segment is missing, or with `is_strict` a
/// line, the answer is not the whole one.
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
    if complaints.segments() > 0 || is_strict && complaints.lines() > 0 {
        Status::Error
    } else if summary.found > 0 {
        Status::Found
    } else {
        Status::Nothing
    }
}
