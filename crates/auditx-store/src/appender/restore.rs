//! Compares segments with their names, and restores what another program renamed, removed, replaced or
//! truncated.
//!
//! Every line that was written has its hash in the tree. So wherever its bytes are found (in the open file,
//! whatever its name is now; in the journal; among the control records that this process wrote), they are the
//! line if the hash matches, and nothing else can be mistaken for it. A line that is found nowhere is
//! replaced by the stub that holds its hash. Then the trail continues, every other line can still be proved,
//! and a control record names the lost one.

use std::io;
use std::ops::RangeInclusive;
use std::sync::Arc;

use auditx_format::control_record::{ControlRecord, Restoration};
use auditx_format::{Error, Result};
use auditx_tlog::{Hash, SEQ_PREFIX, erased_line, leaf_hash, leaf_of};

use super::{Appender, Start, Synced, remember};
use crate::dir::FileStat;
use crate::history::Found;
use crate::kill_point::kill_point;
use crate::segment::{ACTIVE, sealed_name};
use crate::storage::StorageFile;
use crate::trail::Trail;

/// How many lines before the expected one are searched for an entry: control records may come between two
/// entries.
const NEAR: u64 = 16;

/// A place that still holds written entries: the journal's ring, until it is overwritten.
pub(crate) trait RecentEntries: std::fmt::Debug + Send + Sync {
    /// Returns bodies of entries, oldest first, each with its position in the journal.
    fn recent_entries(&self) -> Vec<(u64, Vec<u8>)>;
}

/// A segment as the appender knows it.
struct Expected {
    name: String,
    file: Arc<dyn StorageFile>,
    first_seq: u64,
    end: u64,
    len: u64,
}

/// A segment that was rewritten.
struct Rewritten {
    restoration: Restoration,
    file: Arc<dyn StorageFile>,
    len: u64,
}

/// A segment's bytes as they must be.
struct Restored {
    bytes: Vec<u8>,
    lost: Vec<RangeInclusive<u64>>,
    /// Whether the file held bytes that are not the trail's.
    has_foreign: bool,
}

impl Appender {
    /// Compares the active segment, and sealed ones that are not known to be durable, with their names, and
    /// restores what another program changed. Costs one fstat(2) and one stat(2) if nothing changed. Returns
    /// what was restored.
    ///
    /// # Errors
    /// `is_storage` if a segment cannot be restored; nothing may be called durable then.
    pub(crate) fn check_names(&mut self) -> Result<Vec<Restoration>> {
        self.check()?;
        let outcome = self.restore_names();
        match &outcome {
            Ok(restored) => {
                restored.iter().for_each(|restoration| self.trail.app_log.report(&restoration.to_string()));
            }
            Err(error) => self.refuse_entries(error),
        }
        outcome
    }

    fn restore_names(&mut self) -> Result<Vec<Restoration>> {
        let mut restored = Vec::new();
        for index in 0..self.unsynced.len() {
            let sealed = self.unsynced[index].clone();
            let expected = Expected {
                name: sealed_name(sealed.first_seq),
                file: sealed.file.clone(),
                first_seq: sealed.first_seq,
                end: sealed.frontier.end(),
                len: sealed.len,
            };
            if let Some(Rewritten { restoration, file, len }) = self.restore(&expected)? {
                self.unsynced[index] = Arc::new(super::seal::Sealed {
                    file,
                    len,
                    first_seq: sealed.first_seq,
                    frontier: sealed.frontier.clone(),
                });
                restored.push(restoration);
            }
        }
        for restoration in &restored {
            self.append_control_record(&ControlRecord::Restored(restoration.clone()))?;
        }
        restored.extend(self.restore_active()?);
        Ok(restored)
    }

    fn restore_active(&mut self) -> Result<Option<Restoration>> {
        let expected = Expected {
            name: ACTIVE.to_owned(),
            file: self.active.file.clone(),
            first_seq: self.active.first_seq,
            end: self.active.next_seq,
            len: self.active.len,
        };
        let Some(Rewritten { restoration, file, len }) = self.restore(&expected)? else { return Ok(None) };
        self.continue_in(file, len)?;
        if restoration.lost.is_empty() {
            self.append_control_record(&ControlRecord::Restored(restoration.clone()))?;
        } else {
            // Its record is the last line of the restored segment, so no kill can come between the stubs and
            // the record of them.
            self.seal_and_record()?;
        }
        Ok(Some(restoration))
    }

    /// Rewrites the segment under its name if it is not what was written.
    fn restore(&mut self, expected: &Expected) -> Result<Option<Rewritten>> {
        let directory = self.trail.directory.clone();
        let failed =
            |error| Error::storage("cannot examine a segment", directory.join(&expected.name), error);
        let open = expected.file.stat().map_err(failed)?;
        let named = directory.stat_by_path(&expected.name).map_err(failed)?;
        let is_named = named.is_some_and(|named| named.is_same(&open));
        if is_named && open.len() == expected.len {
            return Ok(None);
        }
        if !directory.is_reachable() {
            return Err(directory.unreachable());
        }
        self.flush_tiles();
        let cause = cause_of(expected, &open, is_named, named.is_some());
        let Restored { mut bytes, lost, has_foreign } = self.collect(expected)?;
        let is_in_the_way = named
            .is_some_and(|named| if is_named { has_foreign } else { !named.is_file() || named.len() > 0 });
        let aside = if is_in_the_way { Some(self.set_aside(&expected.name)?) } else { None };
        kill_point("restore: name free");
        let count: u64 = lost.iter().map(|range| range.end() - range.start() + 1).sum();
        let restoration = Restoration { name: expected.name.clone(), cause, lost, aside };
        if count > 0 && expected.name == ACTIVE {
            self.add_record(&ControlRecord::Restored(restoration.clone()), &mut bytes)?;
        }
        let file = self.rewrite(&expected.name, &bytes)?;
        kill_point("restore: written");
        self.trail.watermark.count_rollback();
        self.trail.counters.restored.add(1);
        self.trail.counters.lost.add(count);
        Ok(Some(Rewritten { restoration, file, len: bytes.len() as u64 }))
    }

    /// Moves aside what another program put in the place of a segment.
    fn set_aside(&self, name: &str) -> Result<String> {
        let directory = &self.trail.directory;
        let aside = directory.set_aside(name).map_err(|error| {
            let what = "cannot move aside the file that another program put in the place of a segment";
            Error::storage(what, directory.join(name), error)
        })?;
        Ok(aside.to_string_lossy().into_owned())
    }

    fn rewrite(&self, name: &str, bytes: &[u8]) -> Result<Arc<dyn StorageFile>> {
        let Trail { directory, storage, .. } = &*self.trail;
        storage
            .replace(directory, name, bytes)
            .and_then(|()| storage.open_append(directory, name, false))
            .map_err(|error| {
                // The directory may be in the middle of being removed, file by file.
                if directory.is_reachable() {
                    let what = "cannot restore a segment that another program changed";
                    Error::storage(what, directory.join(name), error)
                } else {
                    directory.unreachable()
                }
            })
    }

    /// Adds a control record, as the next line of the trail, to the bytes of its active segment.
    fn add_record(&mut self, record: &ControlRecord, bytes: &mut Vec<u8>) -> Result<()> {
        let body = record.encode(&self.trail.envelope, &*self.trail.config.clock)?;
        let line = [SEQ_PREFIX, self.active.next_seq.to_string().as_bytes(), b",", &body].concat();
        if self.tree.push(leaf_hash(&line)).is_err() {
            self.trail.counters.tile_failures.add(1);
        }
        self.active.next_seq += 1;
        bytes.extend_from_slice(&line);
        bytes.push(b'\n');
        remember(&mut self.control_lines, line);
        Ok(())
    }

    /// Continues in the restored active segment, all of which is durable.
    fn continue_in(&mut self, file: Arc<dyn StorageFile>, len: u64) -> Result<()> {
        for sealed in &self.unsynced {
            sealed.file.sync_data().map_err(|error| {
                Error::storage("cannot sync a sealed segment", sealed_name(sealed.first_seq), error)
            })?;
        }
        let Start { first_seq, next_seq, began, .. } = self.active;
        self.active = Start { file, len, first_seq, next_seq, began };
        self.fingerprint = None;
        self.synced = Synced { first_seq, len, reach: self.reach(), frontier: self.tree.frontier().clone() };
        Ok(())
    }

    /// Collects the segment's lines from all places that may hold them.
    fn collect(&self, expected: &Expected) -> Result<Restored> {
        let content = read_all(&*expected.file).map_err(|error| {
            Error::storage("cannot read a segment from its descriptor", &expected.name, error)
        })?;
        let leaves = self.leaves_of(expected, &content)?;
        let mut lines: Vec<Option<Vec<u8>>> = vec![None; leaves.len()];
        let mut has_foreign = false;
        for line in content.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            has_foreign |= !put(&mut lines, &leaves, expected.first_seq, line);
        }
        for line in &self.control_lines {
            put(&mut lines, &leaves, expected.first_seq, line);
        }
        if lines.contains(&None)
            && let Some(recent) = self.recent.as_ref().and_then(std::sync::Weak::upgrade)
        {
            self.fill_from_journal(&mut lines, &leaves, expected.first_seq, &recent.recent_entries());
        }
        let (mut bytes, mut lost): (Vec<u8>, Vec<RangeInclusive<u64>>) = (Vec::new(), Vec::new());
        for ((line, leaf), seq) in lines.iter().zip(&leaves).zip(expected.first_seq..) {
            match line {
                Some(line) => bytes.extend_from_slice(line),
                None => {
                    bytes.extend_from_slice(erased_line(seq, leaf).as_bytes());
                    match lost.last_mut() {
                        Some(last) if last.end() + 1 == seq => *last = *last.start()..=seq,
                        _ => lost.push(seq..=seq),
                    }
                }
            }
            bytes.push(b'\n');
        }
        Ok(Restored { bytes, lost, has_foreign })
    }

    /// Returns the hashes of the segment's lines in the tree, computed from the lines or read from the tile
    /// cache. Either must lead to the tree as it is.
    fn leaves_of(&self, expected: &Expected, content: &[u8]) -> Result<Vec<Hash>> {
        let count = usize::try_from(expected.end - expected.first_seq).unwrap_or(usize::MAX);
        let tiles = self.tree.tiles();
        let leads_to_the_tree = |leaves: &[Hash]| -> bool {
            let Some(mut range) = tiles.as_ref().and_then(|tiles| tiles.frontier(expected.first_seq)) else {
                return false;
            };
            range.extend(leaves, &mut |_, _, _| ());
            let end = self.tree.frontier().end();
            let mut rest = vec![Hash::default(); usize::try_from(end - expected.end).unwrap_or(0)];
            let known = tiles.as_ref().map_or(0, |tiles| tiles.leaves(expected.end, &mut rest));
            range.extend(&rest, &mut |_, _, _| ());
            known == rest.len() && range.root() == self.tree.frontier().root()
        };
        let lines = content.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let found: Vec<Hash> =
            lines.map(|line| leaf_of(line).map(|leaf| leaf.hash).unwrap_or_default()).collect();
        if found.len() == count && leads_to_the_tree(&found) {
            return Ok(found);
        }
        let mut cached = vec![Hash::default(); count];
        let known = tiles.as_ref().map_or(0, |tiles| tiles.leaves(expected.first_seq, &mut cached));
        if known == count && leads_to_the_tree(&cached) {
            return Ok(cached);
        }
        if found.len() == count && content.len() as u64 == expected.len {
            // Nothing was truncated. If a byte was altered, `auditx verify` reports it.
            return Ok(found);
        }
        Err(Error::storage(
            "another program changed a segment, and the tile cache that is needed to restore it is gone",
            self.trail.directory.join(&expected.name),
            io::Error::other(
                "restore it from a backup, or set the trail aside with `auditx recover --accept-loss`",
            ),
        ))
    }

    /// Fills in what the journal still holds. The line of the newest entry is known; each earlier entry is
    /// one line before, or a few lines if control records come between.
    fn fill_from_journal(
        &self,
        lines: &mut [Option<Vec<u8>>],
        leaves: &[Hash],
        first_seq: u64,
        bodies: &[(u64, Vec<u8>)],
    ) {
        let mut after: Option<u64> = None;
        for (position, body) in bodies.iter().rev() {
            let newest = match (self.trail.watermark.history.find(*position), after) {
                (Found::Line(line), _) => line.seq,
                (Found::NotBefore(_), Some(after)) => after.saturating_sub(1),
                (Found::NotBefore(_), None) => continue,
            };
            let nearby = (newest.saturating_sub(NEAR).max(first_seq)..=newest).rev();
            let found = nearby.filter_map(|seq| {
                let index = usize::try_from(seq.checked_sub(first_seq)?).ok()?;
                let line = [SEQ_PREFIX, seq.to_string().as_bytes(), b",", body].concat();
                (leaves.get(index)? == &leaf_hash(&line)).then_some((seq, index, line))
            });
            if let Some((seq, index, line)) = { found }.next() {
                lines[index].get_or_insert(line);
                after = Some(seq);
            }
        }
    }
}

/// Stores a line at its index if its hash is the one in the tree; returns whether it is. A stub is not
/// stored: the journal may have the text, and if it has not, the line is recorded as lost.
fn put(lines: &mut [Option<Vec<u8>>], leaves: &[Hash], first_seq: u64, line: &[u8]) -> bool {
    let found = leaf_of(line).and_then(|leaf| {
        let index = usize::try_from(leaf.seq.checked_sub(first_seq)?).ok()?;
        (leaves.get(index)? == &leaf.hash).then_some((index, leaf.is_erased))
    });
    if let Some((index, false)) = found {
        lines[index].get_or_insert_with(|| line.to_vec());
    }
    found.is_some()
}

fn read_all(file: &dyn StorageFile) -> io::Result<Vec<u8>> {
    let mut content = vec![0; usize::try_from(file.stat()?.len()).map_err(io::Error::other)?];
    let mut filled = 0;
    while filled < content.len() {
        match file.read_at(&mut content[filled..], filled as u64)? {
            0 => break,
            read => filled += read,
        }
    }
    content.truncate(filled);
    Ok(content)
}

fn cause_of(expected: &Expected, open: &FileStat, is_named: bool, is_taken: bool) -> String {
    let (name, len, found) = (&expected.name, expected.len, open.len());
    match (is_named, is_taken) {
        (true, _) if found < len => {
            format!(
                "segment `{name}` was truncated from {len} to {found} bytes by another program \
                 (logrotate's copytruncate?)"
            )
        }
        (true, _) => format!("another program wrote into segment `{name}`: {found} bytes instead of {len}"),
        (false, true) => format!("segment `{name}` was replaced by another program (logrotate?)"),
        (false, false) if open.is_unlinked() => format!("segment `{name}` was removed by another program"),
        (false, false) => format!("segment `{name}` was renamed by another program (logrotate?)"),
    }
}
