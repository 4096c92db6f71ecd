//! Replay of pending entries: writes the entries that a process accepted but did not write before it ended to
//! the trail.
//!
//! Each entry is written once: if its id is in the trail already, it was written before the process ended.
//! The process may be killed at any point and replay run again, since the ring is emptied last.

use std::collections::HashSet;
use std::io;

use auditx_format::clock::Timestamp;
use auditx_format::{Error, Result};

use super::{ControlRecord, Recovered};
use crate::appender::Appender;
use crate::config::{Config, JournalKind};
use crate::dir::Dir;
use crate::entry_id::{Id, body_of, id_of};
use crate::journal::Unreleased;
use crate::kill_point::kill_point;
use crate::ring::{Map, Next, PreviousRing, Queue, RingFile, SlotLocks, unsupported_reason};
use crate::segment::{ACTIVE, first_seq_of, open_segment, sealed_segments};

const WITHOUT_RING: &str =
    "entries are written directly, one write(2) each, because the journal's ring cannot be used: ";

#[derive(Debug)]
pub(crate) struct Replay {
    previous: PreviousRing,
    entries: Vec<Vec<u8>>,
    trail_id: [u8; 16],
}

impl Replay {
    /// Collects the pending entries, and adds their number to the `recovered` control record.
    ///
    /// # Errors
    /// `is_storage` if the ring or the end of the trail cannot be read.
    pub(crate) fn prepare(
        directory: &Dir,
        recovered: &mut Recovered,
        inherited: Vec<Vec<u8>>,
    ) -> Result<Self> {
        let (mut previous, missing) = missing_from(directory, recovered.trail_id)?;
        let mut entries = inherited;
        entries.extend(missing);
        let count = entries.len() as u64;
        if count > 0 {
            let known = recovered.records.iter_mut().find_map(|record| match record {
                ControlRecord::Recovered { replayed, .. } => Some(replayed),
                _ => None,
            });
            match known {
                Some(replayed) => *replayed = count,
                None => recovered.records.push(ControlRecord::Recovered {
                    torn: None,
                    unsigned_lines: 0,
                    replayed: count,
                }),
            }
        }
        let remark = previous.remark.take();
        recovered.remark = match (recovered.remark.take(), remark) {
            (Some(one), Some(other)) => Some(format!("{one}; {other}")),
            (one, other) => one.or(other),
        };
        Ok(Self { previous, entries, trail_id: recovered.trail_id })
    }

    /// Appends the pending entries and makes the whole trail durable.
    ///
    /// # Errors
    /// `is_storage` if a write or a sync fails. The entries then remain in the ring.
    pub(crate) fn run(&mut self, appender: &mut Appender) -> Result<()> {
        if self.entries.is_empty() && self.previous.refused.is_none() {
            return Ok(());
        }
        kill_point("replay: begun");
        let mut waiting = self.entries.iter().peekable();
        while waiting.peek().is_some() {
            let mut batch = appender.batch()?;
            while !batch.is_full()
                && let Some(body) = waiting.next()
            {
                batch.add(body, batch.lines() + 1);
            }
            batch.write()?;
            kill_point("replay: written");
        }
        if let Some((count, first, last)) = self.previous.refused {
            let (first, last) = (Timestamp::from_micros(first), Timestamp::from_micros(last));
            let why = "the journal was full".to_owned();
            appender.append_control_record(&ControlRecord::Gap { count, first, last, why })?;
        }
        appender.unsynced()?.sync()?;
        kill_point("replay: synced");
        Ok(())
    }

    /// Returns the emptied ring for the new session. If entries are written directly instead, returns no
    /// ring, and the reason unless that was configured.
    ///
    /// # Errors
    /// If the configuration requires a ring: `is_storage` if there is no space for it, `is_invalid` if it is
    /// not supported here.
    pub(crate) fn begin_ring(
        &self,
        directory: &Dir,
        config: &Config,
        lines: u64,
        alone: Option<SlotLocks>,
    ) -> Result<(Option<RingFile>, Option<String>)> {
        let kind = config.journal;
        let unsupported = match kind {
            JournalKind::Direct => Some(None),
            _ => unsupported_reason(directory).map(Some),
        };
        match (unsupported, kind) {
            (Some(Some(why)), JournalKind::Ring) => {
                Err(Error::invalid(format!("the configuration requires a ring, but {why}"))
                    .at(directory.path()))
            }
            (Some(why), _) => {
                RingFile::remove(directory)?;
                Ok((None, why.map(|why| format!("{WITHOUT_RING}{why}"))))
            }
            (None, _) => {
                let size = (config.journal_bytes, config.exclusive);
                match RingFile::initialize(directory, size, self.trail_id, &self.previous, lines, alone) {
                    // Without a ring the trail can still be written.
                    Err(error) if kind == JournalKind::Auto && error.is_storage() => {
                        RingFile::remove(directory)?;
                        Ok((None, Some(format!("{WITHOUT_RING}{error}"))))
                    }
                    outcome => outcome.map(|file| (Some(file), None)),
                }
            }
        }
    }
}

/// Returns the contents of a trail's ring, and the entries in it that are not in the trail.
///
/// # Errors
/// `is_storage` if the ring or the end of the trail cannot be read.
pub(crate) fn missing_from(directory: &Dir, trail_id: [u8; 16]) -> Result<(PreviousRing, Vec<Vec<u8>>)> {
    let mut previous = RingFile::salvage(directory, trail_id)?;
    let mut entries = std::mem::take(&mut previous.salvaged.entries);
    let found = entries.len();
    entries.retain(|body| is_entry(body));
    if entries.len() < found {
        let remark = format!("{} records in the journal's ring are not entries", found - entries.len());
        previous.remark =
            Some(previous.remark.map_or_else(|| remark.clone(), |known| format!("{known}; {remark}")));
    }
    retain_missing(directory, &mut entries, previous.salvaged.lines)?;
    Ok((previous, entries))
}

/// Finds the entries at the head of a ring that the last writer wrote to the trail and did not release, while
/// other processes still push into the ring.
///
/// # Errors
/// `is_storage` if the end of the trail cannot be read.
pub(crate) fn unreleased(directory: &Dir, queue: &Queue<Map>) -> Result<Unreleased> {
    let released = queue.released();
    let (mut end, mut entries) = (released.position, Vec::new());
    // The drain takes records in order: after an unfinished one it has taken none.
    loop {
        match queue.next(end) {
            Next::Entry { len, end: next } => {
                let mut body = Vec::new();
                queue.copy(end, len, &mut body);
                entries.push(body);
                end = next;
            }
            Next::Skip { end: next } => end = next,
            Next::Empty | Next::Unfinished => break,
        }
    }
    let mut written: HashSet<Id> = entries.iter().filter_map(|body| id_of(body)).collect();
    retain_missing(directory, &mut entries, released.lines)?;
    for missing in entries.iter().filter_map(|body| id_of(body)) {
        written.remove(&missing);
    }
    Ok(Unreleased::new(written, end))
}

/// Removes the entries whose ids are in the trail. Reads the segments from the one that contains line `from`.
fn retain_missing(directory: &Dir, entries: &mut Vec<Vec<u8>>, from: u64) -> Result<()> {
    let mut missing: HashSet<Id> = entries.iter().filter_map(|body| id_of(body)).collect();
    if missing.is_empty() {
        entries.clear();
        return Ok(());
    }
    remove_ids_in(directory, ACTIVE, false, &mut missing)?;
    let mut later = first_seq_of(directory, ACTIVE)?;
    for segment in sealed_segments(directory)?.iter().rev() {
        if later.is_some_and(|later| later <= from) || missing.is_empty() {
            break;
        }
        remove_ids_in(directory, &segment.name(), segment.compressed, &mut missing)?;
        later = Some(segment.first_seq);
    }
    entries.retain(|body| id_of(body).is_some_and(|id| missing.remove(&id)));
    Ok(())
}

/// Removes the ids of the lines of a segment from `missing`.
fn remove_ids_in(directory: &Dir, name: &str, compressed: bool, missing: &mut HashSet<Id>) -> Result<()> {
    let failed = |error| Error::storage("cannot read a segment", directory.join(name), error);
    let mut reader = match open_segment(directory, name, compressed) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(failed)?,
    };
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).map_err(failed)? > 0 {
        if let Some(id) = body_of(&line).and_then(id_of) {
            missing.remove(&id);
        }
        line.clear();
    }
    Ok(())
}

/// Returns whether the bytes can be the body of a line, since other code may have overwritten the ring's
/// memory.
pub(crate) fn is_entry(body: &[u8]) -> bool {
    let object = [b"{", body].concat();
    memchr::memchr(b'\n', body).is_none() && serde_json::from_slice::<serde::de::IgnoredAny>(&object).is_ok()
}
