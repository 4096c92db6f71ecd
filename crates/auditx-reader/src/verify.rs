//! Whether a trail is what was signed: every line hashed, and the tree held against its signed checkpoint, offline.
//!
//! Comes in: a directory, the keys that an auditor pinned, and notes that somebody kept elsewhere. Goes out: a
//! [`Verification`]. It opens files for reading only and creates nothing, and a writer may go on writing, sealing,
//! compressing, erasing and retiring meanwhile.
//!
//! All lines are read once, on several threads. Only where the root is another one than was signed are they read again,
//! to say which line it is.

mod classify;
mod digest;
mod fault;
mod files;
mod fold;
mod integrity;
mod judge;
mod later;
mod localise;
mod moment;
mod notes;
mod projection;
mod pulse;
pub(crate) mod record;
mod remark;
mod row;
mod scan;
mod subtrees;
mod timeline;
mod trust;
mod verification;
mod walk;
mod window;
mod workers;

use std::path::Path;

use auditx_core::{SignedCheckpoint, Tiles, VerifierKey, to_hex};

use crate::error::{Error, Result};
use crate::listing::{begins_as_legacy, legacy_files};

use files::SegmentFile;
use fold::Walked;
use notes::Notes;
use projection::Difference;
use workers::STRETCH;

pub use fault::{Fault, FaultKind};
pub use remark::{Occurrence, Remark, RemarkKind};
pub use verification::{Answer, Reason, Signatory, Verification};

/// How often a trail is looked at that a writer changes meanwhile in ways that look like a fault.
const LOOKS: usize = 20;

/// What an auditor brings along.
///
/// ```
/// use auditx_core::{AuditLogger, Config};
/// use auditx_reader::{Answer, VerifyOptions, verify};
/// # let directory = tempfile::tempdir()?;
/// # let log_dir = directory.path();
///
/// let logger = AuditLogger::open(Config::new(log_dir))?;
/// let key = logger.verifier_key()?;
/// logger.log("Period closed").record()?;
/// logger.close(std::time::Duration::from_secs(10))?;
/// let known = logger.checkpoint().expect("closing signs");
///
/// let verification = verify(log_dir, &VerifyOptions::new().key(key).known(known), &mut |_, _| {})?;
/// assert_eq!(verification.answer, Answer::Intact);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct VerifyOptions {
    keys: Vec<VerifierKey>,
    known: Vec<SignedCheckpoint>,
    threads: usize,
    /// Bytes that a thread reads at once.
    stretch: usize,
}

impl Default for VerifyOptions {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self { keys: Vec::new(), known: Vec::new(), threads, stretch: STRETCH }
    }
}

impl VerifyOptions {
    /// No key, no note, as many threads as the machine runs at once.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Default: none, and then nothing is ever sure. A key that the trail must be signed with, known from elsewhere; where
    /// more than one is given, any of them.
    #[must_use]
    pub fn key(mut self, key: VerifierKey) -> Self {
        if !self.keys.contains(&key) {
            self.keys.push(key);
        }
        self
    }

    /// Default: none, and then nothing is ever sure. A note of this trail that was kept elsewhere.
    #[must_use]
    pub fn known(mut self, note: SignedCheckpoint) -> Self {
        self.known.push(note);
        self
    }

    /// Default: as many as the machine runs at once; 0 means that too.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = if threads == 0 { Self::default().threads } else { threads };
        self
    }

    #[cfg(test)]
    fn stretch(mut self, bytes: usize) -> Self {
        self.stretch = bytes;
        self
    }
}

/// All that is known about a trail.
struct Case<'a> {
    directory: &'a Path,
    options: &'a VerifyOptions,
    notes: &'a Notes,
    files: &'a [SegmentFile],
    walked: &'a Walked,
}

/// Verifies the trail in `directory`. `progress` is told now and then, on this thread, how many bytes of how many on disk
/// are done; it begins anew where the trail must be read once more.
///
/// Costs one SHA-256 of every line and one node, shared by the threads; memory stays flat. A trail that is not what was
/// signed is read a second time.
///
/// # Errors
/// That it could not be checked: `is_missing` where there is no such directory or no trail in it, `is_storage` where it
/// cannot be read, `is_invalid` where a known note is not of this trail, or two keys cannot be told apart. That something
/// is wrong with the trail is no error.
pub fn verify(
    directory: &Path,
    options: &VerifyOptions,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Verification> {
    match directory.metadata() {
        Ok(metadata) if metadata.is_dir() => {}
        Ok(_) => return Err(Error::refused("not a directory", directory)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::missing("there is no such directory", directory));
        }
        Err(error) => return Err(Error::storage("cannot examine the directory", directory, error)),
    }
    let mut suspicion = None;
    for _ in 0..LOOKS {
        match look(directory, options, progress, suspicion.as_ref())? {
            Look::Done(verification) => return Ok(*verification),
            Look::Again(suspected) => suspicion = suspected,
        }
    }
    let why = "lines are erased and segments retired faster than they can be read";
    Err(Error::storage("cannot verify the trail while it changes", directory, why))
}

/// What one look at the trail came to.
enum Look {
    Done(Box<Verification>),
    /// A writer may have changed it meanwhile: the next look tells more. What looks like a fault, and the first line then.
    Again(Option<(Fault, Option<u64>)>),
}

fn look(
    directory: &Path,
    options: &VerifyOptions,
    progress: &mut dyn FnMut(u64, u64),
    suspicion: Option<&(Fault, Option<u64>)>,
) -> Result<Look> {
    let notes = Notes::read(directory)?;
    let files = files::list(directory)?;
    if matches!(notes.checkpoint, Ok(None)) && notes.log_name.is_none() {
        if is_legacy(directory, &files) {
            let what = "these are lines of the Python package auditX, which signs nothing: there is nothing to verify";
            return Err(Error::invalid(what, directory));
        }
        if files.is_empty() {
            return Err(Error::missing("there is no trail in the directory", directory));
        }
    }
    let Some(walked) = walk::walk(directory, options, &notes, &files, progress)? else {
        return Ok(Look::Again(None));
    };
    let case = Case { directory, options, notes: &notes, files: &files, walked: &walked };
    let mut verification = Verification::of(directory.to_path_buf());
    describe(&case, &mut verification);
    let fault = judge::judge(&case, &mut verification)?;
    if let Some(fault) = &fault
        && may_be_a_race(&case, fault)
    {
        let suspected = (fault.clone(), walked.first);
        // Whatever excuses it was signed before it was seen for the first time, and is known by now.
        if suspicion != Some(&suspected) {
            return Ok(Look::Again(Some(suspected)));
        }
    }
    remark(&case, &mut verification);
    if fault.is_none() {
        remark_on_cache(&case, &mut verification);
        remark_on_projection(&case, &mut verification);
    }
    conclude(&case, &mut verification, fault);
    Ok(Look::Done(Box::new(verification)))
}

/// Whether a directory without checkpoint and identity holds lines of the Python package and no others.
fn is_legacy(directory: &Path, files: &[SegmentFile]) -> bool {
    let is_active_legacy = files.iter().all(|file| file.is_active() && begins_as_legacy(file.path()));
    is_active_legacy && !(files.is_empty() && legacy_files(directory).is_empty())
}

/// Whether what was erased or retired meanwhile would look like this: then a newer checkpoint was signed before.
fn may_be_a_race(case: &Case<'_>, fault: &Fault) -> bool {
    let is_of_that_kind = matches!(fault.kind, FaultKind::BadErasure | FaultKind::Unsigned)
        || (fault.kind == FaultKind::Missing && fault.seq == Some(0));
    let Ok(was) = &case.notes.checkpoint else { return false };
    let text = |note: &Option<SignedCheckpoint>| note.as_ref().map(|note| note.as_str().to_owned());
    is_of_that_kind
        && Notes::read(case.directory)
            .is_ok_and(|notes| notes.checkpoint.is_ok_and(|is| text(&is) != text(was)))
}

fn describe(case: &Case<'_>, verification: &mut Verification) {
    let Walked { first, next, torn_bytes, stubs, .. } = case.walked;
    verification.first_seq = first.unwrap_or(0);
    verification.lines = *next;
    verification.torn_bytes = *torn_bytes;
    let signed =
        case.notes.checkpoint.as_ref().ok().and_then(Option::as_ref).map_or(0, SignedCheckpoint::size);
    let lost = stubs.iter().filter(|(place, _)| case.walked.is_lost(place.seq, signed)).count() as u64;
    verification.lost = lost;
    verification.erased = stubs.len() as u64 - lost;
    verification.segments = case.files.len() as u64;
    verification.bytes = walk::bytes(case.files);
    if let Ok(Some(checkpoint)) = &case.notes.checkpoint {
        verification.origin = Some(checkpoint.origin().to_owned());
        verification.signed = Some(checkpoint.size());
        verification.root = Some(to_hex(checkpoint.root()));
    }
    verification.unsigned_lines = next.saturating_sub(verification.signed.unwrap_or(0));
}

fn remark(case: &Case<'_>, verification: &mut Verification) {
    let walked = case.walked;
    for remark in &walked.found {
        verification.put_remark(remark.clone());
    }
    for (at, seq, _) in &walked.erasures {
        let is_there = walked.first.is_some_and(|first| *seq >= first)
            && !walked.stubs.iter().any(|(place, _)| place.seq == *seq);
        if is_there {
            let message = format!("line {at} says that line {seq} was erased, and it is still there");
            verification.remark(RemarkKind::UnfinishedErasure, Some(*seq), message);
        }
    }
    for name in &case.notes.unusable {
        let message = format!("the kept checkpoint {name} cannot be read");
        verification.remark(RemarkKind::UnusableHistory, None, message);
    }
    if case.notes.log_name.is_none() {
        let message = ".auditx/trail.json cannot be read: no process can open the trail without it";
        verification.remark(RemarkKind::UnreadableIdentity, None, message);
    }
}

/// The cache, held against lines that are what was signed.
fn remark_on_cache(case: &Case<'_>, verification: &mut Verification) {
    let Ok(Some(checkpoint)) = &case.notes.checkpoint else { return };
    let cached = Tiles::open(case.directory).frontier(checkpoint.size()).and_then(|tree| tree.root());
    if let Some(seq) = case.walked.cache_differs_at {
        let message = format!("the cache of tree nodes is not that of the lines from line {seq} on");
        verification.remark(RemarkKind::WrongTiles, Some(seq), message);
    } else if cached.as_ref() != Some(checkpoint.root()) {
        let message = "the cache of tree nodes is not that of the lines, or is not there";
        verification.remark(RemarkKind::WrongTiles, None, message);
    }
}

/// `security.jsonl`, held against lines that are what was signed.
fn remark_on_projection(case: &Case<'_>, verification: &mut Verification) {
    let Some(Difference { wrong, before, behind }) = &case.walked.projection else { return };
    let lines = |count: u64| if count == 1 { "1 line".to_owned() } else { format!("{count} lines") };
    if let Some((seq, what)) = wrong {
        let message = format!("security.jsonl is not what the trail says from line {seq} on; it has {what}");
        verification.remark(RemarkKind::WrongProjection, Some(*seq), message);
    }
    if let Some((count, seq)) = before {
        let message = format!(
            "security.jsonl lacks {} of level SECURITY or CRITICAL, from line {seq} on: it was archived or emptied",
            lines(*count)
        );
        verification.remark(RemarkKind::ShortProjection, Some(*seq), message);
    }
    if let Some((count, seq)) = behind {
        let message = format!(
            "security.jsonl does not have {} yet, from line {seq} on: the next process that opens the trail adds them",
            lines(*count)
        );
        verification.remark(RemarkKind::ShortProjection, Some(*seq), message);
    }
}

fn conclude(case: &Case<'_>, verification: &mut Verification, fault: Option<Fault>) {
    if fault.is_some() {
        (verification.answer, verification.fault) = (Answer::Broken, fault);
        return;
    }
    let is_signed = verification.signed.is_some();
    let is_projection_wrong = case.walked.projection.as_ref().is_some_and(|found| found.wrong.is_some());
    let reasons = [
        (Reason::SignatureUnchecked, is_signed && verification.keys.is_empty()),
        (Reason::KeyNotPinned, case.options.keys.is_empty()),
        (Reason::FreshnessUnknown, verification.known.is_empty()),
        (Reason::TailUnsigned, verification.unsigned_lines > 0),
        (Reason::TornTail, verification.torn_bytes > 0),
        (Reason::LinesLost, verification.lost > 0),
        (Reason::ProjectionDiffers, is_projection_wrong),
    ];
    verification.reasons =
        reasons.into_iter().filter(|(_, applies)| *applies).map(|(reason, _)| reason).collect();
    let is_intact = verification.reasons.is_empty();
    verification.answer = if is_intact { Answer::Intact } else { Answer::Unconfirmed };
}

#[cfg(test)]
mod tests;
