//! Inspects a directory: reads all of it once and reports what it holds and what is wrong with it, changing
//! nothing.
//!
//! Each problem is a [`Finding`] with its location and what to do about it. Findings include the result of
//! verification, which is certain only with a key that is known from elsewhere.

mod files;
mod finding;
mod follower;
mod identity;
mod sequence;
mod trust;
mod walk;

use std::fs;
use std::path::{Path, PathBuf};

use auditx_store::lock_holder;
use serde::{Serialize, Serializer};

use crate::error::{Error, Result};
use crate::listing::Listing;
use crate::verify::{Verification, VerifyOptions, verify};

use finding::Findings;

use crate::identity::Identity;
pub use finding::{Finding, FindingKind, Severity};
pub use follower::FollowerState;

/// The contents of a directory. Serialises to the JSON of `auditx doctor --json`.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Inspection {
    /// The directory.
    #[serde(serialize_with = "as_text")]
    pub directory: PathBuf,
    /// The trail's identity; `None` if it cannot be read.
    pub identity: Option<Identity>,
    /// The process that writes the trail now; `None` if there is none.
    pub writer: Option<String>,
    /// Lines that are entries, control records included.
    pub entries: u64,
    /// Lines that are not entries.
    pub unreadable_lines: u64,
    /// Entries without a sequence number: legacy lines.
    pub unnumbered_entries: u64,
    /// The sequence number of the first entry that has one.
    pub first_seq: Option<u64>,
    /// The sequence number of the last entry that has one.
    pub last_seq: Option<u64>,
    /// How many lines the latest checkpoint names. Its signature is not checked for this value.
    pub signed: Option<u64>,
    /// The timestamp of the first entry.
    pub first_timestamp: Option<String>,
    /// The timestamp of the last entry.
    pub last_timestamp: Option<String>,
    /// The segments in order, the active one last.
    pub segments: Vec<SegmentState>,
    /// Bytes after the last newline of the active segment.
    pub torn_tail: Option<TornTail>,
    /// The followers with a cursor in the trail.
    pub followers: Vec<FollowerState>,
    /// Counts of control records.
    pub history: History,
    /// Subdirectories that are trails of their own.
    pub trails_below: Vec<String>,
    /// Problems, and facts worth knowing.
    pub findings: Vec<Finding>,
}

/// One segment.
#[derive(Debug, Clone, Default, Serialize)]
#[non_exhaustive]
pub struct SegmentState {
    /// The file name.
    pub file: String,
    /// Whether it is the active segment.
    pub is_active: bool,
    /// Whether it is a Zstandard file.
    pub is_compressed: bool,
    /// Bytes on disk.
    pub bytes: u64,
    /// Lines that are entries.
    pub entries: u64,
    /// Lines that are not entries.
    pub unreadable_lines: u64,
    /// The sequence number of its first entry.
    pub first_seq: Option<u64>,
    /// The sequence number of its last entry.
    pub last_seq: Option<u64>,
}

/// A line without a newline: being written, or left by a process that was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TornTail {
    /// The offset in the active segment at which it begins.
    pub offset: u64,
    /// Its length in bytes.
    pub bytes: u64,
}

/// How many control records of each kind the trail holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct History {
    /// A process opened the trail.
    pub opened: u64,
    /// A process closed the trail.
    pub closed: u64,
    /// An unfinished line was found and set aside.
    pub recovered: u64,
    /// Sealed segments were retired.
    pub retired: u64,
    /// The text of a line was erased.
    pub erased: u64,
    /// The signing key was replaced.
    pub key_changes: u64,
    /// A checkpoint was recorded; many more are signed than recorded.
    pub checkpoints: u64,
    /// A heartbeat of an idle trail.
    pub heartbeats: u64,
    /// Entries that could not be written to the disk and were never recorded.
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

    /// Whether the directory holds a trail.
    #[must_use]
    pub fn is_trail(&self) -> bool {
        !self.segments.is_empty() || self.identity.is_some()
    }

    /// Whether a finding needs action, or the directory holds no trail.
    #[must_use]
    pub fn needs_attention(&self) -> bool {
        !self.is_trail() || self.findings.iter().any(|finding| finding.severity == Severity::Attention)
    }
}

/// Inspects the whole trail in `directory`. Files are only opened for reading and none is created.
///
/// Verifies the trail first, so every line is read twice. Costs one hash and one JSON parse per line; memory
/// is constant. `progress` is called from time to time with the bytes read and the total, and may do nothing.
///
/// # Errors
/// `is_missing` if the directory does not exist, `is_storage` if it cannot be listed or a segment cannot be
/// opened. Any other problem is a finding.
pub fn inspect(directory: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<Inspection> {
    match fs::metadata(directory) {
        Ok(metadata) if metadata.is_dir() => {}
        Ok(_) => return Err(Error::refused("not a directory", directory)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::missing("there is no such directory", directory));
        }
        Err(error) => return Err(Error::storage("cannot examine the directory", directory, error)),
    }
    // An unreadable trail is one error, not a finding for each file.
    let verification = verified(directory, progress)?;
    let mut inspection = Inspection::of(directory);
    let mut findings = Findings::default();
    // The writer is read before and after: one that started or stopped in between explains what would
    // otherwise look broken.
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

/// Verifies the trail; `None` if there is nothing to verify.
fn verified(directory: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<Option<Verification>> {
    match verify(directory, &VerifyOptions::default(), progress) {
        Ok(verification) => Ok(Some(verification)),
        Err(error) if error.is_missing() || error.is_invalid() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns the process that writes the trail. Adds a finding and fails if that cannot be determined.
fn writer(directory: &Path, findings: &mut Findings) -> Result<Option<String>, ()> {
    lock_holder(directory).map_err(|error| findings.unknown_writer(directory, &error.to_string()))
}

/// Names that are not Unicode are written lossily.
#[expect(clippy::ptr_arg, reason = "serde hands over a reference to the field")]
fn as_text<S: Serializer>(path: &PathBuf, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

#[cfg(test)]
mod tests;
