//! Observations about a trail that do not change the answer, counted by kind, with the first examples of
//! each.
//!
//! A trail may have a million of one kind. They are counted and not kept, so memory is bounded and no kind
//! hides another.

use serde::Serialize;

/// Enough to show what the kind is about.
const MOST_EXAMPLES: usize = 3;

/// The kind of a remark, the most serious first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum RemarkKind {
    /// The latest checkpoint is older than another checkpoint that matches the lines.
    StaleCheckpoint,
    /// `security.jsonl` has other lines than the trail.
    WrongProjection,
    /// `.auditx/trail.json` is missing or cannot be read.
    UnreadableIdentity,
    /// A checkpoint in `.auditx/checkpoints` cannot be read or is not signed with a key of the trail, or one
    /// in `.auditx/cosigned` cannot be read. Of the latter, those larger than what the policy accepts are
    /// read.
    UnusableHistory,
    /// The erasure of a line was recorded, but the line still has its text.
    UnfinishedErasure,
    /// Lines are dated later than a time stamp that shows that they existed: a clock was ahead.
    LaterThanStamp,
    /// Lines are dated more than a minute earlier than the time stamp of a checkpoint that does not name
    /// them: they were recorded later than they say, or a clock was behind.
    EarlierThanStamp,
    /// Lines are dated more than a minute earlier than a line before them: a clock was set back.
    TimeBackwards,
    /// Lines are dated more than a minute later than a line after them, or more than five minutes later than
    /// the reader's clock: a clock was ahead.
    TimeAhead,
    /// The trail was silent for more than two heartbeats while a process had it open.
    MissingHeartbeat,
    /// `security.jsonl` lacks lines at its beginning, or does not have the newest ones yet.
    ShortProjection,
    /// The tile cache does not match the lines: proofs cannot be made from it.
    WrongTiles,
}

/// All remarks of one kind. They do not change what the trail holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Remark {
    /// What they are about.
    pub kind: RemarkKind,
    /// How many there are.
    pub count: u64,
    /// The first line concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// The last line concerned, if there is more than one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seq: Option<u64>,
    /// The first three, in line order.
    pub examples: Vec<Occurrence>,
}

/// One remark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Occurrence {
    /// The line concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// The last line concerned, if there is more than one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seq: Option<u64>,
    /// The message to display.
    pub message: String,
}

impl Remark {
    pub(super) fn new(kind: RemarkKind) -> Self {
        Self { kind, count: 0, seq: None, last_seq: None, examples: Vec::new() }
    }

    /// Counts one more. Lines may come in any order.
    pub(super) fn add(&mut self, seq: Option<u64>, last_seq: Option<u64>, message: impl Into<String>) {
        let last = self.last_seq.max(self.seq).max(last_seq).max(seq);
        self.count += 1;
        self.seq = self.seq.into_iter().chain(seq).min();
        self.last_seq = last.filter(|_| last != self.seq);
        let index = self.examples.partition_point(|example| example.seq <= seq);
        if index < MOST_EXAMPLES {
            self.examples.insert(index, Occurrence { seq, last_seq, message: message.into() });
            self.examples.truncate(MOST_EXAMPLES);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_remarks_are_counted_and_the_first_three_kept() {
        let mut remark = Remark::new(RemarkKind::TimeBackwards);
        for seq in (10..1_000_010).rev() {
            remark.add(Some(seq), Some(seq + 5), "x");
        }
        let examples: Vec<_> = remark.examples.iter().filter_map(|example| example.seq).collect();
        assert_eq!((remark.count, remark.seq, remark.last_seq), (1_000_000, Some(10), Some(1_000_014)));
        assert_eq!(examples, [10, 11, 12]);
        let mut one = Remark::new(RemarkKind::MissingHeartbeat);
        one.add(Some(7), None, "x");
        assert_eq!((one.count, one.seq, one.last_seq), (1, Some(7), None));
    }
}
