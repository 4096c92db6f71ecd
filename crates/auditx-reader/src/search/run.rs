//! A search under way: units are read, lines examined, findings merged in order.

use std::fs::File;
use std::ops::{ControlFlow, Range};
use std::path::Path;
use std::sync::Arc;

use auditx_core::{AUDITX_DIR, Field, IndexKey};

use super::check::{self, Checked, Continuity};
use super::crew::{self, Findings, Mark, Tray};
use super::filter::{Begins, Filter, Origin};
use super::needle::Searchers;
use super::prune::{Bounds, State, Stretch};
use super::span::Span;
use super::text::{Block, Room, decompress};
use super::units::{Parts, Piece, Unit, Units, stretches};
use super::waiting::Waiting;
use super::{Found, Order, Search, Source, Summary, Tell};
use crate::error::Result;
use crate::head::Head;
use crate::identity::{self, FORMAT_WITHOUT_TREE};
use crate::ledger::Ledger;
use crate::query::Query;
use crate::verify::{VerifyOptions, verify};

/// What a thread works with.
struct Bench<S> {
    room: Room,
    begins: Begins,
    /// What the findings before needed.
    usual_len: usize,
    state: S,
}

/// How entries become findings.
pub(super) struct Making<'m, S> {
    /// A thread's own state.
    pub(super) begin: &'m (dyn Fn() -> S + Sync),
    /// What is made of an entry: text, or a change of the state.
    pub(super) make: &'m (dyn Fn(&mut S, &Found<'_>, &mut Vec<u8>) + Sync),
    /// Whether the place of every entry is told.
    pub(super) marks: bool,
}

impl Search {
    /// Merges the findings of this search in order.
    pub(super) fn run<S: Send>(
        &self,
        making: &Making<'_, S>,
        mut merge: impl FnMut(&Findings, usize) -> ControlFlow<()>,
    ) -> Result<(Vec<S>, Summary)> {
        let mut summary = Summary::default();
        if self.limit == Some(0) {
            return Ok((Vec::new(), summary));
        }
        // Before the lines: what it names is then on the disk.
        let head = self.head();
        summary.signed = head.signed;
        let waiting = Waiting::of(&self.directory).unwrap_or_else(|error| {
            summary.complaints.add(error);
            None
        });
        let query = self.wanted();
        let filter = self.filter(&query, head.signed, waiting.as_ref().and_then(|waiting| waiting.last_seq));
        let asks_index = self.uses_index && !self.is_strict && !filter.bounds.are_none();
        let bounds = asks_index.then_some(&filter.bounds);
        let mut units = Units::of(&self.directory, &head, self.order, bounds)?;
        let mut continuity = Continuity::new(&head, self.order, self.after.as_ref());
        summary.is_unsigned = head.signed.is_none()
            && head.doubt.is_none()
            && units.are_numbered()
            && makes_no_claim(&self.directory);
        if !summary.is_unsigned
            && let Some(why) = self.reason_to_verify(&head, &units)
        {
            continuity.doubt(why);
        }
        if let Some(cursor) = &self.after {
            units.skip_to(cursor);
        }
        if let Some(waiting) = waiting {
            units.add(waiting);
        }
        // Each file is examined for it.
        let (total, mut done) = (self.progress.as_ref().map(|_| units.bytes()), 0);
        let marks = making.marks || self.limit.is_some();
        let begin = || Bench {
            room: Room::default(),
            begins: Begins::default(),
            usual_len: 0,
            state: (making.begin)(),
        };
        let read = |bench: &mut Bench<S>, unit: Unit, tray: &Tray<'_>| {
            let ledger = head.ledger.as_ref();
            let mut reading = Reading { filter: &filter, making, marks, limit: self.limit, tray, ledger };
            // Where nobody wants more it is done as well.
            let _done = reading.read(bench, unit);
        };
        let mut is_whole = true;
        let merge = |findings: Findings| {
            let room = self.limit.map_or(findings.found, |limit| limit - summary.found);
            let taken = findings.found.min(room);
            summary.found += taken;
            summary.unsigned += findings.unsigned_of(taken);
            findings.seqs.iter().for_each(|seqs| continuity.take(seqs));
            if let Some(doubt) = &findings.doubt {
                continuity.doubt(doubt.clone());
            }
            if let (Some(Tell(tell)), Some(total)) = (&self.progress, total) {
                done += findings.read;
                tell(done.min(total), total);
            }
            let flow = merge(&findings, usize::try_from(taken).unwrap_or(usize::MAX));
            let is_full = self.limit == Some(summary.found);
            if is_full {
                let last = taken.checked_sub(1).and_then(|last| usize::try_from(last).ok());
                summary.next = last.and_then(|last| findings.marks.get(last)).map(Mark::cursor);
            }
            findings.complaints.into_iter().for_each(|error| summary.complaints.add(error));
            let flow = if is_full { ControlFlow::Break(()) } else { flow };
            is_whole = flow.is_continue();
            flow
        };
        let benches = crew::run(units, self.threads, &begin, &read, merge);
        if let Some(doubt) = continuity.finish(is_whole) {
            self.verify(&doubt, &mut summary);
        }
        Ok((benches.into_iter().map(|bench| bench.state).collect(), summary))
    }

    fn head(&self) -> Head {
        #[cfg(test)]
        if self.trusts_indexes {
            return Head { trusts_indexes: true, ..Head::default() };
        }
        Head::of(&self.directory)
    }

    /// Why the whole trail must be verified whatever the search reads.
    fn reason_to_verify(&self, head: &Head, units: &Units<'_>) -> Option<String> {
        if self.is_strict {
            return Some("every line is to be verified".to_owned());
        }
        if units.has_strays() {
            return Some("a segment claims lines of the active one".to_owned());
        }
        let is_unsigned = head.signed.is_none() && units.are_numbered();
        head.doubt.clone().or_else(|| is_unsigned.then(|| "there is no checkpoint".to_owned()))
    }

    /// Reads every line to say what a doubt comes to. A doubt may be unfounded: a writer was at work, a cache is damaged.
    fn verify(&self, doubt: &str, summary: &mut Summary) {
        #[cfg(test)]
        if self.trusts_indexes {
            return;
        }
        match verify(&self.directory, &VerifyOptions::new().threads(self.threads), &mut |_, _| ()) {
            Ok(verification) => summary.fault = verification.fault,
            // Nothing is there that could be wrong.
            Err(error) if error.is_missing() => {}
            Err(error) => summary.complaints.add(error.doubting(doubt)),
        }
    }

    /// The query, of the entries that are asked.
    fn wanted(&self) -> Query {
        match self.source {
            Source::Audit => self.query.clone(),
            Source::Security => self.query.clone().and(Query::is(Field::Level, ["SECURITY", "CRITICAL"])),
        }
    }

    fn filter<'q>(&'q self, query: &'q Query, signed: Option<u64>, last_seq: Option<u64>) -> Filter<'q> {
        let plan = query.plan();
        let later = |one: Option<_>, other: Option<_>| one.into_iter().chain(other).max();
        let earlier = |one: Option<_>, other: Option<_>| one.into_iter().chain(other).min();
        Filter {
            query,
            signed,
            bounds: Bounds {
                span: Span::new(later(self.since, plan.since), earlier(self.until, plan.until)),
                keys: plan
                    .keys
                    .and_then(|keys| keys.iter().map(|(field, value)| IndexKey::of(*field, value)).collect()),
            },
            searchers: Searchers::of(&plan.needle),
            order: self.order,
            after: self.after.as_ref(),
            is_strict: self.is_strict,
            last_seq,
        }
    }
}

/// One unit being read.
struct Reading<'r, S> {
    filter: &'r Filter<'r>,
    making: &'r Making<'r, S>,
    marks: bool,
    limit: Option<u64>,
    tray: &'r Tray<'r>,
    /// `None` if the lines cannot be compared with what was signed.
    ledger: Option<&'r Ledger>,
}

impl<S> Reading<'_, S> {
    fn read(&mut self, bench: &mut Bench<S>, unit: Unit) -> ControlFlow<()> {
        let mut findings = Findings::default();
        match unit {
            Unit::Piece(piece) => {
                findings.read = piece.parts.len();
                findings.text.reserve(bench.usual_len);
                // At its limit the unit ends as if it were done.
                let _full = self.piece(bench, &piece, &mut findings);
                bench.usual_len = findings.text.len();
            }
            Unit::Compressed { path, file, blocks } => {
                self.compressed(bench, (&path, &file), blocks.as_deref(), &mut findings)?;
            }
            Unit::Skipped(seqs) => findings.seqs.push(seqs),
            Unit::Waiting { path, text } => {
                let block = Block { lines: &text, offset: 0 };
                let origin = Origin { path: &path, grows: false, state: State::Unknown };
                let _full = self.examine(&block, origin, &mut bench.begins, &mut bench.state, &mut findings);
            }
            Unit::Broken(error) => findings.complaints.push(error),
        }
        self.tray.put(findings)
    }

    /// The stretches of a plain file, one after the other.
    fn piece(&self, bench: &mut Bench<S>, piece: &Piece, findings: &mut Findings) -> ControlFlow<()> {
        let order = self.filter.order;
        match &piece.parts {
            Parts::Bytes(bytes) => stretches(bytes.clone(), order)
                .try_for_each(|bytes| self.stretch(bench, piece, &bytes, findings)),
            Parts::Blocks(blocks) if order == Order::OldestFirst => {
                blocks.iter().try_for_each(|block| self.block(bench, piece, block, findings))
            }
            Parts::Blocks(blocks) => {
                blocks.iter().rev().try_for_each(|block| self.block(bench, piece, block, findings))
            }
        }
    }

    fn stretch(
        &self,
        bench: &mut Bench<S>,
        piece: &Piece,
        bytes: &Range<u64>,
        findings: &mut Findings,
    ) -> ControlFlow<()> {
        let Bench { room, begins, state, .. } = bench;
        let origin = Origin { path: &piece.path, grows: piece.grows, state: State::Unknown };
        match room.read(piece, bytes) {
            Ok(block) => {
                if !piece.is_legacy {
                    self.check_lines(&block, piece.grows, findings);
                }
                self.examine(&block, origin, begins, state, findings)
            }
            Err(error) => {
                findings.complaints.push(error);
                ControlFlow::Break(())
            }
        }
    }

    fn block(
        &self,
        bench: &mut Bench<S>,
        piece: &Piece,
        wanted: &Stretch,
        findings: &mut Findings,
    ) -> ControlFlow<()> {
        let Bench { room, begins, state, .. } = bench;
        let origin = Origin { path: &piece.path, grows: false, state: wanted.state };
        match room.read_block(piece, wanted.begin, wanted.end) {
            Ok(block) => {
                findings.check(check::block(block.lines, wanted.crc, &wanted.seqs));
                self.examine(&block, origin, begins, state, findings)
            }
            Err(error) => {
                findings.complaints.push(error);
                ControlFlow::Break(())
            }
        }
    }

    /// Compares the whole lines of a stretch with what was signed.
    fn check_lines(&self, block: &Block<'_>, grows: bool, findings: &mut Findings) {
        let Some(ledger) = self.ledger else { return };
        let whole = memchr::memrchr(b'\n', block.lines).map_or(0, |newline| newline + 1);
        findings.check(check::lines(&block.lines[..whole], ledger));
        if whole < block.lines.len() && !grows {
            findings.check(Err("a segment ends in the middle of a line".to_owned()));
        }
    }

    /// Breaks off if nobody wants more.
    fn compressed(
        &self,
        bench: &mut Bench<S>,
        (path, file): (&Arc<Path>, &File),
        blocks: Option<&[Stretch]>,
        last: &mut Findings,
    ) -> ControlFlow<()> {
        let mut flow = ControlFlow::Continue(());
        let outcome = decompress(path, file, self.filter.order, blocks, &mut |block, known| {
            let mut findings = Findings::default();
            let state = match known {
                Some(known) if known.is_wanted => {
                    findings.check(check::block(block.lines, known.crc, &known.seqs));
                    known.state
                }
                Some(known) => {
                    findings.seqs.push(known.seqs.clone());
                    flow = self.tray.put(findings);
                    return flow;
                }
                None => {
                    self.check_lines(block, false, &mut findings);
                    State::Unknown
                }
            };
            let origin = Origin { path, grows: false, state };
            let full = self.examine(block, origin, &mut bench.begins, &mut bench.state, &mut findings);
            flow = self.tray.put(findings);
            full?;
            flow
        });
        flow?;
        last.complaints.extend(outcome.err());
        last.read = file.metadata().map_or(0, |metadata| metadata.len());
        ControlFlow::Continue(())
    }

    /// Breaks off where the findings alone are as many as are wanted.
    fn examine(
        &self,
        block: &Block<'_>,
        origin: Origin<'_>,
        begins: &mut Begins,
        state: &mut S,
        findings: &mut Findings,
    ) -> ControlFlow<()> {
        let Findings { text, marks, found, unsigned, complaints, .. } = findings;
        self.filter.examine(block, origin, begins, complaints, &mut |entry| {
            (self.making.make)(state, entry, text);
            *found += 1;
            *unsigned += u64::from(entry.is_unsigned);
            if self.marks {
                marks.push(Mark {
                    end: text.len(),
                    seq: entry.row.seq(),
                    path: origin.path.clone(),
                    offset: entry.offset,
                    is_unsigned: entry.is_unsigned,
                });
            }
            if Some(*found) == self.limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
    }
}

/// Whether a directory is not one that was ever signed: lines that somebody copied without `.auditx`, or a trail of format 1.
fn makes_no_claim(directory: &Path) -> bool {
    !directory.join(AUDITX_DIR).exists()
        || identity::read(directory).is_some_and(|identity| identity.format == FORMAT_WITHOUT_TREE)
}

impl Findings {
    /// How many of the first entries are not signed.
    fn unsigned_of(&self, taken: u64) -> u64 {
        if taken == self.found {
            return self.unsigned;
        }
        let taken = usize::try_from(taken).unwrap_or(usize::MAX);
        self.marks.iter().take(taken).filter(|mark| mark.is_unsigned).count() as u64
    }

    fn check(&mut self, checked: Checked) {
        match checked {
            Ok(seqs) => self.seqs.extend(seqs),
            Err(why) => drop(self.doubt.get_or_insert(why)),
        }
    }
}
