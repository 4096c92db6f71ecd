//! `auditx check`: checks a proof with only a public key.

mod parent;

use std::borrow::Cow;
use std::io::Write;
use std::path::PathBuf;

use auditx_core::VerifierKey;
use auditx_tlog::{ConsistencyProof, InclusionProof, Policy, ProofFault, SignedCheckpoint, to_hex};
use serde::Serialize;

use crate::evidence;
use crate::failure::{Failure, Status};
use crate::terminal::{self, sanitized};
use parent::Recorded;

/// Check a proof from `auditx prove`, without the trail
///
/// The key or the policy must come from someone you trust, not from the person who
/// gave you the proof.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// The file with the proof, or - for standard input
    #[arg(value_name = "PROOF")]
    proof: PathBuf,
    /// A public key of the trail, or a file that contains it; repeatable
    #[arg(long = "key", value_name = "VKEY", required_unless_present = "policy")]
    keys: Vec<String>,
    /// Require the cosignatures of this policy (C2SP tlog-policy); its logs count as keys
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// The proof from `auditx prove --parent` that the parent trail recorded the checkpoint; --policy is then
    /// the policy of the parent trail
    #[arg(long, value_name = "PROOF", requires_all = ["keys", "policy"])]
    parent: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  auditx check line-42.proof --key erp.vkey
  auditx check line-42.proof --policy erp.policy
  auditx check line-42.proof --key branch.vkey --parent line-42.proof.parent --policy parent.policy
  auditx prove 42 | ssh auditor auditx check - --key @erp.vkey

Exit status: 0 proved, 1 not proved, 2 an error";

/// The first bytes of a consistency proof.
const OF_CONSISTENCY: &[u8] = b"auditx/consistency-proof@";

/// The checked statement and the result.
#[derive(Serialize)]
struct Checked<'p> {
    answer: Answer,
    /// Why the proof is not valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    #[serde(flatten)]
    statement: Statement<'p>,
    /// The name of the log.
    log: &'p str,
    /// The number of lines that the checkpoint covers.
    size: u64,
    /// The root of the checkpoint, in hexadecimal.
    root: String,
    signed_by: Vec<String>,
    /// Where the parent trail recorded the checkpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    recorded: Option<Recorded>,
    /// The latest time at which a quorum had cosigned the checkpoint (with a parent trail: the checkpoint of
    /// the parent trail), in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    witnessed_at: Option<u64>,
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
    let mut keys = evidence::keys(&arguments.keys)?;
    let policy = arguments.policy.as_deref().map(evidence::policy).transpose()?;
    if let Some(policy) = policy.as_ref().filter(|_| arguments.parent.is_none()) {
        keys.extend(policy.logs().iter().filter(|log| !keys.contains(log)).cloned().collect::<Vec<_>>());
    }
    let of_parent = arguments.parent.as_deref().map(evidence::read).transpose()?;
    let of_parent = of_parent.map(|text| InclusionProof::parse(&text)).transpose()?;
    let text = evidence::read(&arguments.proof)?;
    if text.starts_with(OF_CONSISTENCY) {
        let proof = ConsistencyProof::parse(&text)?;
        let statement = Statement::Consistency { older_size: proof.older().size() };
        let checked = Checked::of(proof.check(&keys), statement, proof.newer(), &keys);
        print(&checked.witnessed(policy.as_ref(), of_parent.as_ref(), proof.newer()), arguments.json)
    } else {
        let proof = InclusionProof::parse(&text)?;
        let statement = Statement::Inclusion {
            seq: proof.index(),
            is_erased: proof.is_erased(),
            line: String::from_utf8_lossy(proof.line()),
        };
        let checked = Checked::of(proof.check(&keys), statement, proof.checkpoint(), &keys);
        let checked = checked.witnessed(policy.as_ref(), of_parent.as_ref(), proof.checkpoint());
        print(&checked, arguments.json)
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
            recorded: None,
            witnessed_at: None,
        }
    }

    /// Requires the cosignatures of the policy: for the checkpoint or, with a parent trail, for the
    /// checkpoint of the parent trail that covers the entry.
    fn witnessed(
        mut self,
        policy: Option<&Policy>,
        of_parent: Option<&InclusionProof>,
        checkpoint: &SignedCheckpoint,
    ) -> Self {
        let Some(policy) = policy.filter(|_| self.why.is_none()) else { return self };
        let recorded = of_parent.map(|proof| parent::recorded(proof, policy, checkpoint)).transpose();
        let cosigned = of_parent.map_or(checkpoint, InclusionProof::checkpoint);
        let outcome = recorded.and_then(|recorded| match policy.witnessed_at(cosigned, evidence::now()) {
            Ok(at) => Ok((recorded, at)),
            Err(missing) => Err(format!("its checkpoint is not cosigned as the policy requires: {missing}")),
        });
        match outcome {
            Ok(found) => (self.recorded, self.witnessed_at) = found,
            Err(why) => (self.answer, self.why) = (Answer::NotProved, Some(why)),
        }
        self
    }
}

fn print(checked: &Checked<'_>, is_json: bool) -> Result<Status, Failure> {
    let mut out = terminal::output();
    if is_json {
        terminal::write_json(&mut out, checked)?;
    } else if let Some(why) = &checked.why {
        writeln!(out, "Not proved: {}.", sanitized(why))?;
    } else {
        print_result(&mut out, checked)?;
    }
    out.flush()?;
    Ok(if checked.answer == Answer::Proved { Status::Success } else { Status::Negative })
}

fn print_result(out: &mut impl Write, checked: &Checked<'_>) -> Result<(), Failure> {
    let (log, size) = (sanitized(checked.log), checked.size);
    match &checked.statement {
        Statement::Inclusion { seq, is_erased, line } => {
            writeln!(out, "Proved: line {seq} is among the first {size} lines of {log}.")?;
            print_signers(out, checked)?;
            if *is_erased {
                writeln!(out, "\nIts text was erased; the trail now contains:")?;
            }
            writeln!(out, "\n{}", sanitized(line))?;
        }
        Statement::Consistency { older_size } => {
            writeln!(
                out,
                "Proved: the first {size} lines of {log} begin with the first {older_size}, unchanged."
            )?;
            print_signers(out, checked)?;
        }
    }
    Ok(())
}

fn print_signers(out: &mut impl Write, checked: &Checked<'_>) -> Result<(), Failure> {
    for key in &checked.signed_by {
        writeln!(out, "Signed with {}", sanitized(key))?;
    }
    if let Some(Recorded { log, seq, at }) = &checked.recorded {
        writeln!(out, "Recorded in line {seq} of the parent trail {} at {at}", sanitized(log))?;
    }
    if let Some(at) = checked.witnessed_at {
        writeln!(out, "Cosigned by a quorum of witnesses at {} or later", evidence::time(at))?;
    }
    Ok(())
}
