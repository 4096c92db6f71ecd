//! `auditx verify`: whether a trail is what was signed, and what nobody can be sure of.

mod report;

use std::io::Write;
use std::path::PathBuf;

use auditx_reader::{Answer, VerifyOptions, verify};

use crate::evidence;
use crate::failure::{Failure, Status};
use crate::progress::Progress;
use crate::terminal;
use crate::trail::Trail;

/// Says whether every line of a trail is the one that was signed
///
/// It reads every line once and changes nothing. It is sure only with the key that
/// the trail's owner gave you, and with a note of the trail that was kept elsewhere:
/// without them it says what it cannot see.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment)]
pub(crate) struct Arguments {
    #[command(flatten)]
    trail: Trail,
    /// A public key of the trail, or the file that holds it; may be given more than once
    #[arg(long = "key", value_name = "VKEY")]
    keys: Vec<String>,
    /// A note of the trail that was kept elsewhere (`auditx checkpoint --save`); may be given more than once
    #[arg(long, value_name = "FILE")]
    known: Vec<PathBuf>,
    /// Says it in JSON, for programs
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  auditx verify --dir /var/log/erp --key erp.vkey --known /mnt/elsewhere/erp.note
  auditx verify --dir /var/log/erp                       as far as the trail's own word goes
  auditx verify --json | jq .answer

Exit status: 0 intact, 1 broken, 2 it could not check, 3 nothing is wrong and it cannot be sure";

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    let mut options = VerifyOptions::default();
    for key in evidence::keys(&arguments.keys)? {
        options = options.key(key);
    }
    for path in &arguments.known {
        options = options.known(evidence::note(path)?);
    }
    arguments.trail.bring_in()?;
    let directory = arguments.trail.directory();
    let verification = {
        let mut progress = Progress::of("verifying");
        verify(directory, &options, &mut |done, total| progress.tell(done, total))?
    };
    let mut out = terminal::output();
    if arguments.json {
        terminal::write_json(&mut out, &verification)?;
    } else {
        report::write(&mut out, &verification)?;
    }
    out.flush()?;
    Ok(match verification.answer {
        Answer::Intact => Status::Found,
        Answer::Broken => Status::Nothing,
        Answer::Unconfirmed => Status::Unconfirmed,
        // No answer that this program does not know is a good one.
        _ => Status::Error,
    })
}
