//! `auditx bundle`: packs entries for an auditor with everything needed to check them elsewhere.
//!
//! The manifest states the number of all entries of the period, not only of the selected ones, so that an
//! auditor can ask for what was left out.

mod archive;
mod manifest;

use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use auditx_reader::{Error, Moment, Prover, Search, Summary, recorded_keys};
use auditx_tlog::SignedCheckpoint;

use crate::failure::{Failure, Status};
use crate::family::Read;
use crate::number::counted;
use crate::progress::watched;
use crate::save;
use crate::selection::Selection;
use crate::terminal::{self, print_message, sanitized};
use archive::Archive;
use manifest::{Manifest, Range};

/// Pack entries, their proofs and instructions into an archive for an auditor
///
/// The archive also states how many entries the period has in total. Each proof can
/// be checked with `auditx check` on any machine, with only the public key.
///
/// An archive has one checkpoint and so the entries of one trail: where DIR holds
/// several trails, --trail names it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment)]
pub(crate) struct Arguments {
    #[command(flatten)]
    selection: Selection,
    /// The archive, which appears when it is complete; - is standard output
    #[arg(short, long, value_name = "FILE.zip")]
    output: PathBuf,
}

const EXAMPLES: &str = "\
Examples:
  auditx bundle --ref SI-2026-0042 -o case.zip
  auditx bundle --user admin --since 2026-11-01 --until 2026-12-01 --dir /var/log/erp -o november.zip
  auditx bundle --ref SI-2026-0042 -o - | ssh auditor 'cat > case.zip'
  unzip case.zip -d case && auditx check case/proofs/42.tlog-proof --key case/key.vkey

Exit status: 0 written, 1 nothing found and no archive written, 2 an error, or an entry has no proof";

const INSTRUCTIONS: &str = include_str!("bundle/README.txt");

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    let (selection, now) = (&arguments.selection, Moment::now());
    if save::is_standard_output(&arguments.output) && terminal::is_output_a_terminal() {
        return Err(Failure::new("an archive cannot be printed on a terminal: give a file name or a pipe"));
    }
    let trails = selection.family.trails()?;
    trails.must_be_one("an archive proves the lines of one trail")?;
    let trail = trails.first();
    let prover = Prover::open(trail.directory())?;
    selection.warn(now)?;
    let search = watched(selection.search(trail.directory(), now)?, "packing");
    let mut archive = Archive::create(&arguments.output)?;
    let (range, period) = Range::of(&selection.scope_search(trail.directory(), now)?)?;
    let (selected, mut summary) = write_entries(&mut archive, &search)?;
    // A fault found while the entries of the period were counted counts too.
    summary.fault = summary.fault.or(period.fault);
    if summary.found == 0 {
        let status = selection.report(&[(trail, summary)]);
        trails.report_nothing_found(": no archive was written");
        return Ok(status);
    }
    let unproved = write_proofs(&mut archive, &search, &prover, &selected)?;
    drop(search);
    write_checkpoint(&mut archive, trail.directory(), prover.checkpoint())?;
    archive.text("README.txt", INSTRUCTIONS)?;
    let manifest = Manifest {
        query: selection.filter_text(),
        scope: selection.scope_text(now)?,
        range,
        selected: summary.found,
        unproved,
        unreadable: summary.errors.lines(),
        unsigned: summary.unsigned,
        fault: summary.fault.as_ref().map(ToString::to_string),
        checkpoint: prover.checkpoint(),
    };
    archive.text("manifest.json", &manifest.json(archive.members())?)?;
    let sums: String =
        archive.members().iter().map(|member| format!("{}  {}\n", member.sha256, member.name)).collect();
    archive.text("SHA256SUMS", &sums)?;
    archive.finish()?;
    conclude(arguments, (trail, summary), unproved)
}

/// The seqs of the lines in the order in which they were found; `None` for legacy lines.
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

/// Writes the proofs and returns how many entries have none. This is a second pass over the same lines,
/// because an archive is written file by file.
fn write_proofs(
    archive: &mut Archive,
    search: &Search,
    prover: &Prover,
    selected: &Selected,
) -> Result<u64, Failure> {
    let mut expected = selected.iter();
    let mut outcome: Result<u64, Failure> = Ok(0);
    search.each(|found| {
        // Entries recorded since the first pass are not in the archive.
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
    Failure::new("lines were retired or erased while the archive was written: run the command again")
}

/// Writes a proof. Returns `false` if the line has no proof: it is not signed yet, or has no seq.
fn write_proof(
    archive: &mut Archive,
    seq: Option<u64>,
    proof: Result<auditx_tlog::InclusionProof, Error>,
) -> Result<bool, Failure> {
    match (seq, proof) {
        (Some(seq), Ok(proof)) => {
            archive.text(&format!("proofs/{seq}.tlog-proof"), &proof.to_string())?;
            Ok(true)
        }
        (_, Ok(_)) => Ok(false),
        (_, Err(error)) if error.is_missing() => {
            print_message(&format!("without a proof: {}", sanitized(&error.to_string())));
            Ok(false)
        }
        (_, Err(error)) => Err(error.into()),
    }
}

fn write_checkpoint(
    archive: &mut Archive,
    directory: &Path,
    checkpoint: &SignedCheckpoint,
) -> Result<(), Failure> {
    archive.text("checkpoint", checkpoint.as_str())?;
    let recorded = recorded_keys(directory)?;
    let mut text = String::from(
        "# These keys come from the trail itself. Before you rely on them, compare them with the key\n\
         # that the owner of the trail gave you through another channel.\n",
    );
    for key in &recorded {
        text.push_str(&format!("# named in line {}\n{}\n", key.seq, key.key));
    }
    if recorded.is_empty() {
        print_message("no record in the trail names its key any more: ask the owner of the trail for it");
    }
    archive.text("key.vkey", &text)
}

fn conclude(arguments: &Arguments, read: Read<'_>, unproved: u64) -> Result<Status, Failure> {
    if !save::is_standard_output(&arguments.output) {
        let mut out = terminal::output();
        let display_path = sanitized(&arguments.output.to_string_lossy());
        let found = read.1.found;
        writeln!(
            out,
            "{} with {} in {display_path}.",
            counted(found, "line"),
            counted(found - unproved, "proof")
        )?;
        out.flush()?;
    }
    let mut err = anstream::stderr().lock();
    writeln!(
        err,
        "key.vkey comes from the trail itself: also give the auditor the key through another channel."
    )?;
    let status = arguments.selection.report(&[read]);
    Ok(if unproved > 0 { Status::Error } else { status })
}
