//! `auditx verify`: whether a trail, or a copy of it elsewhere, is what was signed, and what nobody can be sure of.

mod copy;
mod report;

use std::io::Write;
use std::path::{Path, PathBuf};

use auditx_reader::{Answer, Verification, VerifyOptions, verify};

use crate::destination::Engine;
use crate::evidence;
use crate::failure::{Failure, Status};
use crate::progress::Progress;
use crate::terminal;
use crate::trail::Trail;

/// Says whether every line of a trail is the one that was signed
///
/// It reads every line once and changes nothing. It is sure only with the key that
/// the trail's owner gave you, and with a note of the trail that was kept elsewhere:
/// without them it says what it cannot see. With --from it fetches what an engine holds
/// into a temporary directory first, and says the same of that.
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
    /// An engine that the trail was shipped to, such as postgres://auditor@db/audit, in the place of --dir
    #[arg(long, value_name = "URL")]
    from: Option<Engine>,
    /// Which trail of that engine, where it holds several; the beginning of its id is enough
    #[arg(long, value_name = "ID", requires = "from")]
    trail_id: Option<String>,
    /// Keeps what was fetched in DIR, as a trail that can be searched
    #[arg(long, value_name = "DIR", requires = "from")]
    keep: Option<PathBuf>,
    /// Says it in JSON, for programs
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  auditx verify --dir /var/log/erp --key erp.vkey --known /mnt/elsewhere/erp.note
  auditx verify --dir /var/log/erp                       as far as the trail's own word goes
  auditx verify --json | jq .answer
  auditx verify --from postgres://auditor@db/audit --trail-id 4db6 --key erp.vkey

Exit status: 0 intact, 1 broken, 2 it could not check, 3 nothing is wrong and it cannot be sure";

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    let mut options = VerifyOptions::default();
    for key in evidence::keys(&arguments.keys)? {
        options = options.key(key);
    }
    for path in &arguments.known {
        options = options.known(evidence::note(path)?);
    }
    let verification = match &arguments.from {
        Some(engine) => {
            let mut fetched = copy::fetch(engine, arguments.trail_id.as_deref(), arguments.keep.as_deref())?;
            let mut verification = verified(fetched.directory(), &options)?;
            fetched.name(&mut verification);
            verification
        }
        None => verified(arguments.trail.directory(), &options)?,
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

fn verified(directory: &Path, options: &VerifyOptions) -> Result<Verification, Failure> {
    let mut progress = Progress::of("verifying");
    Ok(verify(directory, options, &mut |done, total| progress.tell(done, total))?)
}
