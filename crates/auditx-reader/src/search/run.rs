//! A search under way: units are read, lines examined, findings merged in order.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use auditx_core::IndexKey;

use super::crew::{self, Findings, Mark, Tray};
use super::filter::{Begins, Filter, Origin};
use super::needle::Searchers;
use super::prune::{Bounds, State, Stretch};
use super::span::Span;
use super::text::{Block, Room, decompress};
use super::units::{Piece, Unit, Units};
use super::waiting::Waiting;
use super::{Found, Order, Search, Source, Summary, Tell};
use crate::error::Result;

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
        let waiting = match self.source {
            Source::Audit => Waiting::of(&self.directory),
            Source::Security => Ok(None),
        };
        let waiting = waiting.unwrap_or_else(|error| {
            summary.complaints.add(error);
            None
        });
        let filter = self.filter(waiting.as_ref().and_then(|waiting| waiting.last_seq));
        let asks_index = self.uses_index && !self.is_strict && !filter.bounds.are_none();
        let bounds = asks_index.then_some(&filter.bounds);
        let mut units = Units::of(&self.directory, self.source, self.order, bounds)?;
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
            let mut reading = Reading { filter: &filter, making, marks, limit: self.limit, tray };
            // Where nobody wants more it is done as well.
            let _done = reading.read(bench, unit);
        };
        let merge = |findings: Findings| {
            let room = self.limit.map_or(findings.found, |limit| limit - summary.found);
            let taken = findings.found.min(room);
            summary.found += taken;
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
            if is_full { ControlFlow::Break(()) } else { flow }
        };
        let benches = crew::run(units, self.threads, &begin, &read, merge);
        Ok((benches.into_iter().map(|bench| bench.state).collect(), summary))
    }

    fn filter(&self, last_seq: Option<u64>) -> Filter<'_> {
        let plan = self.query.plan();
        let later = |one: Option<_>, other: Option<_>| one.into_iter().chain(other).max();
        let earlier = |one: Option<_>, other: Option<_>| one.into_iter().chain(other).min();
        Filter {
            query: &self.query,
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
}

impl<S> Reading<'_, S> {
    fn read(&mut self, bench: &mut Bench<S>, unit: Unit) -> ControlFlow<()> {
        let mut findings = Findings::default();
        match unit {
            Unit::Piece(piece) => {
                findings.read = piece.end - piece.begin;
                findings.text.reserve(bench.usual_len);
                for stretch in piece.stretches(self.filter.order) {
                    // At its limit the unit ends as if it were done.
                    if self.stretch(bench, &stretch, &mut findings).is_break() {
                        break;
                    }
                }
                bench.usual_len = findings.text.len();
                self.tray.put(findings)
            }
            Unit::Compressed { path, file, stretches } => {
                let mut flow = ControlFlow::Continue(());
                let outcome = decompress(&path, &file, self.filter.order, &mut |block| {
                    let mut findings = Findings::default();
                    let full = self.parts(block, stretches.as_deref(), &path, bench, &mut findings);
                    flow = self.tray.put(findings);
                    full?;
                    flow
                });
                flow?;
                findings.complaints.extend(outcome.err());
                findings.read = file.metadata().map_or(0, |metadata| metadata.len());
                self.tray.put(findings)
            }
            Unit::Waiting { path, text } => {
                let block = Block { lines: &text, offset: 0 };
                let origin = Origin { path: &path, grows: false, state: State::Unknown };
                let _full = self.examine(&block, origin, &mut bench.begins, &mut bench.state, &mut findings);
                self.tray.put(findings)
            }
            Unit::Broken(error) => {
                findings.complaints.push(error);
                self.tray.put(findings)
            }
        }
    }

    fn stretch(&self, bench: &mut Bench<S>, piece: &Piece, findings: &mut Findings) -> ControlFlow<()> {
        let Bench { room, begins, state, .. } = bench;
        let origin = Origin { path: &piece.path, grows: piece.grows, state: piece.state };
        match room.read(piece) {
            Ok(block) => self.examine(&block, origin, begins, state, findings),
            Err(error) => {
                findings.complaints.push(error);
                ControlFlow::Break(())
            }
        }
    }

    /// The parts of a decompressed block that are wanted.
    fn parts(
        &self,
        block: &Block<'_>,
        stretches: Option<&[Stretch]>,
        path: &Arc<Path>,
        bench: &mut Bench<S>,
        findings: &mut Findings,
    ) -> ControlFlow<()> {
        let mut examine = |block: &Block<'_>, state| {
            let origin = Origin { path, grows: false, state };
            self.examine(block, origin, &mut bench.begins, &mut bench.state, findings)
        };
        let Some(stretches) = stretches else { return examine(block, State::Unknown) };
        let mut part = |stretch: &Stretch| match block.within(stretch.begin, stretch.end) {
            Some(part) => examine(&part, stretch.state),
            None => ControlFlow::Continue(()),
        };
        match self.filter.order {
            Order::OldestFirst => stretches.iter().try_for_each(&mut part),
            Order::NewestFirst => stretches.iter().rev().try_for_each(&mut part),
        }
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
        let Findings { text, marks, found, complaints, .. } = findings;
        self.filter.examine(block, origin, begins, complaints, &mut |entry| {
            (self.making.make)(state, entry, text);
            *found += 1;
            if self.marks {
                marks.push(Mark {
                    end: text.len(),
                    seq: entry.row.seq(),
                    path: origin.path.clone(),
                    offset: entry.offset,
                });
            }
            if Some(*found) == self.limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
    }
}
