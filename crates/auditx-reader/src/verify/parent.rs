//! A parent trail: its lines are the checkpoints of other trails, so that witnesses need to cosign only its
//! own.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use auditx_format::moment::Moment;
use auditx_format::row::{Field, Row};
use auditx_tlog::{Hash, SignedCheckpoint, VerifierKey};
use memchr::memmem::Finder;
use serde_json::Value;

use super::verification::{Answer, Verification};
use super::witnessed::{Cosigned, Witnessed};
use crate::error::Result;
use crate::lines::Lines;

/// A trail that records the checkpoints of other trails, as `auditx witness --trail` does, and that was
/// verified.
#[derive(Debug, Clone)]
pub struct ParentTrail {
    directory: PathBuf,
    /// Its name and what witnesses cosigned of it, or why its lines prove nothing.
    state: Result<(String, Witnessed), String>,
}

impl ParentTrail {
    /// Takes the result of verifying it with the policy of its witnesses. If it is broken or was not
    /// cosigned, if its key is not pinned, or if lines of it were erased or lost, it proves nothing, and
    /// verification of other trails says so. Retired lines do not count.
    #[must_use]
    pub fn of(verification: &Verification) -> Self {
        let directory = verification.directory.clone();
        let place = directory.display();
        let state = match (&verification.witnessed, &verification.origin) {
            _ if verification.answer == Answer::Broken => {
                Err(format!("the parent trail is broken: run `auditx verify --dir {place}` to see where"))
            }
            _ if !verification.keys.iter().any(|key| key.is_pinned) => {
                Err("the key of the parent trail is not known: add `log VKEY` to its policy".to_owned())
            }
            // They may have recorded this trail.
            _ if verification.erased + verification.lost > 0 => {
                Err("lines of the parent trail were erased or lost".to_owned())
            }
            (Some(witnessed), Some(origin)) => Ok((origin.clone(), witnessed.clone())),
            _ => {
                let why = verification.unwitnessed.as_deref().unwrap_or("its policy requires no cosignature");
                Err(format!("the parent trail proves nothing: {why}"))
            }
        };
        Self { directory, state }
    }

    /// Returns the checkpoints of a log that it recorded, in lines that witnesses cosigned. Reads all lines
    /// of the parent trail.
    ///
    /// # Errors
    /// Why it proves nothing about the log. As the outer error, if it cannot be read.
    pub(super) fn records_of(&self, log: &str) -> Result<Result<Cosigned, String>> {
        let (parent, cosigned) = match &self.state {
            Ok(state) => state,
            Err(why) => return Ok(Err(why.clone())),
        };
        let mut found = Found::default();
        for record in ParentEntry::all(&self.directory, log)? {
            let record = record?;
            if record.seq >= cosigned.size {
                break;
            }
            found.add(record);
        }
        let Some((newest, at)) = found.newest else {
            return Ok(Err(format!("no cosigned line of the parent trail {parent} records this trail")));
        };
        let at = cosigned.at.min(at);
        let witnessed = Witnessed { size: newest.size(), at, parent: Some(parent.clone()) };
        Ok(Ok(Cosigned { checkpoint: newest, witnessed, recorded: found.heads }))
    }

    /// Returns the first of these tree heads that is in an entry with a signature of one of these keys. Reads
    /// all lines of the parent trail again.
    pub(super) fn signed_one<'h>(
        &self,
        heads: &[&'h RecordedHead],
        log: &str,
        keys: &[VerifierKey],
    ) -> Result<Option<&'h RecordedHead>> {
        let by_root: HashMap<(u64, Hash), &RecordedHead> =
            heads.iter().map(|head| ((head.size, head.root), *head)).collect();
        for entry in ParentEntry::all(&self.directory, log)? {
            let checkpoint = entry?.checkpoint;
            if let Some(head) = by_root.get(&(checkpoint.size(), *checkpoint.root()))
                && checkpoint.verify(keys).is_ok()
            {
                return Ok(Some(head));
            }
        }
        Ok(None)
    }
}

/// A tree head in a line of the parent trail. Millions fit in memory.
#[derive(Debug)]
pub(super) struct RecordedHead {
    pub(super) size: u64,
    pub(super) root: Hash,
    /// The line of the parent trail.
    pub(super) seq: u64,
}

/// An entry of a parent trail that records a checkpoint.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ParentEntry {
    /// The number of its line.
    pub seq: u64,
    /// When it was recorded.
    pub at: Moment,
    /// The recorded checkpoint, unchecked.
    pub checkpoint: SignedCheckpoint,
}

impl ParentEntry {
    /// Reads a line that records a checkpoint of this log. `None` for any other line.
    #[must_use]
    pub fn read(line: &[u8], log: &str) -> Option<Self> {
        let row = Row::read(line).ok()?;
        if row.text(Field::EntityType) != "log" || row.text(Field::EntityId) != log {
            return None;
        }
        let checkpoint = row.get(Field::Metadata)?.member("checkpoint")?.text()?;
        let checkpoint = SignedCheckpoint::parse_extended(checkpoint.as_bytes()).ok()?;
        let record = Self { seq: row.seq()?, at: row.moment()?, checkpoint };
        (record.checkpoint.origin() == log).then_some(record)
    }

    /// Reads all records of this log in the trail in this directory, in order.
    ///
    /// # Errors
    /// If the trail cannot be listed or, for an item, read.
    pub(crate) fn all(directory: &Path, log: &str) -> Result<impl Iterator<Item = Result<Self>>> {
        // With quotation marks, and escaped as in a line.
        let name = Finder::new(Value::from(log).to_string().as_bytes()).into_owned();
        let log = log.to_owned();
        Ok(Lines::all(directory)?.filter_map(move |line| match line {
            Ok(line) => name.find(line.bytes()).and_then(|_| Self::read(line.bytes(), &log)).map(Ok),
            Err(error) => Some(Err(error)),
        }))
    }
}

#[derive(Default)]
struct Found {
    /// All that differ from the one before them, in order.
    heads: Vec<RecordedHead>,
    /// The last checkpoint, and when it was recorded, in seconds since 1970.
    newest: Option<(SignedCheckpoint, u64)>,
}

impl Found {
    fn add(&mut self, ParentEntry { seq, at, checkpoint }: ParentEntry) {
        let (size, root) = (checkpoint.size(), *checkpoint.root());
        if self.heads.last().is_none_or(|last| (last.size, last.root) != (size, root)) {
            self.heads.push(RecordedHead { size, root, seq });
        }
        self.newest = Some((checkpoint, u64::try_from(at.micros() / 1_000_000).unwrap_or(0)));
    }
}
