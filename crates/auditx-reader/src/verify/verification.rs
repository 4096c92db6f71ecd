//! The result of a verification.

use std::path::PathBuf;

use serde::Serialize;

use super::fault::Fault;
use super::remark::{Remark, RemarkKind};
use super::stamped::TimeStamps;
use super::witnessed::Witnessed;

/// Whether a trail is what was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Answer {
    /// Every line matches what a pinned key signed, and the trail agrees with a checkpoint that was kept
    /// elsewhere, or that witnesses cosigned lately.
    Intact,
    /// Something differs from what was signed.
    Broken,
    /// No fault was found, but something needed for certainty is missing.
    Unconfirmed,
}

/// Why the answer is not [`Answer::Intact`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Reason {
    /// No key was given: the trail's own account of its keys was used.
    KeyNotPinned,
    /// No key is known at all, so no signature was checked.
    SignatureUnchecked,
    /// No checkpoint kept elsewhere was given, and no age of cosignatures, so a rollback of the whole trail to
    /// an earlier state cannot be detected.
    FreshnessUnknown,
    /// No checkpoint of the trail was cosigned as the policy requires.
    NotWitnessed,
    /// The last cosignatures, or the last entry of the parent trail, are older than the auditor allows.
    NotFresh,
    /// The last signed lines are newer than the cosigned checkpoint.
    TailNotWitnessed,
    /// Time stamps are required, and none agrees with the lines.
    NotStamped,
    /// A time stamp of the trail cannot be used.
    UnusableStamp,
    /// The last lines are not signed yet.
    TailUnsigned,
    /// The trail ends with part of a line.
    TornTail,
    /// Another program removed lines, as a signed record says: only their hashes are left.
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
    /// Whether the key is pinned, or is the recorded successor of a pinned key.
    pub is_pinned: bool,
}

/// The result of verifying a trail. Serialises to the JSON of `auditx verify --json`.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Verification {
    /// The directory.
    #[serde(serialize_with = "as_text")]
    pub directory: PathBuf,
    /// Whether the trail matches what was signed.
    pub answer: Answer,
    /// The first thing that differs from what was signed.
    pub fault: Option<Fault>,
    /// Why the answer is not [`Answer::Intact`], if there is no fault.
    pub reasons: Vec<Reason>,
    /// Observations that do not change the answer: one per kind, the most serious first.
    pub remarks: Vec<Remark>,
    /// The log name in the latest checkpoint.
    pub origin: Option<String>,
    /// Who signed the latest checkpoint.
    pub keys: Vec<Signatory>,
    /// The sequence number of the first line present: more than 0 if older segments were retired.
    pub first_seq: u64,
    /// Lines of the trail, retired ones included, as far as it could be read.
    pub lines: u64,
    /// The number of lines that the latest checkpoint names.
    pub signed: Option<u64>,
    /// The root in the latest checkpoint, in hexadecimal.
    pub root: Option<String>,
    /// Lines after the signed ones.
    pub unsigned_lines: u64,
    /// Bytes after the last newline.
    pub torn_bytes: u64,
    /// Lines whose text was erased.
    pub erased: u64,
    /// Lines that another program removed, as a signed record says: only their hashes are left.
    pub lost: u64,
    /// Segment files.
    pub segments: u64,
    /// The size of the segment files on disk, in bytes.
    pub bytes: u64,
    /// The sizes of the known checkpoints that the trail agrees with.
    pub known: Vec<u64>,
    /// The checkpoint that was cosigned as the policy requires.
    pub witnessed: Option<Witnessed>,
    /// Why no checkpoint was cosigned as the policy requires.
    pub unwitnessed: Option<String>,
    /// The time stamps that agree with the lines, if they were compared.
    pub time_stamps: Option<TimeStamps>,
    /// Why time stamps cannot be used, one text each.
    pub unusable_stamps: Vec<String>,
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
            witnessed: None,
            unwitnessed: None,
            time_stamps: None,
            unusable_stamps: Vec::new(),
        }
    }

    /// Adds one remark to its kind.
    pub(super) fn remark(&mut self, kind: RemarkKind, seq: Option<u64>, message: impl Into<String>) {
        let index = self.remarks.partition_point(|known| known.kind < kind);
        if self.remarks.get(index).is_none_or(|known| known.kind != kind) {
            self.remarks.insert(index, Remark::new(kind));
        }
        self.remarks[index].add(seq, None, message);
    }

    /// Adds all remarks of one kind.
    pub(super) fn put_remark(&mut self, remark: Remark) {
        let index = self.remarks.partition_point(|known| known.kind < remark.kind);
        self.remarks.insert(index, remark);
    }
}

/// Names that are not Unicode are written lossily.
#[expect(clippy::ptr_arg, reason = "serde hands over a reference to the field")]
fn as_text<S: serde::Serializer>(path: &PathBuf, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}
