//! `auditx check`: whether a proof proves what it says, with nothing at hand but a public key.

use std::borrow::Cow;
use std::io::Write;
use std::path::PathBuf;

use auditx_core::{ConsistencyProof, InclusionProof, ProofFault, SignedCheckpoint, VerifierKey, to_hex};
use serde::Serialize;

use crate::evidence;
use crate::failure::{Failure, Status};
use crate::terminal::{self, harmless};

/// Checks a proof that `auditx prove` made, without the trail
///
/// The key must come from somebody you trust, not from whoever gave you the proof.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// The file that holds the proof, or - for standard input
    #[arg(value_name = "PROOF")]
    proof: PathBuf,
    /// The public key of the trail, or the file that holds it; may be given more than once
    #[arg(long = "key", value_name = "VKEY", required = true)]
    keys: Vec<String>,
    /// Says it in JSON, for programs
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  auditx check line-42.proof --key erp.vkey
  auditx prove 42 | ssh auditor auditx check - --key @erp.vkey

Exit status: 0 proved, 1 it proves nothing, 2 it could not be checked";

/// What a proof of consistency begins with.
const OF_CONSISTENCY: &[u8] = b"auditx/consistency-proof@";

/// What was checked, and what came of it.
#[derive(Serialize)]
struct Checked<'p> {
    answer: Answer,
    /// Why it proves nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    #[serde(flatten)]
    statement: Statement<'p>,
    /// The name of the log.
    log: &'p str,
    /// Lines under the checkpoint.
    size: u64,
    /// Its root, in hexadecimal.
    root: String,
    signed_by: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Answer {
    Proved,
    NotProved,
}

#[derive(Serialize)]
#[serde(tag = "proof", rename_all = "kebab-case")]
enum Statement<'p> {
    Inclusion { seq: u64, is_erased: bool, line: Cow<'p, str> },
    Consistency { older_size: u64 },
}

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    let keys = evidence::keys(&arguments.keys)?;
    let text = evidence::read(&arguments.proof)?;
    if text.starts_with(OF_CONSISTENCY) {
        let proof = ConsistencyProof::parse(&text)?;
        let statement = Statement::Consistency { older_size: proof.older().size() };
        tell(&Checked::of(proof.check(&keys), statement, proof.newer(), &keys), arguments.json)
    } else {
        let proof = InclusionProof::parse(&text)?;
        let statement = Statement::Inclusion {
            seq: proof.index(),
            is_erased: proof.is_erased(),
            line: String::from_utf8_lossy(proof.line()),
        };
        tell(&Checked::of(proof.check(&keys), statement, proof.checkpoint(), &keys), arguments.json)
    }
}

impl<'p> Checked<'p> {
    fn of(
        outcome: Result<(), ProofFault>,
        statement: Statement<'p>,
        checkpoint: &'p SignedCheckpoint,
        keys: &[VerifierKey],
    ) -> Self {
        let signers = checkpoint.verify(keys).unwrap_or_default();
        Self {
            answer: if outcome.is_ok() { Answer::Proved } else { Answer::NotProved },
            why: outcome.err().map(|fault| fault.to_string()),
            statement,
            log: checkpoint.origin(),
            size: checkpoint.size(),
            root: to_hex(checkpoint.root()),
            signed_by: signers.into_iter().map(ToString::to_string).collect(),
        }
    }
}

fn tell(checked: &Checked<'_>, is_json: bool) -> Result<Status, Failure> {
    let mut out = terminal::output();
    if is_json {
        terminal::write_json(&mut out, checked)?;
    } else if let Some(why) = &checked.why {
        writeln!(out, "Not proved: {}.", harmless(why))?;
    } else {
        tell_people(&mut out, checked)?;
    }
    out.flush()?;
    Ok(if checked.answer == Answer::Proved { Status::Found } else { Status::Nothing })
}

fn tell_people(out: &mut impl Write, checked: &Checked<'_>) -> Result<(), Failure> {
    let (log, size) = (harmless(checked.log), checked.size);
    match &checked.statement {
        Statement::Inclusion { seq, is_erased, line } => {
            writeln!(out, "Proved: line {seq} is among the first {size} lines of {log}.")?;
            tell_signers(out, checked)?;
            if *is_erased {
                writeln!(out, "\nIts text was erased; this stands in its place:")?;
            }
            writeln!(out, "\n{}", harmless(line))?;
        }
        Statement::Consistency { older_size } => {
            writeln!(
                out,
                "Proved: the first {size} lines of {log} begin with the first {older_size}, unchanged."
            )?;
            tell_signers(out, checked)?;
        }
    }
    Ok(())
}

fn tell_signers(out: &mut impl Write, checked: &Checked<'_>) -> Result<(), Failure> {
    for key in &checked.signed_by {
        writeln!(out, "Signed with {}", harmless(key))?;
    }
    Ok(())
}
