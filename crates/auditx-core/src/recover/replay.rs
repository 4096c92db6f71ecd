//! What a process accepted and did not write before it ended, brought into the trail.
//!
//! Comes in: what the ring held, and a trail that was found sound. Goes out: the same entries as lines, each once: an entry
//! whose id stands in the trail already was written before the process ended. May itself be killed at any point and be run
//! again, since the ring is emptied last.

use std::collections::HashSet;
use std::io;

use super::{ControlRecord, Recovered};
use crate::appender::Appender;
use crate::clock::Timestamp;
use crate::config::JournalKind;
use crate::dir::Dir;
use crate::error::{Error, Result};
use crate::kill_point::kill_point;
use crate::line::SEQ_PREFIX;
use crate::ring::{Opened, RingFile, refusal};
use crate::segment::{ACTIVE, first_seq_of, open_segment, sealed_segments};

/// How the body of every line begins.
const ID_PREFIX: &[u8] = b"\"id\":\"";
const ID_LEN: usize = 36;

const WITHOUT_RING: &str =
    "entries are written directly, one write(2) each, because the journal's ring cannot be used: ";

/// The id of an entry, as it is written.
pub(crate) type Id = [u8; ID_LEN];

#[derive(Debug)]
pub(crate) struct Replay {
    left: Opened,
    entries: Vec<Vec<u8>>,
    trail_id: [u8; 16],
}

impl Replay {
    /// Looks for accepted entries that the trail lacks, and makes the records of recovery tell of them.
    ///
    /// # Errors
    /// `is_storage` where the ring or the end of the trail cannot be read.
    pub(crate) fn prepare(
        directory: &Dir,
        recovered: &mut Recovered,
        inherited: Vec<Vec<u8>>,
    ) -> Result<Self> {
        let (mut left, missing) = missing_from(directory, recovered.trail_id)?;
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
        let remark = left.remark.take();
        recovered.remark = match (recovered.remark.take(), remark) {
            (Some(one), Some(other)) => Some(format!("{one}; {other}")),
            (one, other) => one.or(other),
        };
        Ok(Self { left, entries, trail_id: recovered.trail_id })
    }

    /// Appends them and makes the whole trail durable.
    ///
    /// # Errors
    /// `is_storage` where the disk refused: they stay where they are.
    pub(crate) fn run(&mut self, appender: &mut Appender) -> Result<()> {
        if self.entries.is_empty() && self.left.refused.is_none() {
            return Ok(());
        }
        kill_point("replay: begun");
        let mut waiting = self.entries.iter();
        let mut next = |lines, out: &mut Vec<u8>| {
            waiting.next().map(|body| {
                out.extend_from_slice(body);
                lines + 1
            })
        };
        while appender.append_all(&mut next)? > 0 {
            kill_point("replay: written");
        }
        if let Some((count, first, last)) = self.left.refused {
            let (first, last) = (Timestamp::from_micros(first), Timestamp::from_micros(last));
            let why = "the journal was full".to_owned();
            appender.append_own(&ControlRecord::Gap { count, first, last, why })?;
        }
        appender.unsettled()?.sync()?;
        kill_point("replay: synced");
        Ok(())
    }

    /// The ring for the session that begins, emptied; none where entries go directly to the trail, and then why, if somebody
    /// might wonder.
    ///
    /// # Errors
    /// `is_storage` where a ring was asked for and the space cannot be had, `is_invalid` where it was asked for and cannot be
    /// trusted here.
    pub(crate) fn begin_ring(
        &self,
        directory: &Dir,
        kind: JournalKind,
        capacity: u64,
        lines: u64,
    ) -> Result<(Option<RingFile>, Option<String>)> {
        let unfit = match kind {
            JournalKind::Direct => Some(None),
            _ => refusal(directory).map(Some),
        };
        match (unfit, kind) {
            (Some(Some(why)), JournalKind::Ring) => {
                Err(Error::invalid(format!("a ring was asked for, but {why}")).at(directory.path()))
            }
            (Some(why), _) => {
                RingFile::remove(directory)?;
                Ok((None, why.map(|why| format!("{WITHOUT_RING}{why}"))))
            }
            (None, _) => match RingFile::begin(directory, capacity, self.trail_id, &self.left, lines) {
                // A trail without a ring beats none.
                Err(error) if kind == JournalKind::Auto && error.is_storage() => {
                    RingFile::remove(directory)?;
                    Ok((None, Some(format!("{WITHOUT_RING}{error}"))))
                }
                outcome => outcome.map(|file| (Some(file), None)),
            },
        }
    }
}

/// What the ring of a trail still holds, and the entries among it that are in no line.
///
/// # Errors
/// `is_storage` where the ring or the end of the trail cannot be read.
pub(crate) fn missing_from(directory: &Dir, trail_id: [u8; 16]) -> Result<(Opened, Vec<Vec<u8>>)> {
    let mut left = RingFile::salvage(directory, trail_id)?;
    let mut entries = std::mem::take(&mut left.salvaged.entries);
    let found = entries.len();
    entries.retain(|body| is_entry(body));
    if entries.len() < found {
        let remark = format!("{} records in the journal's ring are no entries", found - entries.len());
        left.remark = Some(left.remark.map_or_else(|| remark.clone(), |known| format!("{known}; {remark}")));
    }
    retain_missing(directory, &mut entries, left.salvaged.lines)?;
    Ok((left, entries))
}

/// Takes away the entries whose ids stand in the trail, from the segment on that holds line `from`.
fn retain_missing(directory: &Dir, entries: &mut Vec<Vec<u8>>, from: u64) -> Result<()> {
    let mut missing: HashSet<Id> = entries.iter().filter_map(|body| id_of(body)).collect();
    if missing.is_empty() {
        entries.clear();
        return Ok(());
    }
    strike_out(directory, ACTIVE, false, &mut missing)?;
    let mut later = first_seq_of(directory, ACTIVE)?;
    for segment in sealed_segments(directory)?.iter().rev() {
        if later.is_some_and(|later| later <= from) || missing.is_empty() {
            break;
        }
        strike_out(directory, &segment.name(), segment.compressed, &mut missing)?;
        later = Some(segment.first_seq);
    }
    entries.retain(|body| id_of(body).is_some_and(|id| missing.remove(&id)));
    Ok(())
}

/// Takes away the ids of a segment's lines.
fn strike_out(directory: &Dir, name: &str, compressed: bool, missing: &mut HashSet<Id>) -> Result<()> {
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

/// Whether it can be a line: memory that something else wrote to could hold anything.
pub(crate) fn is_entry(body: &[u8]) -> bool {
    let object = [b"{", body].concat();
    memchr::memchr(b'\n', body).is_none() && serde_json::from_slice::<serde::de::IgnoredAny>(&object).is_ok()
}

pub(crate) fn body_of(line: &[u8]) -> Option<&[u8]> {
    let rest = line.strip_prefix(SEQ_PREFIX)?;
    Some(&rest[memchr::memchr(b',', rest)? + 1..])
}

pub(crate) fn id_of(body: &[u8]) -> Option<Id> {
    body.strip_prefix(ID_PREFIX)?.first_chunk().copied()
}
