//! `auditx doctor`: what a directory holds, whether all is well, and what to do where it is not.

mod report;

use std::io::Write;

use auditx_reader::{Inspection, inspect};
use serde::Serialize;

use crate::failure::{Failure, Status};
use crate::progress::Progress;
use crate::terminal;
use crate::trail::Trail;

/// Says what a trail is, what is wrong with it, and what to do
///
/// It reads every line once and changes nothing. It does not prove that nothing
/// was altered: whoever can write the files can write good ones.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment)]
pub(crate) struct Arguments {
    #[command(flatten)]
    trail: Trail,
    /// Says it in JSON, for programs
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  auditx doctor                          examines ./logs
  auditx doctor --dir /var/log/erp       examines another trail
  auditx doctor --json | jq '.findings'  only what was found

Exit status: 0 all is well, 1 something needs attention, 2 it could not look";

#[derive(Serialize)]
struct Json<'a> {
    healthy: bool,
    #[serde(flatten)]
    inspection: &'a Inspection,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    let inspection = {
        let mut progress = Progress::of("examining");
        inspect(arguments.trail.directory(), &mut |done, total| progress.tell(done, total))?
    };
    let healthy = !inspection.needs_attention();
    let mut out = terminal::output();
    if arguments.json {
        terminal::write_json(&mut out, &Json { healthy, inspection: &inspection })?;
    } else {
        report::write(&mut out, &inspection, terminal::width(), terminal::has_colours())?;
    }
    out.flush()?;
    Ok(if healthy { Status::Found } else { Status::Nothing })
}
