//! `auditx prove`: writes a proof that can be checked without the trail.

use std::fmt::Display;
use std::io::Write;
use std::path::{Path, PathBuf};

use auditx_reader::{latest_checkpoint, prove, prove_consistency, prove_with_parent};
use auditx_tlog::InclusionProof;

use crate::evidence;
use crate::failure::{Failure, Status};
use crate::save;
use crate::terminal::{self, sanitized};
use crate::trail::Trail;

/// Prove that a line is in the trail, or that the trail only grew
///
/// `auditx check` needs only the proof and the public key of the trail, on any
/// machine.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// The number of the line
    #[arg(value_name = "SEQ", required_unless_present = "consistency")]
    seq: Option<u64>,
    /// Prove that the trail at checkpoint NEW begins with the trail at checkpoint OLD [default for NEW: the
    /// latest]
    #[arg(long, num_args = 1..=2, value_names = ["OLD", "NEW"], conflicts_with = "seq")]
    consistency: Option<Vec<PathBuf>>,
    /// Prove the line under a checkpoint that the parent trail in DIR recorded. FILE.parent gets the proof
    /// that the parent trail has this entry
    #[arg(long, value_name = "DIR", requires_all = ["seq", "output"])]
    parent: Option<PathBuf>,
    /// Write the proof to FILE; - is standard output, the default
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    trail: Trail,
}

const EXAMPLES: &str = "\
Examples:
  auditx prove 42 --dir /var/log/erp -o line-42.proof
  auditx check line-42.proof --key erp.vkey
  auditx prove 42 --dir /var/log/branch --parent /var/log/parent -o line-42.proof
  auditx check line-42.proof --key branch.vkey --parent line-42.proof.parent --policy parent.policy
  auditx prove --consistency january.checkpoint --dir /var/log/erp > grown.proof

Exit status: 0 proved, 2 an error, or no proof is possible";

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    let directory = arguments.trail.directory();
    if let (Some(seq), Some(parent), Some(path)) = (arguments.seq, &arguments.parent, &arguments.output) {
        return write_with_parent(prove_with_parent(directory, seq, parent)?, path);
    }
    match (arguments.seq, arguments.consistency.as_deref()) {
        (Some(seq), _) => write_proof(&prove(directory, seq)?, arguments.output.as_deref()),
        (None, Some([older, newer @ ..])) => {
            let older = evidence::checkpoint(older)?;
            let newer = match newer.first() {
                Some(newer) => evidence::checkpoint(newer)?,
                None => latest_checkpoint(directory)?,
            };
            write_proof(&prove_consistency(directory, older, newer)?, arguments.output.as_deref())
        }
        (None, _) => Err(Failure::new("give a line number, or --consistency with an older checkpoint")),
    }
}

/// Writes the proof of a line and, beside it, that of the entry in the parent trail.
fn write_with_parent(proofs: (InclusionProof, InclusionProof), path: &Path) -> Result<Status, Failure> {
    if save::is_standard_output(path) {
        return Err(Failure::new("--parent writes two files: name the first one with -o FILE"));
    }
    let mut of_parent = path.as_os_str().to_owned();
    of_parent.push(".parent");
    save::replace(Path::new(&of_parent), proofs.1.to_string().as_bytes())?;
    save::replace(path, proofs.0.to_string().as_bytes())?;
    let mut out = terminal::output();
    let [path, of_parent] = [path.as_os_str(), &of_parent].map(|path| sanitized(&path.to_string_lossy()));
    writeln!(out, "Wrote the proof of the line to {path}, that of the parent trail's entry to {of_parent}.")?;
    out.flush()?;
    Ok(Status::Success)
}

fn write_proof(proof: &impl Display, output: Option<&Path>) -> Result<Status, Failure> {
    let Some(path) = output.filter(|path| !save::is_standard_output(path)) else {
        terminal::print_text(&proof.to_string())?;
        return Ok(Status::Success);
    };
    save::replace(path, proof.to_string().as_bytes())?;
    let mut out = terminal::output();
    writeln!(out, "Wrote the proof to {}.", sanitized(&path.to_string_lossy()))?;
    out.flush()?;
    Ok(Status::Success)
}
