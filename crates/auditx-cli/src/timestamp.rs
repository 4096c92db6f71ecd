//! `auditx timestamp`: has the latest checkpoint of a trail stamped by a time-stamping authority.

use std::path::PathBuf;

use crate::failure::{Failure, Status};
use crate::trail::Trail;

/// Have the latest checkpoint of a trail stamped by a time-stamping authority
///
/// For trails whose application does not obtain time stamps itself (auditx-timestamp),
/// for example from cron. The stamp (RFC 3161) is stored with the trail, and verify
/// reads it there. A stamp shows that all lines of its checkpoint existed at its time,
/// so only the latest checkpoint is stamped.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// The authority: an http:// or https:// address that answers requests of RFC 3161
    #[arg(long, value_name = "URL")]
    tsa: String,
    /// Store the stamp only if its certificates lead to a root certificate in this file (PEM)
    #[arg(long, value_name = "FILE")]
    tsa_roots: Option<PathBuf>,
    #[command(flatten)]
    trail: Trail,
}

const EXAMPLES: &str = "\
Examples:
  auditx timestamp --dir /var/log/erp --tsa https://tsa.example.org/ --tsa-roots tsa.pem
  auditx verify --dir /var/log/erp --key erp.vkey --tsa-roots tsa.pem

Exit status: 0 the checkpoint has a stamp, 1 the authority refused the request, 2 an error";

#[cfg(not(feature = "ship"))]
pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    let _ = (&arguments.trail, &arguments.tsa, &arguments.tsa_roots);
    Err(Failure::new(crate::tsa::ABSENT))
}

#[cfg(feature = "ship")]
pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    use std::io::Write as _;

    use auditx_timestamp::TimeStamps;

    use crate::evidence;
    use crate::number::counted;
    use crate::terminal::{self, print_message, sanitized};
    use crate::tsa;

    arguments.trail.must_be_there()?;
    let failed = |error: auditx_timestamp::Error| Failure::new(sanitized(&error.to_string()));
    let mut stamps = TimeStamps::of(&arguments.tsa).map_err(failed)?;
    if let Some(path) = &arguments.tsa_roots {
        stamps = stamps.roots(tsa::roots(path)?);
    }
    let (checkpoint, stamped, is_new) = match stamps.stamp_once(arguments.trail.directory()) {
        Ok(stamped) => stamped,
        Err(error) if error.is_refusal() => {
            print_message(&sanitized(&error.to_string()));
            return Ok(Status::Negative);
        }
        Err(error) => return Err(failed(error)),
    };
    let mut out = terminal::output();
    let (lines, time) = (counted(checkpoint.size(), "line"), evidence::time(stamped.at));
    let when = if is_new { "are stamped" } else { "were stamped before" };
    let authority = sanitized(&stamped.authority);
    writeln!(out, "The first {lines} {when}: {authority} says that they existed at {time}.")?;
    if arguments.tsa_roots.is_none() {
        writeln!(out, "The certificate of {authority} was not verified: that needs --tsa-roots FILE.")?;
    }
    out.flush()?;
    Ok(Status::Success)
}
