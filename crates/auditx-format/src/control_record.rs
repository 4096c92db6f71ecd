//! Control records: ordinary lines with a reserved top-level object that no caller can set.

mod stored;

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use auditx_tlog::{CompactRange, Hash, to_hex};
use serde_json::{Value, json};

use crate::clock::{Clock, Timestamp};
use crate::encode::{Envelope, with_scratch};
use crate::entry::Entry;
use crate::error::Result;
use crate::id::new_id;
use crate::vocabulary::{AuditAction, BusinessModule, LogLevel};

pub use stored::{CONTROL_RECORD, StoredRecord};

/// The version of the line and file format.
pub const FORMAT_VERSION: u32 = 2;

/// A line that the library writes about the trail itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ControlRecord {
    /// The first line of a trail.
    Genesis {
        /// The id of the trail.
        trail_id: String,
        /// The origin that its log name begins with.
        origin: String,
        /// The verifier key of the trail's first signing key.
        key: String,
        /// The trail that it replaces.
        previous: Option<PreviousTrail>,
    },
    /// A process opened the trail.
    Open {
        /// The instance of the application.
        instance: String,
        /// The verifier key of the signing key from this line on.
        key: String,
        /// The interval of `heartbeat` records in an idle trail.
        heartbeat: Duration,
    },
    /// The process closed the trail.
    Close,
    /// The trail was recovered because it had not been closed.
    Recovered {
        /// The unfinished last line.
        torn: Option<TornTail>,
        /// The number of lines that no checkpoint covered.
        unsigned_lines: u64,
        /// The number of entries that were still in the journal.
        replayed: u64,
    },
    /// A segment was restored.
    Restored(Restoration),
    /// Entries were not recorded: the journal was full, a write failed, or their bytes were damaged in the
    /// journal.
    Gap {
        /// The number of entries.
        count: u64,
        /// When the first one was not recorded.
        first: Timestamp,
        /// When the last one was not recorded.
        last: Timestamp,
        /// The reason.
        why: String,
    },
    /// A segment was sealed and the next one begins.
    Rotated {
        /// The name of the sealed segment.
        segment: String,
        /// The seq of its first line.
        first_seq: u64,
        /// The seq of its last line.
        last_seq: u64,
        /// The length of the segment.
        bytes: u64,
    },
    /// A copy of a checkpoint.
    Checkpoint {
        /// The number of lines that it covers.
        size: u64,
        /// The signed note.
        note: String,
    },
    /// The trail was open and idle.
    Heartbeat,
    /// The key was replaced.
    Key {
        /// The key up to here.
        old: String,
        /// The key from here on.
        new: String,
    },
    /// A line was erased.
    Erased {
        /// The seq of the line.
        seq: u64,
        /// The leaf hash of the line, which its stub has too.
        leaf_hash: Hash,
        /// The reason that was given.
        reason: String,
    },
    /// A segment has a skip index.
    Indexed {
        /// The seq of the segment's first line.
        first_seq: u64,
        /// The hash of the index.
        sha256: Hash,
    },
    /// A segment was deleted by retention.
    Retired {
        /// Its name.
        segment: String,
        /// The seq of its first line.
        first_seq: u64,
        /// The tree over the lines up to its end, from which later proofs are made.
        frontier: CompactRange,
        /// The reason.
        why: String,
    },
    /// A shipper's cursor no longer delays retention.
    ShippingDropped {
        /// The destination.
        destination: String,
        /// The seq of the first line that the destination may lack.
        next: u64,
    },
}

/// The trail that a new one replaces because it no longer matched what had been signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviousTrail {
    /// Its id.
    pub trail_id: String,
    /// The last checkpoint that could be read.
    pub note: String,
    /// The directory that its files were moved to.
    pub moved_to: String,
    /// What no longer matched.
    pub why: String,
}

/// A segment that another program renamed, removed, replaced or truncated, and that was written again under
/// its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restoration {
    /// The name of the segment.
    pub name: String,
    /// What happened to it.
    pub cause: String,
    /// The lines that could not be restored and were replaced by stubs with their hashes.
    pub lost: Vec<RangeInclusive<u64>>,
    /// The name to which the other program's file was moved.
    pub aside: Option<String>,
}

impl fmt::Display for Restoration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cause)?;
        if self.lost.is_empty() {
            f.write_str("; it was restored, no line is lost")?;
        } else {
            f.write_str("; it was restored, but for these lines, which are lost: ")?;
            for (index, range) in self.lost.iter().enumerate() {
                let comma = if index > 0 { ", " } else { "" };
                let (first, last) = (range.start(), range.end());
                if first == last {
                    write!(f, "{comma}{first}")
                } else {
                    write!(f, "{comma}{first} to {last}")
                }?;
            }
        }
        match &self.aside {
            Some(aside) => write!(f, "; the file in its place was moved to `{aside}`"),
            None => Ok(()),
        }
    }
}

/// An unfinished line, and the file it was moved to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TornTail {
    /// Its length.
    pub bytes: u64,
    /// The name of the file.
    pub file: String,
}

impl ControlRecord {
    fn kind(&self) -> &'static str {
        match self {
            Self::Genesis { .. } => "genesis",
            Self::Open { .. } => "open",
            Self::Close => "close",
            Self::Recovered { .. } | Self::Restored(_) => "recovered",
            Self::Gap { .. } => "gap",
            Self::Rotated { .. } => "rotated",
            Self::Checkpoint { .. } => "checkpoint",
            Self::Heartbeat => "heartbeat",
            Self::Key { .. } => "key",
            Self::Erased { .. } => "erased",
            Self::Indexed { .. } => "indexed",
            Self::Retired { .. } => "retired",
            Self::ShippingDropped { .. } => "shipping_dropped",
        }
    }

    fn level(&self) -> LogLevel {
        match self {
            Self::Gap { .. } => LogLevel::Critical,
            Self::Restored(restoration) if !restoration.lost.is_empty() => LogLevel::Critical,
            Self::Recovered { .. } | Self::Restored(_) | Self::ShippingDropped { .. } => LogLevel::Warning,
            Self::Retired { .. } | Self::Erased { .. } | Self::Key { .. } => LogLevel::Audit,
            _ => LogLevel::Info,
        }
    }

    fn action(&self) -> AuditAction {
        match self {
            Self::Genesis { .. } | Self::Open { .. } => AuditAction::Create,
            Self::Retired { .. } | Self::Erased { .. } => AuditAction::Delete,
            _ => AuditAction::Update,
        }
    }

    fn description(&self) -> String {
        match self {
            Self::Genesis { origin, .. } => format!("Audit trail of {origin} begun"),
            Self::Open { .. } => "Audit trail opened".to_owned(),
            Self::Close => "Audit trail closed".to_owned(),
            Self::Recovered { torn, unsigned_lines, replayed } => {
                let torn = torn.as_ref().map(|TornTail { bytes, file }| {
                    format!("{bytes} bytes of an unfinished line moved to {file}")
                });
                let replayed = (*replayed > 0).then(|| {
                    format!("{replayed} pending entries of its last process recovered from the journal")
                });
                let unsigned = (torn.is_none() && replayed.is_none())
                    .then(|| format!("its last process ended before {unsigned_lines} lines were signed"));
                let parts: Vec<_> = [torn, replayed, unsigned].into_iter().flatten().collect();
                format!("Audit trail recovered: {}", parts.join("; "))
            }
            Self::Restored(restoration) => format!("Audit trail recovered: {restoration}"),
            Self::Gap { count, why, .. } => format!("{count} entries could not be recorded: {why}"),
            Self::Rotated { segment, .. } => format!("Segment sealed as {segment}"),
            Self::Checkpoint { size, .. } => format!("Checkpoint of the first {size} lines"),
            Self::Heartbeat => "Audit trail idle".to_owned(),
            Self::Key { .. } => "Signing key replaced".to_owned(),
            Self::Erased { seq, reason, .. } => format!("Line {seq} erased: {reason}"),
            Self::Indexed { first_seq, .. } => format!("Segment from line {first_seq} on indexed"),
            Self::Retired { segment, why, .. } => format!("Segment {segment} retired: {why}"),
            Self::ShippingDropped { destination, next } => {
                format!("Shipping to {destination} dropped; it has the lines before line {next}")
            }
        }
    }

    fn fields(&self) -> Value {
        let kind = self.kind();
        match self {
            Self::Genesis { trail_id, origin, key, previous } => {
                let mut fields = json!({
                    "kind": kind, "format": FORMAT_VERSION, "trail_id": trail_id, "origin": origin,
                    "key": key,
                });
                if let Some(PreviousTrail { trail_id, note, moved_to, why }) = previous {
                    fields["previous"] = json!({
                        "trail_id": trail_id, "note": note, "moved_to": moved_to, "why": why,
                    });
                }
                fields
            }
            Self::Open { instance, key, heartbeat } => json!({
                "kind": kind, "version": env!("CARGO_PKG_VERSION"), "pid": std::process::id(),
                "instance": instance, "key": key, "heartbeat_s": heartbeat.as_secs(),
            }),
            Self::Close => json!({"kind": kind, "pid": std::process::id()}),
            Self::Recovered { torn, unsigned_lines, replayed } => {
                let mut fields = json!({"kind": kind, "unsigned_lines": unsigned_lines});
                if *replayed > 0 {
                    fields["replayed"] = json!(replayed);
                }
                if let Some(TornTail { bytes, file }) = torn {
                    fields["torn_bytes"] = json!(bytes);
                    fields["torn_file"] = json!(file);
                }
                fields
            }
            Self::Restored(Restoration { name, cause, lost, aside }) => {
                let mut fields = json!({"kind": kind, "segment": name, "cause": cause});
                if !lost.is_empty() {
                    fields["lost"] = lost.iter().map(|range| json!([range.start(), range.end()])).collect();
                }
                if let Some(aside) = aside {
                    fields["aside"] = json!(aside);
                }
                fields
            }
            Self::Gap { count, first, last, why } => json!({
                "kind": kind, "count": count, "first": first.to_string(), "last": last.to_string(),
                "why": why,
            }),
            Self::Rotated { segment, first_seq, last_seq, bytes } => json!({
                "kind": kind, "segment": segment, "first_seq": first_seq, "last_seq": last_seq,
                "bytes": bytes,
            }),
            Self::Checkpoint { size, note } => json!({"kind": kind, "size": size, "note": note}),
            Self::Heartbeat => json!({"kind": kind}),
            Self::Key { old, new } => json!({"kind": kind, "old": old, "new": new}),
            Self::Erased { seq, leaf_hash, reason } => {
                json!({"kind": kind, "seq": seq, "leaf_hash": to_hex(leaf_hash), "reason": reason})
            }
            Self::Indexed { first_seq, sha256 } => {
                json!({"kind": kind, "first_seq": first_seq, "sha256": to_hex(sha256)})
            }
            Self::Retired { segment, first_seq, frontier, why } => json!({
                "kind": kind, "segment": segment, "first_seq": first_seq,
                "last_seq": frontier.end().saturating_sub(1),
                "root": frontier.root().map(|root| to_hex(&root)),
                "frontier": frontier.hashes().map(|hash| to_hex(hash)).collect::<Vec<_>>(),
                "why": why,
            }),
            Self::ShippingDropped { destination, next } => {
                json!({"kind": kind, "destination": destination, "next": next})
            }
        }
    }

    /// Encodes the body of its line.
    pub fn encode(&self, envelope: &Envelope, clock: &dyn Clock) -> Result<Vec<u8>> {
        let mut entry = Entry::new(self.description(), BusinessModule::System, self.action());
        entry.level = self.level();
        entry.success = match self {
            Self::Gap { .. } => false,
            Self::Restored(restoration) => restoration.lost.is_empty(),
            _ => true,
        };
        entry.control_record = Some(self.fields());
        let now = Timestamp::of(clock.now());
        with_scratch(|scratch| {
            envelope.encode(scratch, &entry, None, new_id(now), now)?;
            Ok(scratch.body().to_vec())
        })
    }
}
