//! One thing an inspection found: what, where, and what to do about it.

use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

use crate::error::Error;
use crate::timestamps::{Direction, Implausible};

/// A damaged file may have a million of a kind; the first ones say what is wrong.
const MOST_OF_A_KIND: usize = 100;

/// What kind of thing was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FindingKind {
    /// A line that is no entry.
    UnreadableLine,
    /// A segment that cannot be read, or not to its end.
    UnreadableFile,
    /// Something that is no regular file in the place of one.
    RefusedFile,
    /// Sequence numbers are missing.
    Gap,
    /// Sequence numbers come again.
    Repeat,
    /// The oldest lines are gone and no record says so.
    MissingBeginning,
    /// A line without a sequence number among lines that have one, or nothing but such lines.
    Unnumbered,
    /// A segment does not begin with the line its name says.
    WrongName,
    /// `.auditx/trail.json` is missing, unreadable, of another format, or says something else than the first record.
    Identity,
    /// The latest checkpoint is missing, or cannot be read.
    Checkpoint,
    /// Lines are dated more than a minute earlier than a line before them: a clock was set back.
    TimeBackwards,
    /// Lines are dated more than a minute later than a line after them, or more than five minutes later than the reader's clock: a clock
    /// was ahead.
    TimeAhead,
    /// A line without an end at the end of the active segment.
    TornTail,
    /// An unfinished line that recovery kept aside.
    TornFile,
    /// A temporary file that nobody finished.
    LeftoverTemporary,
    /// A sealed segment both plain and compressed.
    DoubleSegment,
    /// Others may read or write more than 0640 and 0750 let them, or 0600 and 0700 where keys are.
    WideMode,
    /// A file of another owner than its directory.
    ForeignOwner,
    /// The lock cannot be asked.
    UnknownWriter,
    /// The first thing that is not as it was signed, as verifying says it.
    NotAsSigned,
    /// `security.jsonl` has other lines than the trail, or not all of them.
    Projection,
    /// A skip index that readers must not use.
    Index,
    /// The cache of tree nodes does not agree with the lines.
    Cache,
    /// A private key that does not sign the trail.
    Key,
    /// A destination lacks lines.
    Destination,
    /// A segment whose name claims lines of another one.
    StraySegment,
}

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Severity {
    /// Worth knowing; nobody has to do anything.
    Note,
    /// Somebody should do something.
    Attention,
}

/// One thing found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// What kind of thing.
    pub kind: FindingKind,
    /// How much it matters.
    pub severity: Severity,
    /// What, in words.
    pub what: String,
    /// The file or directory concerned.
    #[serde(serialize_with = "as_text", skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// Where in it, in bytes; in a compressed file, of its decompressed text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// The sequence number of the first line concerned, where it is not known by its byte.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// The last line concerned, where there is more than one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seq: Option<u64>,
    /// What to do.
    pub advice: String,
}

impl Finding {
    pub(super) fn new(
        kind: FindingKind,
        what: impl Into<String>,
        path: &Path,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            severity: Severity::Attention,
            what: what.into(),
            path: Some(path.to_path_buf()),
            offset: None,
            seq: None,
            last_seq: None,
            advice: advice.into(),
        }
    }

    pub(super) fn at_byte(mut self, offset: u64) -> Self {
        self.offset = Some(offset);
        self
    }

    pub(super) fn on_lines(mut self, first: u64, last: u64) -> Self {
        self.seq = Some(first);
        self.last_seq = (last > first).then_some(last);
        self
    }

    pub(super) fn for_information(mut self) -> Self {
        self.severity = Severity::Note;
        self
    }
}

/// What was found so far, the first ones of each kind.
#[derive(Debug, Default)]
pub(super) struct Findings {
    kept: Vec<Finding>,
    left_out: Vec<(Finding, u64)>,
}

impl Findings {
    pub(super) fn add(&mut self, finding: Finding) {
        if self.kept.iter().filter(|known| known.kind == finding.kind).count() < MOST_OF_A_KIND {
            self.kept.push(finding);
            return;
        }
        match self.left_out.iter_mut().find(|(known, _)| known.kind == finding.kind) {
            Some((_, count)) => *count += 1,
            None => self.left_out.push((finding, 1)),
        }
    }

    /// What reading a file or one of its lines failed with.
    pub(super) fn unreadable(&mut self, error: &Error, path: &Path) {
        let (kind, advice) = if error.is_unreadable() {
            (
                FindingKind::UnreadableLine,
                "look at the bytes there; if the line is in a backup, compare. Nothing repairs it in place",
            )
        } else if error.is_refused() {
            (
                FindingKind::RefusedFile,
                "find out who put it there, and move it away; auditx does not follow it",
            )
        } else {
            (
                FindingKind::UnreadableFile,
                "check the disk and the permissions, and restore the file from a backup",
            )
        };
        let mut finding = Finding::new(kind, error.why(), path, advice);
        finding.offset = error.offset();
        self.add(finding);
    }

    /// Times that cannot all be right. `path` is where the first of the lines is.
    pub(super) fn implausible(&mut self, times: Implausible, path: &Path) {
        let kind = match times.direction {
            Direction::Ahead => FindingKind::TimeAhead,
            Direction::Back => FindingKind::TimeBackwards,
        };
        let advice = if times.is_lasting {
            "set the clock of the machine that writes the trail right; lines that are recorded keep their times"
        } else {
            "take their order from the sequence numbers, and find out why the clock was wrong"
        };
        let left_out = times.left_out;
        let finding = Finding::new(kind, times.message, path, advice).on_lines(times.first, times.last);
        self.add(if times.is_lasting { finding } else { finding.for_information() });
        self.left_out_more(kind, left_out);
    }

    /// Counts findings that were not kept.
    fn left_out_more(&mut self, kind: FindingKind, more: u64) {
        if more > 0
            && let Some((_, count)) = self.left_out.iter_mut().find(|(known, _)| known.kind == kind)
        {
            *count += more;
        }
    }

    pub(super) fn unknown_writer(&mut self, directory: &Path, why: &str) {
        let what = format!("cannot tell whether a process writes the trail: {why}");
        let advice = "ask again as the user the trail belongs to";
        self.add(Finding::new(FindingKind::UnknownWriter, what, directory, advice).for_information());
    }

    pub(super) fn finish(mut self) -> Vec<Finding> {
        for (mut finding, count) in self.left_out {
            if count > 1 {
                finding.what = format!("{} (and {} more like it)", finding.what, count - 1);
            }
            self.kept.push(finding);
        }
        // What is not as it was signed comes first, notes come last.
        let is_gravest = |finding: &Finding| finding.kind == FindingKind::NotAsSigned;
        self.kept.sort_by_key(|finding| (finding.severity == Severity::Note, !is_gravest(finding)));
        self.kept
    }
}

fn as_text<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
    match path {
        Some(path) => serializer.collect_str(&path.display()),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_of_a_kind_are_counted_and_the_first_hundred_kept() {
        let mut findings = Findings::default();
        for number in 0..1_000 {
            let finding = Finding::new(FindingKind::Gap, format!("gap {number}"), Path::new("a"), "look");
            findings.add(finding);
        }
        findings.add(Finding::new(FindingKind::Repeat, "repeat", Path::new("a"), "look").for_information());
        let kept = findings.finish();
        assert_eq!(kept.len(), 102);
        assert_eq!(kept[100].what, "gap 100 (and 899 more like it)");
        assert_eq!(kept[101].severity, Severity::Note, "notes come last");
    }
}
