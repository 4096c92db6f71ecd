//! Runs a search: reads units, examines lines, merges findings in order.

use std::fs::File;
use std::ops::{ControlFlow, Range};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use auditx_store::{AUDITX_DIR, IndexKey};

use super::check::{self, Continuity};
use super::filter::{BlockSource, Filter, LineStarts};
use super::findings::{Findings, Mark};
use super::needle::Searchers;
use super::pending::Pending;
use super::prune::{Bounds, Extent, State};
use super::span::Span;
use super::text::{Block, Buffer, decompress};
use super::units::{Parts, Piece, Unit, Units, chunks};
use super::{Cursor, Found, Order, Progress, Search, Summary};
use crate::error::Result;
use crate::head::Head;
use crate::identity::{self, FORMAT_WITHOUT_TREE};
use crate::pool::{Output, Pool};
use crate::query::Query;
use crate::signed_leaves::SignedLeaves;
use crate::verify::{VerifyOptions, verify};

/// How many findings of one unit may wait to be merged.
const QUEUE_LEN: usize = 2;

/// How many units per thread may be ahead of the one that is merged.
const UNITS_AHEAD: usize = 4;

/// The buffers and state of a thread.
struct Scratch<S> {
    buffer: Buffer,
    starts: LineStarts,
    /// The size of the previous findings' text.
    usual_len: usize,
    state: S,
}

/// Turns entries into findings.
pub(super) struct Mapper<'m, S> {
    /// Creates a thread's state.
    pub(super) init: &'m (dyn Fn() -> S + Sync),
    /// Handles an entry: appends text, or updates the state.
    pub(super) map: &'m (dyn Fn(&mut S, &Found<'_>, &mut Vec<u8>) + Sync),
    /// Whether findings record the position of every entry.
    pub(super) marks: bool,
}

impl Search {
    /// Merges the findings of this search in order.
    pub(super) fn run<S: Send>(
        &self,
        mapper: &Mapper<'_, S>,
        mut merge: impl FnMut(&Findings, usize) -> ControlFlow<()>,
    ) -> Result<(Vec<S>, Summary)> {
        let mut summary = Summary::default();
        if self.limit == Some(0) {
            return Ok((Vec::new(), summary));
        }
        // Read before the lines, so that the lines that it names are already in the files.
        let head = self.head();
        summary.signed = head.signed();
        let pending = Pending::of(&self.directory).unwrap_or_else(|error| {
            summary.errors.add(error);
            None
        });
        let query = self.source_query();
        let filter =
            self.filter(&query, head.signed(), pending.as_ref().and_then(|pending| pending.last_seq));
        let uses_index = self.uses_index && !self.is_strict && !filter.bounds.is_unbounded();
        let bounds = uses_index.then_some(&filter.bounds);
        let mut units = Units::of(&self.directory, &head, self.order, bounds)?;
        let mut continuity = Continuity::new(&head, self.order, self.after.as_ref());
        summary.is_unsigned = head.signed().is_none()
            && head.doubt.is_none()
            && units.are_numbered()
            && was_never_signed(&self.directory);
        if !summary.is_unsigned
            && let Some(why) = self.reason_to_verify(&head, &units)
        {
            continuity.require_verification(why);
        }
        if let Some(cursor) = &self.after {
            units.skip_to(cursor);
        }
        if let Some(pending) = pending {
            units.add(pending);
        }
        // Computing the total examines every file, so it is computed only to report progress.
        let (total, mut done) = (self.progress.as_ref().map(|_| units.bytes()), 0);
        let marks = mapper.marks || self.limit.is_some();
        let init = || Scratch {
            buffer: Buffer::default(),
            starts: LineStarts::default(),
            usual_len: 0,
            state: (mapper.init)(),
        };
        let read = |scratch: &mut Scratch<S>, unit: Unit, output: &Output<Findings>| {
            let signed_leaves = head.signed_leaves.as_ref();
            let mut reading =
                Reading { filter: &filter, mapper, marks, limit: self.limit, output, signed_leaves };
            reading.read(scratch, unit)
        };
        let deadline = self.time_limit.and_then(|limit| Instant::now().checked_add(limit));
        let mut is_whole = true;
        let merge = |findings: Findings| {
            let left = self.limit.map_or(findings.found, |limit| limit - summary.found);
            let taken = findings.found.min(left);
            summary.found += taken;
            summary.unsigned += findings.unsigned_of(taken);
            findings.seqs.iter().for_each(|seqs| continuity.take(seqs));
            if let Some(reason) = &findings.verify_reason {
                continuity.require_verification(reason.clone());
            }
            if let (Some(Progress(report)), Some(total)) = (&self.progress, total) {
                done += findings.read;
                report(done.min(total), total);
            }
            let flow = merge(&findings, usize::try_from(taken).unwrap_or(usize::MAX));
            let is_full = self.limit == Some(summary.found);
            if is_full {
                let last = taken.checked_sub(1).and_then(|last| usize::try_from(last).ok());
                summary.next = last.and_then(|last| findings.marks.get(last)).map(Mark::cursor);
            } else if flow.is_continue() && deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                summary.next = findings
                    .seqs
                    .last()
                    .and_then(|seqs| Cursor::at_end(seqs, self.order, self.after.as_ref()));
                summary.is_out_of_time = summary.next.is_some();
            }
            findings.errors.into_iter().for_each(|error| summary.errors.add(error));
            let has_ended = is_full || summary.is_out_of_time;
            let flow = if has_ended { ControlFlow::Break(()) } else { flow };
            is_whole = flow.is_continue();
            flow
        };
        let threads = self.threads;
        let pool = Pool { name: "search", threads, waiting: QUEUE_LEN, ahead: threads * UNITS_AHEAD };
        let scratches = pool.run(units, &init, &read, merge)?;
        if let Some(reason) = continuity.finish(is_whole) {
            self.verify(&reason, &mut summary);
        }
        Ok((scratches.into_iter().map(|scratch| scratch.state).collect(), summary))
    }

    fn head(&self) -> Head {
        #[cfg(test)]
        if self.trusts_indexes {
            return Head { trusts_indexes: true, ..Head::default() };
        }
        Head::of(&self.directory)
    }

    /// Why the whole trail must be verified, regardless of what the search reads.
    fn reason_to_verify(&self, head: &Head, units: &Units<'_>) -> Option<String> {
        if self.is_strict {
            return Some("a strict search verifies every line".to_owned());
        }
        if units.has_strays() {
            return Some("a sealed segment has the numbers of lines in the active segment".to_owned());
        }
        let is_unsigned = head.signed().is_none() && units.are_numbered();
        head.doubt.clone().or_else(|| is_unsigned.then(|| "there is no checkpoint".to_owned()))
    }

    /// Verifies the trail to find out what is wrong, if anything: a writer may have been active, or a cache
    /// damaged.
    fn verify(&self, reason: &str, summary: &mut Summary) {
        #[cfg(test)]
        if self.trusts_indexes {
            return;
        }
        match verify(&self.directory, &VerifyOptions::new().threads(self.threads), &mut |_, _| ()) {
            Ok(verification) => summary.fault = verification.fault,
            // Without a trail nothing can be wrong.
            Err(error) if error.is_missing() => {}
            Err(error) => summary.errors.add(error.while_verifying(reason)),
        }
    }

    /// The query, restricted to the entries of the source.
    fn source_query(&self) -> Query {
        self.query.clone().and(self.source.query())
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

/// The reading of a unit.
struct Reading<'r, S> {
    filter: &'r Filter<'r>,
    mapper: &'r Mapper<'r, S>,
    marks: bool,
    limit: Option<u64>,
    output: &'r Output<Findings>,
    /// `None` if the lines cannot be compared with their hashes.
    signed_leaves: Option<&'r SignedLeaves>,
}

impl<S> Reading<'_, S> {
    fn read(&mut self, scratch: &mut Scratch<S>, unit: Unit) -> ControlFlow<()> {
        let mut findings = Findings::default();
        match unit {
            Unit::Piece(piece) => {
                findings.read = piece.parts.len();
                findings.text.reserve(scratch.usual_len);
                // A break at the limit ends the unit like its regular end.
                let _full = self.piece(scratch, &piece, &mut findings);
                scratch.usual_len = findings.text.len();
            }
            Unit::Compressed { path, file, blocks } => {
                self.compressed(scratch, (&path, &file), blocks.as_deref(), &mut findings)?;
            }
            Unit::Skipped(seqs) => findings.seqs.push(seqs),
            Unit::Pending { path, text } => {
                let block = Block { lines: &text, offset: 0 };
                let source = BlockSource { path: &path, is_growing: false, state: State::Unknown };
                let _full =
                    self.examine(&block, source, &mut scratch.starts, &mut scratch.state, &mut findings);
            }
            Unit::Broken(error) => findings.errors.push(error),
        }
        self.output.put(findings)
    }

    /// Reads the chunks or extents of a plain file in order.
    fn piece(&self, scratch: &mut Scratch<S>, piece: &Piece, findings: &mut Findings) -> ControlFlow<()> {
        let order = self.filter.order;
        match &piece.parts {
            Parts::Bytes(bytes) => chunks(bytes.clone(), order)
                .try_for_each(|bytes| self.chunk(scratch, piece, &bytes, findings)),
            Parts::Blocks(blocks) if order == Order::OldestFirst => {
                blocks.iter().try_for_each(|block| self.block(scratch, piece, block, findings))
            }
            Parts::Blocks(blocks) => {
                blocks.iter().rev().try_for_each(|block| self.block(scratch, piece, block, findings))
            }
        }
    }

    fn chunk(
        &self,
        scratch: &mut Scratch<S>,
        piece: &Piece,
        bytes: &Range<u64>,
        findings: &mut Findings,
    ) -> ControlFlow<()> {
        let Scratch { buffer, starts, state, .. } = scratch;
        let source = BlockSource { path: &piece.path, is_growing: piece.is_growing, state: State::Unknown };
        match buffer.read(piece, bytes) {
            Ok(block) => {
                if !piece.is_legacy {
                    self.check_lines(&block, piece.is_growing, findings);
                }
                self.examine(&block, source, starts, state, findings)
            }
            Err(error) => {
                findings.errors.push(error);
                ControlFlow::Break(())
            }
        }
    }

    fn block(
        &self,
        scratch: &mut Scratch<S>,
        piece: &Piece,
        extent: &Extent,
        findings: &mut Findings,
    ) -> ControlFlow<()> {
        let Scratch { buffer, starts, state, .. } = scratch;
        let source = BlockSource { path: &piece.path, is_growing: false, state: extent.state };
        match buffer.read_block(piece, extent.begin, extent.end) {
            Ok(block) => {
                findings.check(check::block(block.lines, extent.crc, &extent.seqs));
                self.examine(&block, source, starts, state, findings)
            }
            Err(error) => {
                findings.errors.push(error);
                ControlFlow::Break(())
            }
        }
    }

    /// Compares the whole lines of a block with their hashes.
    fn check_lines(&self, block: &Block<'_>, is_growing: bool, findings: &mut Findings) {
        let Some(signed_leaves) = self.signed_leaves else { return };
        let whole = memchr::memrchr(b'\n', block.lines).map_or(0, |newline| newline + 1);
        findings.check(check::lines(&block.lines[..whole], signed_leaves));
        if whole < block.lines.len() && !is_growing {
            findings.check(Err("a segment ends in the middle of a line".to_owned()));
        }
    }

    /// Reads a compressed segment. Breaks if the search was stopped.
    fn compressed(
        &self,
        scratch: &mut Scratch<S>,
        (path, file): (&Arc<Path>, &File),
        blocks: Option<&[Extent]>,
        last: &mut Findings,
    ) -> ControlFlow<()> {
        let mut flow = ControlFlow::Continue(());
        let outcome = decompress(path, file, self.filter.order, blocks, &mut |block, extent| {
            let mut findings = Findings::default();
            let state = match extent {
                Some(extent) if extent.may_match => {
                    findings.check(check::block(block.lines, extent.crc, &extent.seqs));
                    extent.state
                }
                Some(extent) => {
                    findings.seqs.push(extent.seqs.clone());
                    flow = self.output.put(findings);
                    return flow;
                }
                None => {
                    self.check_lines(block, false, &mut findings);
                    State::Unknown
                }
            };
            let source = BlockSource { path, is_growing: false, state };
            let full = self.examine(block, source, &mut scratch.starts, &mut scratch.state, &mut findings);
            flow = self.output.put(findings);
            full?;
            flow
        });
        flow?;
        last.errors.extend(outcome.err());
        last.read = file.metadata().map_or(0, |metadata| metadata.len());
        ControlFlow::Continue(())
    }

    /// Examines the lines of a block. Breaks when these findings alone reach the limit.
    fn examine(
        &self,
        block: &Block<'_>,
        source: BlockSource<'_>,
        starts: &mut LineStarts,
        state: &mut S,
        findings: &mut Findings,
    ) -> ControlFlow<()> {
        let Findings { text, marks, found, unsigned, errors, .. } = findings;
        self.filter.examine(block, source, starts, errors, &mut |entry| {
            (self.mapper.map)(state, entry, text);
            *found += 1;
            *unsigned += u64::from(entry.is_unsigned);
            if self.marks {
                marks.push(Mark {
                    end: text.len(),
                    seq: entry.row.seq(),
                    path: source.path.clone(),
                    offset: entry.offset,
                    is_unsigned: entry.is_unsigned,
                });
            }
            if Some(*found) == self.limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
    }
}

/// Whether the directory was never signed: lines copied without `.auditx`, or a trail of format 1.
fn was_never_signed(directory: &Path) -> bool {
    !directory.join(AUDITX_DIR).exists()
        || identity::read(directory).is_some_and(|identity| identity.format == FORMAT_WITHOUT_TREE)
}
