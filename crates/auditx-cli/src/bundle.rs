//! `auditx bundle`: entries for an auditor, with everything it takes to check them elsewhere.
//!
//! Comes in: a question, and the trail with its latest checkpoint. Goes out: one archive. It says beside the selection how many
//! entries there are in the same period, so that what was left out can be asked for.

mod archive;
mod manifest;

use std::io::Write;
use std::ops::ControlFlow;
use std::path::PathBuf;

use auditx_core::SignedCheckpoint;
use auditx_reader::{Error, Moment, Prover, Search, Summary, recorded_keys};

use crate::failure::{Failure, Status};
use crate::number::counted;
use crate::progress::watched;
use crate::question::Asked;
use crate::save;
use crate::terminal::{self, complain, harmless};
use archive::Archive;
use manifest::{Manifest, Range};

/// Packs entries for an auditor: their exact bytes, a proof of each, and how to check
///
/// The archive states how many entries there are in the same period beside those
/// that were selected. Each proof can be checked with `auditx check`, on whatever
/// machine, with nothing but the public key.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment)]
pub(crate) struct Arguments {
    #[command(flatten)]
    asked: Asked,
    /// The archive, which appears once it is whole; - is standard output
    #[arg(short, long, value_name = "FILE.zip")]
    output: PathBuf,
}

const EXAMPLES: &str = "\
Examples:
  auditx bundle --ref SI-2026-0042 -o case.zip
  auditx bundle --user admin --since 2026-11-01 --until 2026-12-01 --dir /var/log/erp -o november.zip
  auditx bundle --ref SI-2026-0042 -o - | ssh auditor 'cat > case.zip'
  unzip case.zip -d case && auditx check case/proofs/42.tlog-proof --key case/key.vkey

Exit status: 0 packed, 1 nothing found, and no archive, 2 an error, or an entry could not be proved";

const INSTRUCTIONS: &str = include_str!("bundle/README.txt");

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    let (asked, now) = (&arguments.asked, Moment::now());
    if save::is_standard_output(&arguments.output) && terminal::is_output_a_terminal() {
        return Err(Failure::said("an archive is not for a terminal: name a file, or pipe it on"));
    }
    let prover = Prover::open(asked.trail.directory())?;
    let search = watched(asked.search(now)?, "packing");
    let mut archive = Archive::create(&arguments.output)?;
    let (range, whole) = Range::of(&asked.whole(now)?)?;
    let (selected, mut summary) = write_entries(&mut archive, &search)?;
    // What the manifest says of the period is an answer too.
    summary.fault = summary.fault.or(whole.fault);
    if summary.found == 0 {
        let status = asked.tell(&summary);
        asked.tell_nothing(": no archive was made");
        return Ok(status);
    }
    let unproved = write_proofs(&mut archive, &search, &prover, &selected)?;
    drop(search);
    write_checkpoint(&mut archive, arguments, prover.checkpoint())?;
    archive.text("README.txt", INSTRUCTIONS)?;
    let manifest = Manifest {
        query: asked.question_text(),
        scope: asked.scope_text(now)?,
        range,
        selected: summary.found,
        unproved,
        unreadable: summary.complaints.lines(),
        unsigned: summary.unsigned,
        fault: summary.fault.as_ref().map(ToString::to_string),
        checkpoint: prover.checkpoint(),
    };
    archive.text("manifest.json", &manifest.json(archive.members())?)?;
    let sums: String =
        archive.members().iter().map(|member| format!("{}  {}\n", member.sha256, member.name)).collect();
    archive.text("SHA256SUMS", &sums)?;
    archive.finish()?;
    conclude(arguments, &summary, unproved)
}

/// The numbers of the lines, in the order in which they are found; none for those of the origin.
type Selected = Vec<Option<u64>>;

fn write_entries(archive: &mut Archive, search: &Search) -> Result<(Selected, Summary), Failure> {
    archive.file("entries.jsonl", |out| {
        let mut selected = Vec::new();
        let mut failure = None;
        let summary = search.each(|found| {
            selected.push(found.row.seq());
            let line = found.row.line().as_bytes();
            match out.write_all(line).and_then(|()| out.write_all(b"\n")) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failure = Some(error);
                    ControlFlow::Break(())
                }
            }
        })?;
        match failure {
            Some(error) => Err(error.into()),
            None => Ok((selected, summary)),
        }
    })
}

/// A second pass over the same lines: an archive is written one file after the other. Gives how many could not be proved.
fn write_proofs(
    archive: &mut Archive,
    search: &Search,
    prover: &Prover,
    selected: &Selected,
) -> Result<u64, Failure> {
    let mut expected = selected.iter();
    let mut outcome: Result<u64, Failure> = Ok(0);
    search.each(|found| {
        // What was recorded meanwhile is not in the archive.
        let Some(seq) = expected.next() else { return ControlFlow::Break(()) };
        outcome = if *seq == found.row.seq() {
            write_proof(archive, *seq, prover.prove(&found)).map(|is_proved| {
                let unproved = outcome.as_ref().map_or(0, |count| *count);
                unproved + u64::from(!is_proved)
            })
        } else {
            Err(changed())
        };
        if outcome.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    if outcome.is_ok() && expected.next().is_some() {
        return Err(changed());
    }
    outcome
}

fn changed() -> Failure {
    Failure::said("the trail lost lines while they were packed, by retention or erasure: run it again")
}

/// Whether there is a proof. A line that was not signed yet, or has no number, is packed without.
fn write_proof(
    archive: &mut Archive,
    seq: Option<u64>,
    proof: Result<auditx_core::InclusionProof, Error>,
) -> Result<bool, Failure> {
    match (seq, proof) {
        (Some(seq), Ok(proof)) => {
            archive.text(&format!("proofs/{seq}.tlog-proof"), &proof.to_string())?;
            Ok(true)
        }
        (_, Ok(_)) => Ok(false),
        (_, Err(error)) if error.is_missing() => {
            complain(&format!("without a proof: {}", harmless(&error.to_string())));
            Ok(false)
        }
        (_, Err(error)) => Err(error.into()),
    }
}

fn write_checkpoint(
    archive: &mut Archive,
    arguments: &Arguments,
    checkpoint: &SignedCheckpoint,
) -> Result<(), Failure> {
    archive.text("checkpoint", checkpoint.as_str())?;
    let recorded = recorded_keys(arguments.asked.trail.directory())?;
    let mut text = String::from(
        "# The trail's own word. Compare it with what its owner gave you by another way before you rely on it.\n",
    );
    for key in &recorded {
        text.push_str(&format!("# named in line {}\n{}\n", key.seq, key.key));
    }
    if recorded.is_empty() {
        complain("no record in the trail names its key any more: ask its owner for it");
    }
    archive.text("key.vkey", &text)
}

fn conclude(arguments: &Arguments, summary: &Summary, unproved: u64) -> Result<Status, Failure> {
    if !save::is_standard_output(&arguments.output) {
        let mut out = terminal::output();
        let place = harmless(&arguments.output.to_string_lossy());
        let found = summary.found;
        writeln!(out, "{} with {} in {place}.", counted(found, "line"), counted(found - unproved, "proof"))?;
        out.flush()?;
    }
    let mut err = anstream::stderr().lock();
    writeln!(err, "key.vkey in it is the trail's own word: give the auditor the key by another way too.")?;
    let status = arguments.asked.tell(summary);
    Ok(if unproved > 0 { Status::Error } else { status })
}
