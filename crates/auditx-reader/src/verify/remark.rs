//! What is worth knowing about a trail besides the answer, by kind: how many there are, and the first few of
//! them.
//!
//! A trail may have a million of one kind. They are counted, so that memory is bounded and no kind hides
//! another.

use serde::Serialize;

/// Enough to see what a kind is about.
const MOST_EXAMPLES: usize = 3;

/// What kind of thing is worth knowing, the gravest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum RemarkKind {
    /// The latest checkpoint is older than another one that the lines agree with.
    StaleCheckpoint,
    /// `security.jsonl` has other lines than the trail.
    WrongProjection,
    /// `.auditx/trail.json` is missing or cannot be read.
    UnreadableIdentity,
    /// A checkpoint kept beside the lines cannot be read or is of no key of the trail.
    UnusableHistory,
    /// A line was to be erased, and still is there.
    UnfinishedErasure,
    /// Lines are dated more than a minute earlier than a line before them: a clock was set back.
    TimeBackwards,
    /// Lines are dated more than a minute later than a line after them, or more than five minutes later than
    /// the reader's clock: a clock was ahead.
    TimeAhead,
    /// The trail was silent for more than two heartbeats while a process had it open.
    MissingHeartbeat,
    /// `security.jsonl` lacks lines at its beginning, or does not have the newest ones yet.
    ShortProjection,
    /// The cache of tree nodes does not agree with the lines: proofs cannot be made from it.
    WrongTiles,
}

/// Things of one kind that are worth knowing and do not make the trail another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Remark {
    /// What kind of thing.
    pub kind: RemarkKind,
    /// How many there are.
    pub count: u64,
    /// The first line concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// The last line concerned, where there is more than one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seq: Option<u64>,
    /// The first three, in the order of the lines.
    pub examples: Vec<Occurrence>,
}

/// One thing that is worth knowing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Occurrence {
    /// The line concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// The last line concerned, where there is more than one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seq: Option<u64>,
    /// What, in words.
    pub message: String,
}

impl Remark {
    pub(super) fn new(kind: RemarkKind) -> Self {
        Self { kind, count: 0, seq: None, last_seq: None, examples: Vec::new() }
    }

    /// Counts one more, in any order of lines.
    pub(super) fn add(&mut self, seq: Option<u64>, last_seq: Option<u64>, message: impl Into<String>) {
        let last = self.last_seq.max(self.seq).max(last_seq).max(seq);
        self.count += 1;
        self.seq = self.seq.into_iter().chain(seq).min();
        self.last_seq = last.filter(|_| last != self.seq);
        let place = self.examples.partition_point(|example| example.seq <= seq);
        if place < MOST_EXAMPLES {
            self.examples.insert(place, Occurrence { seq, last_seq, message: message.into() });
            self.examples.truncate(MOST_EXAMPLES);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_is_counted_and_the_first_lines_are_kept() {
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
