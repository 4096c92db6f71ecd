//! What a directory holds, and what is wrong with it: the whole of it read once, nothing changed.
//!
//! Comes in: a directory. Goes out: an [`Inspection`], with a finding for each thing that is not as it should be, where
//! it is and what to do about it. What verifying says is among them; it is sure only with a key that is known from elsewhere.

mod files;
mod finding;
mod follower;
mod identity;
mod sequence;
mod trust;
mod walk;

use std::fs;
use std::path::{Path, PathBuf};

use auditx_core::lock_holder;
use serde::{Serialize, Serializer};

use crate::error::{Error, Result};
use crate::listing::Listing;
use crate::verify::{Verification, VerifyOptions, verify};

use finding::Findings;

use crate::identity::Identity;
pub use finding::{Finding, FindingKind, Severity};
pub use follower::FollowerState;

/// What a directory holds. Serialises to the JSON of `auditx doctor --json`.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Inspection {
    /// The directory.
    #[serde(serialize_with = "as_text")]
    pub directory: PathBuf,
    /// What the trail says it is; none where it does not say.
    pub identity: Option<Identity>,
    /// Who writes it now, as it named itself; none where nobody does.
    pub writer: Option<String>,
    /// Lines that are entries, the library's own records included.
    pub entries: u64,
    /// Lines that are none.
    pub unreadable_lines: u64,
    /// Entries without a sequence number: the origin's.
    pub unnumbered_entries: u64,
    /// The sequence number of the first entry that has one.
    pub first_seq: Option<u64>,
    /// The sequence number of the last one.
    pub last_seq: Option<u64>,
    /// How many lines the latest checkpoint speaks of; whether it is to be believed is not asked here.
    pub signed: Option<u64>,
    /// When the first entry was recorded, as it says.
    pub first_timestamp: Option<String>,
    /// When the last one was.
    pub last_timestamp: Option<String>,
    /// In order; the active one is the last.
    pub segments: Vec<SegmentState>,
    /// Bytes after the last newline of the active segment.
    pub torn_tail: Option<TornTail>,
    /// Whoever keeps a cursor in the trail.
    pub followers: Vec<FollowerState>,
    /// What the trail says about its own life.
    pub history: History,
    /// Directories below this one that are trails of their own.
    pub trails_below: Vec<String>,
    /// What is not as it should be, or worth knowing.
    pub findings: Vec<Finding>,
}

/// One segment.
#[derive(Debug, Clone, Default, Serialize)]
#[non_exhaustive]
pub struct SegmentState {
    /// Its name in the directory.
    pub file: String,
    /// Whether it is the one that grows.
    pub is_active: bool,
    /// Whether it is a Zstandard file.
    pub is_compressed: bool,
    /// Bytes on disk.
    pub bytes: u64,
    /// Lines that are entries.
    pub entries: u64,
    /// Lines that are none.
    pub unreadable_lines: u64,
    /// The sequence number of its first entry.
    pub first_seq: Option<u64>,
    /// The sequence number of its last entry.
    pub last_seq: Option<u64>,
}

/// A line without an end: being written, or left by a process that was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TornTail {
    /// Where it begins in the active segment.
    pub offset: u64,
    /// How long it is.
    pub bytes: u64,
}

/// How often the trail's own records say that something happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct History {
    /// A process began to write.
    pub opened: u64,
    /// A process ended in order.
    pub closed: u64,
    /// An unfinished line was found and kept aside.
    pub recovered: u64,
    /// Sealed segments were retired.
    pub retired: u64,
    /// The text of a line was erased.
    pub erased: u64,
    /// Another key was put in the place of the one that signed.
    pub key_changes: u64,
    /// A checkpoint was recorded; many more are signed.
    pub checkpoints: u64,
    /// An idle trail said that it is alive.
    pub heartbeats: u64,
    /// Entries that the disk refused, and that were never recorded.
    pub refused_entries: u64,
}

impl Inspection {
    fn of(directory: &Path) -> Self {
        Self {
            directory: directory.to_path_buf(),
            identity: None,
            writer: None,
            entries: 0,
            unreadable_lines: 0,
            unnumbered_entries: 0,
            first_seq: None,
            last_seq: None,
            signed: None,
            first_timestamp: None,
            last_timestamp: None,
            segments: Vec::new(),
            torn_tail: None,
            followers: Vec::new(),
            history: History::default(),
            trails_below: Vec::new(),
            findings: Vec::new(),
        }
    }

    /// Whether the directory holds a trail at all.
    #[must_use]
    pub fn is_trail(&self) -> bool {
        !self.segments.is_empty() || self.identity.is_some()
    }

    /// Whether somebody should do something.
    #[must_use]
    pub fn needs_attention(&self) -> bool {
        !self.is_trail() || self.findings.iter().any(|finding| finding.severity == Severity::Attention)
    }
}

/// Reads the whole trail in `directory` and says what it is. Opens for reading only, creates nothing.
///
/// Verifies the trail first, so every line is read twice. Costs one hash and one JSON parse per line; memory stays flat. `progress` is told now and then how many bytes of how many were
/// read, and may do nothing.
///
/// # Errors
/// `is_missing` if there is no such directory, `is_storage` if it cannot be listed or a segment cannot be opened. Whatever
/// else is wrong inside it is a finding.
pub fn inspect(directory: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<Inspection> {
    match fs::metadata(directory) {
        Ok(metadata) if metadata.is_dir() => {}
        Ok(_) => return Err(Error::refused("not a directory", directory)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::missing("there is no such directory", directory));
        }
        Err(error) => return Err(Error::storage("cannot examine the directory", directory, error)),
    }
    // A trail that cannot be read at all is an error, and not one for each of its files.
    let verification = verified(directory, progress)?;
    let mut inspection = Inspection::of(directory);
    let mut findings = Findings::default();
    // Asked before and after: a writer that comes or goes in between explains what else would look broken.
    let before = writer(directory, &mut findings);
    let listing = Listing::of(directory)?;
    inspection.identity = identity::read(directory, &listing, &mut findings);
    let sealed: Vec<_> = listing.sealed.iter().cloned().collect();
    trust::check_strays(directory, &listing, &mut findings);
    walk::walk(listing, &mut inspection, &mut findings, progress);
    let after = writer(directory, &mut Findings::default());
    let is_quiet = matches!((&before, &after), (Ok(None), Ok(None)));
    inspection.writer = after.unwrap_or(None).or(before.unwrap_or(None));

    let signed = verification.as_ref().and_then(|verification| verification.signed).unwrap_or(0);
    if let (Some(tail), true) = (inspection.torn_tail, is_quiet) {
        let is_missing_signed = inspection.last_seq.map_or(0, |last| last.saturating_add(1)) < signed;
        trust::check_tail(directory, tail, is_missing_signed, &mut findings);
    }
    if inspection.is_trail() {
        let known = (inspection.identity.as_ref(), inspection.last_seq);
        inspection.signed = identity::read_signed(directory, known, is_quiet, &mut findings);
    }
    files::check(directory, is_quiet, &mut inspection, &mut findings);
    inspection.followers = follower::read_all(directory);
    if let Some(verification) = &verification {
        trust::check_verification(directory, verification, &mut findings);
        trust::check_key(directory, verification, &mut findings);
        trust::check_indexes(directory, &sealed, &mut findings);
        trust::check_destinations(directory, &inspection.followers, signed, &mut findings);
    }
    inspection.findings = findings.finish();
    Ok(inspection)
}

/// What verifying says; `None` if there is nothing to verify.
fn verified(directory: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<Option<Verification>> {
    match verify(directory, &VerifyOptions::default(), progress) {
        Ok(verification) => Ok(Some(verification)),
        Err(error) if error.is_missing() || error.is_invalid() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Who writes the trail; the error is that nobody can tell, which is a finding too.
fn writer(directory: &Path, findings: &mut Findings) -> Result<Option<String>, ()> {
    lock_holder(directory).map_err(|error| findings.unknown_writer(directory, &error.to_string()))
}

/// Names that are not Unicode are shown as well as they can be.
#[expect(clippy::ptr_arg, reason = "serde hands over a reference to the field")]
fn as_text<S: Serializer>(path: &PathBuf, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

#[cfg(test)]
mod tests;
