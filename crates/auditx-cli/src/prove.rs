//! `auditx prove`: a text that shows somebody without the trail what is in it.

use std::fmt::Display;
use std::io::Write;
use std::path::{Path, PathBuf};

use auditx_reader::{latest_checkpoint, prove, prove_consistency};

use crate::evidence;
use crate::failure::{Failure, Status};
use crate::save;
use crate::terminal::{self, harmless};
use crate::trail::Trail;

/// Proves that a line is in the trail, or that the trail only grew
///
/// The proof stands for itself: `auditx check` needs nothing but it and the
/// trail's public key, on whatever machine.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// The number of the line
    #[arg(value_name = "SEQ", required_unless_present = "consistency")]
    seq: Option<u64>,
    /// Proves that the trail of the note NEW begins with all of the trail of the note OLD [default for NEW: the latest]
    #[arg(long, num_args = 1..=2, value_names = ["OLD", "NEW"], conflicts_with = "seq")]
    consistency: Option<Vec<PathBuf>>,
    /// Writes the proof into FILE; - is standard output, the default
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    trail: Trail,
}

const EXAMPLES: &str = "\
Examples:
  auditx prove 42 --dir /var/log/erp -o line-42.proof
  auditx check line-42.proof --key erp.vkey
  auditx prove --consistency january.note --dir /var/log/erp > grown.proof

Exit status: 0 proved, 2 an error, or there is no proof";

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    let directory = arguments.trail.directory();
    match (arguments.seq, arguments.consistency.as_deref()) {
        (Some(seq), _) => give(&prove(directory, seq)?, arguments.output.as_deref()),
        (None, Some([older, newer @ ..])) => {
            let older = evidence::note(older)?;
            let newer = match newer.first() {
                Some(newer) => evidence::note(newer)?,
                None => latest_checkpoint(directory)?,
            };
            give(&prove_consistency(directory, older, newer)?, arguments.output.as_deref())
        }
        (None, _) => Err(Failure::said("say which line to prove, or --consistency with an older note")),
    }
}

fn give(proof: &impl Display, output: Option<&Path>) -> Result<Status, Failure> {
    let Some(path) = output.filter(|path| !save::is_standard_output(path)) else {
        terminal::give(&proof.to_string())?;
        return Ok(Status::Found);
    };
    save::replace(path, proof.to_string().as_bytes())?;
    let mut out = terminal::output();
    writeln!(out, "The proof is in {}.", harmless(&path.to_string_lossy()))?;
    out.flush()?;
    Ok(Status::Found)
}
