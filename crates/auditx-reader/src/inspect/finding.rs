//! One finding of an inspection: what, where, and what to do about it.

use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

use crate::error::Error;
use crate::timestamps::{Direction, Implausible};

/// A damaged file may have a million findings of one kind; the first ones show what is wrong.
const MOST_OF_A_KIND: usize = 100;

/// The kind of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FindingKind {
    /// A line that is not an entry.
    UnreadableLine,
    /// A segment that cannot be read, or not to its end.
    UnreadableFile,
    /// Something other than a regular file that has the name of one.
    RefusedFile,
    /// Sequence numbers are missing.
    Gap,
    /// Sequence numbers are repeated.
    Repeat,
    /// The oldest lines are missing and no record says that they were retired.
    MissingBeginning,
    /// Lines without sequence numbers among lines that have one, or nothing but such lines.
    Unnumbered,
    /// A segment does not begin with the line that its name says.
    WrongName,
    /// `.auditx/trail.json` is missing, unreadable, of another format, or does not match the first record.
    Identity,
    /// The latest checkpoint is missing, or cannot be read.
    Checkpoint,
    /// Lines are dated more than a minute earlier than a line before them: a clock was set back.
    TimeBackwards,
    /// Lines are dated more than a minute later than a line after them, or more than five minutes later than
    /// the reader's clock: a clock was ahead.
    TimeAhead,
    /// An unfinished line at the end of the active segment.
    TornTail,
    /// An unfinished line that recovery set aside.
    TornFile,
    /// A temporary file that was never completed.
    LeftoverTemporary,
    /// A sealed segment that exists both plain and compressed.
    DoubleSegment,
    /// A file or directory with a mode wider than 0640 or 0750, or 0600 and 0700 for keys.
    WideMode,
    /// A file whose owner is not that of its directory.
    ForeignOwner,
    /// The writer's lock cannot be queried.
    UnknownWriter,
    /// The first fault that verification found.
    NotAsSigned,
    /// `security.jsonl` has other lines than the trail, or not all of them.
    Projection,
    /// A skip index that readers do not use.
    Index,
    /// The tile cache does not match the lines.
    Cache,
    /// A private key that does not sign the trail.
    Key,
    /// A destination lacks lines.
    Destination,
    /// A segment whose name claims lines of another one.
    StraySegment,
}

/// The severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Severity {
    /// Worth knowing; no action is needed.
    Note,
    /// An operator should act.
    Attention,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// The kind.
    pub kind: FindingKind,
    /// The severity.
    pub severity: Severity,
    /// The message to display.
    pub what: String,
    /// The file or directory concerned.
    #[serde(serialize_with = "as_text", skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// The byte offset in it; in a compressed file, in its decompressed text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// The sequence number of the first line concerned, if its offset is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// The last line concerned, if there is more than one.
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

    pub(super) fn informational(mut self) -> Self {
        self.severity = Severity::Note;
        self
    }
}

/// The findings so far, the first ones of each kind.
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

    /// Adds a finding for an error of reading a file or one of its lines.
    pub(super) fn unreadable(&mut self, error: &Error, path: &Path) {
        let (kind, advice) = if error.is_unreadable() {
            (
                FindingKind::UnreadableLine,
                "examine the bytes there, and compare the line with a backup; nothing repairs it in place",
            )
        } else if error.is_refused() {
            (
                FindingKind::RefusedFile,
                "find out what created it, and move it away; auditx does not follow it",
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

    /// Adds a finding for times that cannot all be right. `path` is the file of the first of the lines.
    pub(super) fn implausible(&mut self, times: Implausible, path: &Path) {
        let kind = match times.direction {
            Direction::Ahead => FindingKind::TimeAhead,
            Direction::Back => FindingKind::TimeBackwards,
        };
        let advice = if times.is_lasting {
            "correct the clock of the machine that writes the trail; recorded lines keep their times"
        } else {
            "use the order of the sequence numbers, and find out why the clock was wrong"
        };
        let left_out = times.left_out;
        let finding = Finding::new(kind, times.message, path, advice).on_lines(times.first, times.last);
        self.add(if times.is_lasting { finding } else { finding.informational() });
        self.left_out_more(kind, left_out);
    }

    /// Counts more findings that were not kept.
    fn left_out_more(&mut self, kind: FindingKind, more: u64) {
        if more > 0
            && let Some((_, count)) = self.left_out.iter_mut().find(|(known, _)| known.kind == kind)
        {
            *count += more;
        }
    }

    pub(super) fn unknown_writer(&mut self, directory: &Path, why: &str) {
        let what = format!("cannot determine whether a process writes the trail: {why}");
        let advice = "run the command again as the user who owns the trail";
        self.add(Finding::new(FindingKind::UnknownWriter, what, directory, advice).informational());
    }

    pub(super) fn finish(mut self) -> Vec<Finding> {
        for (mut finding, count) in self.left_out {
            if count > 1 {
                finding.what = format!("{} (and {} more like it)", finding.what, count - 1);
            }
            self.kept.push(finding);
        }
        // Faults of verification come first, notes last.
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
    fn all_findings_are_counted_and_the_first_hundred_kept() {
        let mut findings = Findings::default();
        for number in 0..1_000 {
            let finding = Finding::new(FindingKind::Gap, format!("gap {number}"), Path::new("a"), "look");
            findings.add(finding);
        }
        findings.add(Finding::new(FindingKind::Repeat, "repeat", Path::new("a"), "look").informational());
        let kept = findings.finish();
        assert_eq!(kept.len(), 102);
        assert_eq!(kept[100].what, "gap 100 (and 899 more like it)");
        assert_eq!(kept[101].severity, Severity::Note, "notes come last");
    }
}
