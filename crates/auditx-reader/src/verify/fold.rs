//! Puts the pieces of a trail together in order, on one thread.
//!
//! The result is a [`Walked`]: the roots at the requested sizes and everything that the trail's control
//! records say. The fold judges nothing, except that lines and segments follow each other; it stops at the
//! first that does not.

use std::collections::{BTreeMap, VecDeque};
use std::ops::{ControlFlow, RangeInclusive};

use auditx_format::control_record::StoredRecord;
use auditx_tlog::{CompactRange, Hash, SignedCheckpoint, VerifierKey};

use super::files::SegmentFile;
use super::heartbeats::Heartbeats;
use super::projection::{Difference, Projection};
use super::remark::Remark;
use super::scan::{KnownKeys, Notice, Piece, What};
use super::stamped::StampTimes;
use super::subtrees::Subtrees;
use super::timeline::Rotation;
use super::workers::{Breakage, Report, Shared};
use crate::error::Error;

/// Lines whose hashes are kept. A recorded checkpoint names a slightly smaller size than its own line number,
/// so its root is usually among them.
const KEPT_LINES: usize = 128 * 1024;

/// The location of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Location {
    pub(super) seq: u64,
    pub(super) segment: usize,
    pub(super) offset: u64,
}

/// The line at which the fold stopped.
#[derive(Debug)]
pub(super) struct Stop {
    /// The expected line and where it should start.
    pub(super) location: Location,
    /// Set if the segment cannot be read.
    pub(super) breakage: Option<Breakage>,
}

/// A checkpoint that the trail records.
#[derive(Debug)]
pub(super) struct Claimed {
    pub(super) location: Location,
    pub(super) size: u64,
    /// Whether the tree had that root; `None` if that is not known yet.
    pub(super) is_true: Option<bool>,
    root: Hash,
    /// Bits of those keys in `signatories` that signed it.
    signers: u64,
    /// Kept if a key that was not known yet may have signed it.
    pub(super) note: Option<SignedCheckpoint>,
}

/// The lines of a trail and what its control records say.
#[derive(Debug, Default)]
pub(super) struct Walked {
    /// The number of the first line; `None` before any line was read.
    pub(super) first: Option<u64>,
    /// The number after the last line.
    pub(super) next: u64,
    pub(super) roots: BTreeMap<u64, Hash>,
    /// The tree of the lines before the first one; `None` if it is not known.
    pub(super) begin: Option<CompactRange>,
    /// The tree of the lines before the last segment.
    pub(super) before_last: Option<CompactRange>,
    pub(super) stop: Option<Stop>,
    pub(super) torn_bytes: u64,
    pub(super) is_vanished: bool,
    pub(super) error: Option<Error>,
    pub(super) genesis: Option<(String, Option<VerifierKey>)>,
    pub(super) rotations: Vec<Rotation>,
    pub(super) claims: Vec<Claimed>,
    /// The stubs of erased lines, with their hashes.
    pub(super) stubs: Vec<(Location, Hash)>,
    /// Erasure records: the line of the record, the erased line, its hash.
    pub(super) erasures: Vec<(u64, u64, Hash)>,
    /// Records of lost lines: the line of the record, the lines lost.
    pub(super) losses: Vec<(u64, RangeInclusive<u64>)>,
    /// The last record of the lines retired before the first line: its line, and the tree.
    pub(super) retirement: Option<(u64, CompactRange)>,
    pub(super) unreadable: Option<(Location, &'static str)>,
    pub(super) cache_differs_at: Option<u64>,
    /// How `security.jsonl` differs, if it was compared.
    pub(super) projection: Option<Difference>,
    pub(super) found: Vec<Remark>,
    /// The lines whose times do not agree with time stamps.
    pub(super) beside_stamps: Vec<Remark>,
    /// The keys that signed recorded checkpoints, in the order of the bits.
    signatories: Vec<VerifierKey>,
}

impl Walked {
    /// Whether a signed record says that this line was lost.
    pub(super) fn is_lost(&self, seq: u64, signed: u64) -> bool {
        self.losses.iter().any(|(at, range)| range.contains(&seq) && *at > *range.end() && *at < signed)
    }

    /// Whether this key signed the recorded checkpoint.
    pub(super) fn is_signer(&self, claim: &Claimed, key: &VerifierKey) -> bool {
        let bit = self.signatories.iter().position(|known| known == key);
        bit.is_some_and(|bit| bit < 64 && claim.signers >> bit & 1 == 1)
            || claim.note.as_ref().is_some_and(|note| super::timeline::is_signer(note, key))
    }
}

/// Folds reports in order.
pub(super) struct Fold<'a> {
    files: &'a [SegmentFile],
    keys: &'a KnownKeys,
    /// Sizes whose roots are requested, ascending; those passed are removed.
    wanted: VecDeque<u64>,
    tree: CompactRange,
    /// The last pieces, each with the tree before it.
    kept: VecDeque<(CompactRange, Subtrees)>,
    kept_lines: usize,
    heartbeats: Heartbeats,
    stamp_times: StampTimes,
    projection: Option<Projection>,
    walked: Walked,
}

impl<'a> Fold<'a> {
    /// `begin` is the tree of the retired lines, if it is known.
    pub(super) fn new(
        Shared { files, keys, stamped, .. }: Shared<'a>,
        wanted: impl IntoIterator<Item = u64>,
        begin: Option<CompactRange>,
        projection: Option<Projection>,
    ) -> Self {
        Self {
            files,
            keys,
            wanted: wanted.into_iter().collect(),
            tree: CompactRange::new(0),
            kept: VecDeque::new(),
            kept_lines: 0,
            heartbeats: Heartbeats::default(),
            stamp_times: StampTimes::new(stamped),
            projection,
            walked: Walked { begin, ..Walked::default() },
        }
    }

    pub(super) fn finish(self) -> Walked {
        let Self { heartbeats, stamp_times, projection, mut walked, .. } = self;
        walked.found = heartbeats.finish(walked.next);
        walked.beside_stamps = stamp_times.finish(walked.next);
        walked.projection = projection.map(|projection| projection.finish(walked.next));
        walked
    }

    /// Adds one report. Returns `Break` if the fold stopped.
    pub(super) fn take(&mut self, report: Report) -> ControlFlow<()> {
        match report {
            Report::Lines(piece) => return self.piece(*piece),
            Report::Broken(breakage) => {
                let (segment, offset) = (breakage.segment, breakage.offset);
                let seq = if self.walked.first.is_some() || offset > 0 {
                    self.walked.next
                } else {
                    self.files[segment].named().unwrap_or(0)
                };
                let location = Location { seq, segment, offset };
                self.walked.stop = Some(Stop { location, breakage: Some(breakage) });
            }
            Report::Vanished => self.walked.is_vanished = true,
            Report::Failed(error) => self.walked.error = Some(error),
        }
        ControlFlow::Break(())
    }

    fn piece(&mut self, piece: Piece) -> ControlFlow<()> {
        let Piece { segment, offset, .. } = piece;
        if let Some(number) = piece.number {
            let named = self.files[segment].named().filter(|_| offset == 0).unwrap_or(number);
            let expected = match self.walked.first {
                Some(_) => self.walked.next,
                None => named.min(number),
            };
            if number != expected || named != expected {
                return self.stop(expected, segment, offset);
            }
            if self.walked.first.is_none() {
                self.begin(number);
            }
            if offset == 0 {
                self.walked.before_last = Some(self.tree.clone());
            }
            if let Some(projection) = &mut self.projection {
                let first = self.walked.first.unwrap_or(0);
                piece.sensitive.iter().for_each(|(seq, hash)| projection.take(*seq, *hash, first));
            }
            self.walked.cache_differs_at = self.walked.cache_differs_at.or(piece.cache_differs_at);
            self.grow(piece.subtrees);
            self.times(&piece.notices, &piece.seconds);
            for notice in piece.notices {
                self.notice(segment, notice);
            }
        }
        let end = match (piece.stop, piece.rest) {
            (None, 0) => return ControlFlow::Continue(()),
            (None, rest) if self.files[segment].is_active() => {
                self.walked.torn_bytes = rest;
                return ControlFlow::Continue(());
            }
            (stop, _) => stop.unwrap_or(offset),
        };
        let expected = match self.walked.first {
            Some(_) => self.walked.next,
            None => self.files[segment].named().unwrap_or(0),
        };
        self.stop(expected, segment, end)
    }

    fn stop(&mut self, seq: u64, segment: usize, offset: u64) -> ControlFlow<()> {
        self.walked.stop = Some(Stop { location: Location { seq, segment, offset }, breakage: None });
        ControlFlow::Break(())
    }

    /// Starts with the first line of the trail.
    fn begin(&mut self, number: u64) {
        self.walked.begin = self.walked.begin.take().filter(|tree| tree.end() == number);
        if number == 0 {
            self.walked.begin = Some(CompactRange::new(0));
        }
        self.tree = self.walked.begin.clone().unwrap_or_else(|| CompactRange::new(number));
        (self.walked.first, self.walked.next) = (Some(number), number);
        // Roots of smaller sizes can no longer be computed.
        self.wanted.retain(|size| *size >= number);
    }

    fn grow(&mut self, subtrees: Subtrees) {
        let end = subtrees.end();
        while let Some(&size) = self.wanted.front()
            && size <= end
        {
            self.wanted.pop_front();
            if let Some(root) = tree_at(&self.tree, &subtrees, size).root() {
                self.walked.roots.insert(size, root);
            }
        }
        let before = self.tree.clone();
        self.tree = tree_at(&before, &subtrees, end);
        self.walked.next = end;
        self.kept_lines += subtrees.leaves().len();
        self.kept.push_back((before, subtrees));
        while self.kept_lines > KEPT_LINES
            && let Some((_, oldest)) = self.kept.pop_front()
        {
            self.kept_lines -= oldest.leaves().len();
        }
    }

    fn times(&mut self, notices: &[Notice], seconds: &[(u64, u64)]) {
        let opening = |notice: &Notice| match &notice.what {
            What::Record(record) => match **record {
                StoredRecord::Open { heartbeat, .. } => Some((notice.seq, heartbeat)),
                _ => None,
            },
            What::Checkpoint(..) | What::Stub(_) => None,
        };
        let mut opened = notices.iter().filter_map(opening).peekable();
        for (seq, second) in seconds {
            let mut is_opening = false;
            while let Some((at, heartbeat)) = opened.next_if(|(at, _)| at <= seq) {
                self.heartbeats.open(heartbeat);
                is_opening = at == *seq;
            }
            self.heartbeats.add(*seq, *second, is_opening);
            self.stamp_times.add(*seq, *second);
        }
        opened.for_each(|(_, heartbeat)| self.heartbeats.open(heartbeat));
    }

    fn notice(&mut self, segment: usize, Notice { seq, offset, what }: Notice) {
        let location = Location { seq, segment, offset };
        let record = match what {
            What::Stub(hash) => return self.walked.stubs.push((location, hash)),
            What::Checkpoint(checkpoint, signers) => return self.claim(location, *checkpoint, &signers),
            What::Record(record) => *record,
        };
        match record {
            StoredRecord::Genesis { log_name, key } if seq == 0 => {
                key.iter().for_each(|key| self.keys.add(key));
                self.walked.genesis = Some((log_name, key));
            }
            StoredRecord::Key { old, new } => {
                self.keys.add(&new);
                self.walked.rotations.push(Rotation { seq, old, new, is_completed: false });
            }
            StoredRecord::Erased { seq: erased, hash } => self.walked.erasures.push((seq, erased, hash)),
            StoredRecord::Lost { ranges } => {
                let lost = ranges.into_iter().map(|(first, last)| (seq, first..=last));
                self.walked.losses.extend(lost);
            }
            StoredRecord::Retired { frontier } if Some(frontier.end()) == self.walked.first => {
                self.walked.retirement = Some((seq, frontier));
            }
            StoredRecord::Unreadable(what) => {
                self.walked.unreadable.get_or_insert((location, what));
            }
            _ => {}
        }
    }

    fn claim(&mut self, location: Location, note: SignedCheckpoint, signers: &[VerifierKey]) {
        if self.walked.first.is_some_and(|first| note.size() < first) {
            // The lines it names were retired.
            return;
        }
        let is_true = self.had_root(note.size(), note.root());
        let mut mask = 0;
        for key in signers {
            mask |= self.bit_of(key);
        }
        let current = self.walked.rotations.last().map(|rotation| rotation.new.clone());
        let current = current.or_else(|| self.walked.genesis.as_ref()?.1.clone());
        // A thread that reads ahead may not know a key yet, and the result must not depend on timing.
        let is_sure = current.is_some_and(|key| signers.contains(&key) && self.bit_of(&key) != 0)
            && self.walked.rotations.iter().all(|rotation| rotation.boundary() != note.size());
        self.walked.claims.push(Claimed {
            location,
            size: note.size(),
            root: *note.root(),
            is_true,
            signers: mask,
            note: (!is_sure).then_some(note),
        });
    }

    /// Whether the tree of this size had this root; `None` if the hashes of those lines are no longer kept.
    fn had_root(&self, size: u64, root: &Hash) -> Option<bool> {
        let known = self.kept.iter().rfind(|(before, _)| before.end() <= size)?;
        tree_at(&known.0, &known.1, size).root().map(|had| had == *root)
    }

    /// The bit of this key in [`Claimed::signers`]; 0 if there are too many keys.
    fn bit_of(&mut self, key: &VerifierKey) -> u64 {
        let signatories = &mut self.walked.signatories;
        let bit = signatories.iter().position(|known| known == key).unwrap_or_else(|| {
            signatories.push(key.clone());
            signatories.len() - 1
        });
        u32::try_from(bit).ok().and_then(|bit| 1_u64.checked_shl(bit)).unwrap_or(0)
    }
}

/// The tree at `size`, which is `before` and the first of these subtrees.
fn tree_at(before: &CompactRange, subtrees: &Subtrees, size: u64) -> CompactRange {
    let mut tree = before.clone();
    for (level, hash) in subtrees.cover(size) {
        tree.push_node(level, hash, &mut |_, _, _| ());
    }
    tree
}

impl Walked {
    /// Checks the recorded checkpoints whose roots were not known at first, once their sizes were requested.
    pub(super) fn check_pending_claims(&mut self) {
        for claim in self.claims.iter_mut().filter(|claim| claim.is_true.is_none()) {
            claim.is_true = self.roots.get(&claim.size).map(|root| *root == claim.root);
        }
    }
}
