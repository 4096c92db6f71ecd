//! What a verification says: the answer, why, and what it is about.

use std::path::PathBuf;

use serde::Serialize;

use super::fault::Fault;
use super::remark::{Remark, RemarkKind};

/// Whether a trail is what was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Answer {
    /// Every line is the one that was signed with a pinned key, and nothing that somebody else knows of is gone.
    Intact,
    /// Something is not as it was signed.
    Broken,
    /// Nothing is wrong, and something that it takes to be sure is not at hand.
    Unconfirmed,
}

/// Why nobody can be sure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Reason {
    /// No key was given: the trail's own word was taken for whose it is.
    KeyNotPinned,
    /// No key is known at all, so that no signature was checked.
    SignatureUnchecked,
    /// No note that is kept elsewhere was given: an earlier state of the whole trail would look just like this.
    FreshnessUnknown,
    /// The last lines are not signed yet.
    TailUnsigned,
    /// The trail ends with part of a line.
    TornTail,
    /// Lines were lost to another program, as a signed record says: only their hashes are left.
    LinesLost,
    /// `security.jsonl` has other lines than the trail.
    ProjectionDiffers,
}

/// A key that signed the latest checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Signatory {
    /// The key, as `auditx key show` prints it.
    pub key: String,
    /// Whether it is pinned, or was put in the place of a pinned one by that one.
    pub is_pinned: bool,
}

/// What verifying a trail came to. Serialises to the JSON of `auditx verify --json`.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Verification {
    /// The directory.
    #[serde(serialize_with = "as_text")]
    pub directory: PathBuf,
    /// Whether the trail is what was signed.
    pub answer: Answer,
    /// The first thing that is not as it was signed.
    pub fault: Option<Fault>,
    /// Why nobody can be sure, where nothing is wrong.
    pub reasons: Vec<Reason>,
    /// What is worth knowing besides: one of each kind, the gravest first.
    pub remarks: Vec<Remark>,
    /// The name of the log, as the latest checkpoint has it.
    pub origin: Option<String>,
    /// Who signed the latest checkpoint.
    pub keys: Vec<Signatory>,
    /// The sequence number of the first line that is there: more than 0 where older ones were retired.
    pub first_seq: u64,
    /// Lines of the trail so far, retired ones included; as far as it could be read.
    pub lines: u64,
    /// Lines that the latest checkpoint speaks of.
    pub signed: Option<u64>,
    /// The root that it names, in hexadecimal.
    pub root: Option<String>,
    /// Lines after those.
    pub unsigned_lines: u64,
    /// Bytes after the last newline.
    pub torn_bytes: u64,
    /// Lines of which only the hash is left.
    pub erased: u64,
    /// Lines that another program took away and that could not be restored, as a signed record says.
    pub lost: u64,
    /// Files with lines.
    pub segments: u64,
    /// Their bytes on disk.
    pub bytes: u64,
    /// The sizes of the known notes that the trail agrees with.
    pub known: Vec<u64>,
}

impl Verification {
    pub(super) fn of(directory: PathBuf) -> Self {
        Self {
            directory,
            answer: Answer::Unconfirmed,
            fault: None,
            reasons: Vec::new(),
            remarks: Vec::new(),
            origin: None,
            keys: Vec::new(),
            first_seq: 0,
            lines: 0,
            signed: None,
            root: None,
            unsigned_lines: 0,
            torn_bytes: 0,
            erased: 0,
            lost: 0,
            segments: 0,
            bytes: 0,
            known: Vec::new(),
        }
    }

    /// Counts one more of a kind.
    pub(super) fn remark(&mut self, kind: RemarkKind, seq: Option<u64>, message: impl Into<String>) {
        let place = self.remarks.partition_point(|known| known.kind < kind);
        if self.remarks.get(place).is_none_or(|known| known.kind != kind) {
            self.remarks.insert(place, Remark::new(kind));
        }
        self.remarks[place].add(seq, None, message);
    }

    /// Puts all of a kind in its place.
    pub(super) fn put_remark(&mut self, remark: Remark) {
        let place = self.remarks.partition_point(|known| known.kind < remark.kind);
        self.remarks.insert(place, remark);
    }
}

/// Names that are not Unicode are shown as well as they can be.
#[expect(clippy::ptr_arg, reason = "serde hands over a reference to the field")]
fn as_text<S: serde::Serializer>(path: &PathBuf, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}
