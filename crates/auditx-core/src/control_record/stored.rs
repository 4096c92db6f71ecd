//! Reads control records from lines. What they state is only as trustworthy as the line.

use auditx_tlog::{CompactRange, Hash, SignedCheckpoint, VerifierKey, hash_from_hex, log_name};
use serde::Deserialize;

/// The beginning of the reserved object in a line.
const CONTROL_RECORD: &[u8] = br#""auditx":{"#;

/// The content of a control record, for the kinds that readers and recovery use.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum StoredRecord {
    /// The first line of a trail.
    Genesis {
        /// The name of the trail's log.
        log_name: String,
        /// The first signing key; `None` if it cannot be read.
        key: Option<VerifierKey>,
    },
    /// A process opened the trail.
    Open {
        /// The longest time without a line, in seconds; 0 if it is not stated.
        heartbeat: u64,
    },
    /// A checkpoint of the lines before it.
    Checkpoint(SignedCheckpoint),
    /// The signing key was replaced.
    Key {
        /// The key that signed before.
        old: VerifierKey,
        /// The key that signs from here on.
        new: VerifierKey,
    },
    /// The text of a line was erased.
    Erased {
        /// The line.
        seq: u64,
        /// Its leaf hash.
        hash: Hash,
    },
    /// Lines that another program removed and that could not be restored.
    Lost {
        /// First and last seq of each range.
        ranges: Vec<(u64, u64)>,
    },
    /// Segments were retired.
    Retired {
        /// The tree over all retired lines.
        frontier: CompactRange,
    },
    /// A skip index was written.
    Indexed {
        /// The first seq of its segment.
        first_seq: u64,
        /// Its SHA-256.
        sha256: Hash,
    },
    /// A record of one of these kinds that cannot be read, and what it is.
    Unreadable(&'static str),
}

impl StoredRecord {
    /// Reads the control record in a line; `None` if the line holds none, or one of another kind.
    #[must_use]
    pub fn read(line: &[u8]) -> Option<Self> {
        let fields = Fields::of(line)?;
        let unreadable = |record: Option<Self>, what| Some(record.unwrap_or(Self::Unreadable(what)));
        match &*fields.kind {
            "genesis" => Some(Self::Genesis {
                log_name: log_name(&fields.origin, &fields.trail_id),
                key: fields.key.parse().ok(),
            }),
            "open" => Some(Self::Open { heartbeat: fields.heartbeat_s }),
            "checkpoint" => unreadable(fields.checkpoint(), "the checkpoint recorded here cannot be read"),
            "key" => unreadable(fields.key_change(), "the key change recorded here cannot be read"),
            "recovered" if !fields.lost.is_empty() => Some(Self::Lost { ranges: fields.lost }),
            "erased" => unreadable(fields.erased(), "the erasure recorded here cannot be read"),
            "retired" => unreadable(fields.retired(), "the retirement recorded here cannot be read"),
            "indexed" => fields.indexed(),
            _ => None,
        }
    }

    /// Returns the kind of the control record in a line; `None` if the line holds none.
    #[must_use]
    pub fn kind(line: &[u8]) -> Option<String> {
        Fields::of(line).map(|fields| fields.kind)
    }
}

#[derive(Deserialize)]
struct Line {
    auditx: Option<Fields>,
}

/// The fields of all kinds.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Fields {
    kind: String,
    trail_id: String,
    origin: String,
    key: String,
    heartbeat_s: u64,
    size: Option<u64>,
    note: String,
    old: String,
    new: String,
    seq: Option<u64>,
    leaf_hash: String,
    lost: Vec<(u64, u64)>,
    first_seq: Option<u64>,
    last_seq: Option<u64>,
    frontier: Vec<String>,
    sha256: String,
}

impl Fields {
    fn of(line: &[u8]) -> Option<Self> {
        memchr::memmem::find(line, CONTROL_RECORD)?;
        let Line { auditx } = serde_json::from_slice(line).ok()?;
        auditx
    }

    fn checkpoint(&self) -> Option<StoredRecord> {
        let checkpoint = SignedCheckpoint::parse(self.note.as_bytes()).ok()?;
        (self.size == Some(checkpoint.size())).then_some(StoredRecord::Checkpoint(checkpoint))
    }

    fn key_change(&self) -> Option<StoredRecord> {
        Some(StoredRecord::Key { old: self.old.parse().ok()?, new: self.new.parse().ok()? })
    }

    fn erased(&self) -> Option<StoredRecord> {
        Some(StoredRecord::Erased { seq: self.seq?, hash: hash_from_hex(&self.leaf_hash)? })
    }

    fn retired(&self) -> Option<StoredRecord> {
        let hashes: Option<Vec<Hash>> = self.frontier.iter().map(|hash| hash_from_hex(hash)).collect();
        let frontier = CompactRange::frontier(self.last_seq?.checked_add(1)?, &hashes?).ok()?;
        Some(StoredRecord::Retired { frontier })
    }

    fn indexed(&self) -> Option<StoredRecord> {
        Some(StoredRecord::Indexed { first_seq: self.first_seq?, sha256: hash_from_hex(&self.sha256)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unreadable_control_record_is_reported() {
        for kind in ["checkpoint", "key", "erased", "retired"] {
            let line =
                format!(r#"{{"auditx":{{"kind":"{kind}","size":5,"note":"x","leaf_hash":"","seq":1}}}}"#);
            assert!(
                matches!(StoredRecord::read(line.as_bytes()), Some(StoredRecord::Unreadable(_))),
                "{kind}"
            );
        }
        for line in [r#"{"auditx":{"kind":"heartbeat"}}"#, r#"{"metadata":{"auditx":{"kind":"key"}}}"#, "{"] {
            assert!(StoredRecord::read(line.as_bytes()).is_none(), "{line}");
        }
    }
}
