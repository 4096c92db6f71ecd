//! `auditx doctor`: describes a trail, and reports problems with advice.

mod report;

use std::io::Write;

use auditx_reader::{Inspection, inspect};
use serde::Serialize;

use crate::failure::{Failure, Status};
use crate::progress::Progress;
use crate::terminal;
use crate::trail::Trail;

/// Examine a trail: describe it and report problems with advice
///
/// The command reads every line once and changes nothing. It cannot prove that
/// nothing was altered, because anyone who can write the files can also write
/// consistent ones: use `auditx verify` for that.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment)]
pub(crate) struct Arguments {
    #[command(flatten)]
    trail: Trail,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  auditx doctor                          examine ./logs
  auditx doctor --dir /var/log/erp       examine another trail
  auditx doctor --json | jq '.findings'  only the findings

Exit status: 0 no problems, 1 findings that need attention, 2 an error";

#[derive(Serialize)]
struct Json<'a> {
    healthy: bool,
    #[serde(flatten)]
    inspection: &'a Inspection,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    let inspection = {
        let mut progress = Progress::of("examining");
        inspect(arguments.trail.directory(), &mut |done, total| progress.update(done, total))?
    };
    let healthy = !inspection.needs_attention();
    let mut out = terminal::output();
    if arguments.json {
        terminal::write_json(&mut out, &Json { healthy, inspection: &inspection })?;
    } else {
        report::write(&mut out, &inspection, terminal::width(), terminal::has_colours())?;
    }
    out.flush()?;
    Ok(if healthy { Status::Success } else { Status::Negative })
}
