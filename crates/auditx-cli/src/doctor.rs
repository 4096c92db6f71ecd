//! `auditx doctor`: what a directory holds, whether all is well, and what to do where it is not.

mod report;

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use auditx_core::DEFAULT_LOG_DIR;
use auditx_reader::{Inspection, inspect};
use serde::Serialize;

use crate::failure::{Failure, Status};
use crate::terminal;

/// Says what a trail is, what is wrong with it, and what to do
///
/// It reads every line once and changes nothing. It does not prove that nothing
/// was altered: whoever can write the files can write good ones.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// The directory of the trail
    #[arg(long, value_name = "DIR", default_value = DEFAULT_LOG_DIR, env = "AUDITX_LOG_DIR")]
    dir: PathBuf,
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

/// A look that takes longer than this says how far it is.
const UNTROUBLED: Duration = Duration::from_secs(1);

#[derive(Serialize)]
struct Json<'a> {
    healthy: bool,
    #[serde(flatten)]
    inspection: &'a Inspection,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    let mut progress = Progress { began: Instant::now(), is_shown: false };
    let outcome = inspect(&arguments.dir, &mut |done, total| progress.tell(done, total));
    progress.clear();
    let inspection = outcome?;
    let healthy = !inspection.needs_attention();
    let mut out = terminal::output();
    if arguments.json {
        let json = serde_json::to_string_pretty(&Json { healthy, inspection: &inspection })
            .map_err(|error| Failure::said(format!("cannot say it in JSON: {error}")))?;
        writeln!(out, "{json}")?;
    } else {
        report::write(&mut out, &inspection, terminal::width(), terminal::has_colours())?;
    }
    out.flush()?;
    Ok(if healthy { Status::Found } else { Status::Nothing })
}

/// How far it is, on standard error, where that is a terminal.
struct Progress {
    began: Instant,
    is_shown: bool,
}

impl Progress {
    fn tell(&mut self, done: u64, total: u64) {
        if self.began.elapsed() < UNTROUBLED || !io::stderr().is_terminal() {
            return;
        }
        self.is_shown = true;
        let percent = (done * 100).checked_div(total).unwrap_or(100).min(100);
        // Progress that cannot be shown is not missed.
        drop(write!(io::stderr().lock(), "\rexamining … {percent} %"));
    }

    fn clear(&self) {
        if self.is_shown {
            drop(write!(io::stderr().lock(), "\r\x1b[K"));
        }
    }
}
