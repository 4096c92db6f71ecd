//! `auditx bundle`: packs entries for an auditor with everything needed to check them elsewhere.

use std::error::Error as _;
use std::io::Write;
use std::path::PathBuf;

use auditx_bundle::{Bundle, Error};
use auditx_reader::Moment;

use crate::failure::{Failure, Status};
use crate::family::Read;
use crate::number::counted;
use crate::progress::watched;
use crate::save::{self, NewFile};
use crate::selection::Selection;
use crate::terminal::{self, print_message, sanitized};

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

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    let (selection, now) = (&arguments.selection, Moment::now());
    if save::is_standard_output(&arguments.output) && terminal::is_output_a_terminal() {
        return Err(Failure::new("an archive cannot be printed on a terminal: give a file name or a pipe"));
    }
    let trails = selection.family.trails()?;
    trails.must_be_one("an archive proves the lines of one trail")?;
    let trail = trails.first();
    let bundle = Bundle::open(trail.directory())?;
    selection.warn(now)?;
    let search = watched(selection.search(trail.directory(), now)?, "packing");
    let bundle = bundle
        .query_text(selection.filter_text())
        .scope_text(selection.scope_text(now)?)
        .on_unproved(|reason| print_message(&format!("without a proof: {}", sanitized(reason))));
    let period = selection.scope_search(trail.directory(), now)?;
    let mut file = NewFile::create(&arguments.output)?;
    let written = bundle.write(&search, &period, &mut file).map_err(|error| failed(arguments, error))?;
    // Removes the progress bar.
    drop(search);
    if written.summary.found == 0 {
        let status = selection.report(&[(trail, written.summary)]);
        trails.report_nothing_found(": no archive was written");
        return Ok(status);
    }
    if written.keys == 0 {
        print_message("no record in the trail names its key any more: ask the owner of the trail for it");
    }
    file.finish()?;
    conclude(arguments, (trail, written.summary), written.unproved)
}

fn failed(arguments: &Arguments, error: Error) -> Failure {
    match error.source() {
        Some(cause) if error.is_output() => {
            let display_path = sanitized(&arguments.output.to_string_lossy());
            Failure::new(format!("cannot write {display_path}: {cause}"))
        }
        _ if error.is_changed() => Failure::new(format!("{error}: run the command again")),
        _ => error.into(),
    }
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
