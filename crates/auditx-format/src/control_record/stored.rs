//! Reads control records from lines. What they state is only as trustworthy as the line.

use auditx_tlog::{CompactRange, Hash, SignedCheckpoint, VerifierKey, hash_from_hex, log_name};
use serde::Deserialize;
use serde_json::{Map, Value};

/// The beginning of the reserved object in a line.
pub const CONTROL_RECORD: &[u8] = br#""auditx":{"#;

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
        /// The interval of `heartbeat` records in an idle trail, in seconds; 0 if the record does not state
        /// it.
        heartbeat: u64,
        /// The signing key; `None` if it cannot be read.
        key: Option<VerifierKey>,
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
        let (record, what) = match fields.text("kind")? {
            "genesis" => {
                let log_name = log_name(fields.text("origin")?, fields.text("trail_id")?);
                return Some(Self::Genesis { log_name, key: fields.key("key") });
            }
            "open" => {
                let heartbeat = fields.number("heartbeat_s").unwrap_or(0);
                return Some(Self::Open { heartbeat, key: fields.key("key") });
            }
            "recovered" if !fields.0.contains_key("lost") => return None,
            "recovered" => (fields.lost(), "the lost lines recorded here cannot be read"),
            "checkpoint" => (fields.checkpoint(), "the checkpoint recorded here cannot be read"),
            "key" => (fields.key_change(), "the key change recorded here cannot be read"),
            "erased" => (fields.erased(), "the erasure recorded here cannot be read"),
            "retired" => (fields.retired(), "the retirement recorded here cannot be read"),
            "indexed" => (fields.indexed(), "the index recorded here cannot be read"),
            _ => return None,
        };
        Some(record.unwrap_or(Self::Unreadable(what)))
    }

    /// Returns the kind of the control record in a line; `None` if the line holds none.
    #[must_use]
    pub fn kind(line: &[u8]) -> Option<String> {
        Fields::of(line)?.text("kind").map(str::to_owned)
    }

    /// Returns the key that signs from this record on, if it names one.
    #[must_use]
    pub fn signing_key(&self) -> Option<&VerifierKey> {
        match self {
            Self::Genesis { key, .. } => key.as_ref(),
            Self::Key { new, .. } => Some(new),
            _ => None,
        }
    }
}

#[derive(Deserialize)]
struct Line {
    auditx: Option<Map<String, Value>>,
}

/// The reserved object of a line.
struct Fields(Map<String, Value>);

impl Fields {
    fn of(line: &[u8]) -> Option<Self> {
        memchr::memmem::find(line, CONTROL_RECORD)?;
        let Line { auditx } = serde_json::from_slice(line).ok()?;
        auditx.map(Self)
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.0.get(name)?.as_u64()
    }

    fn hash(&self, name: &str) -> Option<Hash> {
        hash_from_hex(self.text(name)?)
    }

    fn key(&self, name: &str) -> Option<VerifierKey> {
        self.text(name)?.parse().ok()
    }

    fn lost(&self) -> Option<StoredRecord> {
        let ranges = serde_json::from_value(self.0.get("lost")?.clone()).ok()?;
        Some(StoredRecord::Lost { ranges })
    }

    fn checkpoint(&self) -> Option<StoredRecord> {
        let checkpoint = SignedCheckpoint::parse(self.text("note")?.as_bytes()).ok()?;
        (self.number("size") == Some(checkpoint.size())).then_some(StoredRecord::Checkpoint(checkpoint))
    }

    fn key_change(&self) -> Option<StoredRecord> {
        Some(StoredRecord::Key { old: self.key("old")?, new: self.key("new")? })
    }

    fn erased(&self) -> Option<StoredRecord> {
        Some(StoredRecord::Erased { seq: self.number("seq")?, hash: self.hash("leaf_hash")? })
    }

    fn retired(&self) -> Option<StoredRecord> {
        let hashes = self.0.get("frontier")?.as_array()?.iter().map(|hash| hash_from_hex(hash.as_str()?));
        let hashes = hashes.collect::<Option<Vec<Hash>>>()?;
        let frontier = CompactRange::frontier(self.number("last_seq")?.checked_add(1)?, &hashes).ok()?;
        Some(StoredRecord::Retired { frontier })
    }

    fn indexed(&self) -> Option<StoredRecord> {
        Some(StoredRecord::Indexed { first_seq: self.number("first_seq")?, sha256: self.hash("sha256")? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unreadable_control_record_is_reported() {
        for kind in ["checkpoint", "key", "erased", "retired", "indexed", "recovered"] {
            // Fields of a wrong type too.
            let line = format!(
                r#"{{"auditx":{{"kind":"{kind}","size":"5","note":"x","leaf_hash":"","seq":[],"lost":null}}}}"#
            );
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
