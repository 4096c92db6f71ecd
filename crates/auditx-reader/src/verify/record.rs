//! The trail's own records, as far as verifying needs them.
//!
//! Comes in: lines. Goes out: what the few that are records of ours say. That a line is none of them is seen without
//! parsing it: every line has its time and level at a fixed place.

use auditx_core::{CompactRange, Hash, SignedCheckpoint, VerifierKey, hash_from_hex, retired_frontier};
use serde::Deserialize;

use super::projection::is_sensitive;
use crate::line::OWN_RECORD;

/// `2026-11-24T15:24:54.123456Z`
pub(super) const TIMESTAMP: usize = 27;

/// What stands between a line's number and its time, around an id of so many bytes.
const BEFORE_ID: &[u8] = b"\"id\":\"";
const ID: usize = 36;
const BEFORE_TIME: &[u8] = b"\",\"timestamp\":\"";

const BEFORE_LEVEL: &[u8] = b"\",\"level\":\"";
const LONGEST_LEVEL: usize = 8;

/// The module of every own record.
const OURS: &[u8] = b",\"module\":\"system\"";

/// What a record says.
#[derive(Debug)]
pub(crate) enum Record {
    Genesis {
        log_name: String,
        key: Option<VerifierKey>,
    },
    Open {
        heartbeat: u64,
    },
    Checkpoint(Claim),
    Key {
        old: VerifierKey,
        new: VerifierKey,
    },
    Erased {
        seq: u64,
        hash: Hash,
    },
    /// Lines that another program took away and that could not be restored, as ranges of their numbers.
    Lost {
        ranges: Vec<(u64, u64)>,
    },
    /// The tree over the lines that were retired, up to the first one that is left.
    Retired {
        frontier: CompactRange,
    },
    /// A record that must be one of those and cannot be read.
    Unreadable(&'static str),
}

/// A checkpoint recorded in the trail.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) note: SignedCheckpoint,
    /// Those of the keys known by then that signed it.
    pub(crate) signers: Vec<VerifierKey>,
}

/// What stands at the fixed places of a line after its number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head<'l> {
    pub(super) timestamp: &'l [u8; TIMESTAMP],
    /// From the time's closing quote on.
    rest: &'l [u8],
}

impl<'l> Head<'l> {
    /// `body` is the line after its number and the comma; none where it is not built like a line of ours.
    #[inline]
    pub(super) fn of(body: &'l [u8]) -> Option<Self> {
        let (id, rest) = body.split_at_checked(BEFORE_ID.len() + ID)?;
        let rest = rest.strip_prefix(BEFORE_TIME)?;
        let (timestamp, rest) = rest.split_first_chunk()?;
        id.starts_with(BEFORE_ID).then_some(Self { timestamp, rest })
    }

    /// Whether the level is one of those that `security.jsonl` repeats.
    #[inline]
    pub(super) fn is_sensitive(self) -> bool {
        self.rest.strip_prefix(BEFORE_LEVEL).is_some_and(is_sensitive)
    }

    /// Whether the line may be a record of the trail's own: those without a doubt are none.
    #[inline]
    pub(super) fn may_be_ours(self) -> bool {
        let Some(level) = self.rest.strip_prefix(BEFORE_LEVEL) else { return false };
        let end = level.iter().take(LONGEST_LEVEL + 1).position(|&byte| byte == b'"');
        end.is_some_and(|end| level[end + 1..].starts_with(OURS))
            && memchr::memmem::find(self.rest, OWN_RECORD).is_some()
    }
}

/// The record in a line; none where it has none that matters here. `keys` are those that may have signed a checkpoint in
/// it.
pub(crate) fn read(line: &[u8], keys: &[VerifierKey]) -> Option<Record> {
    let Line { auditx: fields } = serde_json::from_slice(line).ok()?;
    let fields = fields?;
    let unreadable = |record: Option<Record>, what| Some(record.unwrap_or(Record::Unreadable(what)));
    match &*fields.kind {
        "genesis" => Some(Record::Genesis {
            log_name: format!("{}/auditx/{}", fields.origin, fields.trail_id),
            key: fields.key.parse().ok(),
        }),
        "open" => Some(Record::Open { heartbeat: fields.heartbeat_s }),
        "checkpoint" => unreadable(claim(&fields, keys), "the checkpoint recorded here cannot be read"),
        "key" => unreadable(key(&fields), "the change of keys recorded here cannot be read"),
        "recovered" if !fields.lost.is_empty() => Some(Record::Lost { ranges: fields.lost }),
        "erased" => unreadable(erased(&fields), "the erasure recorded here cannot be read"),
        "retired" => {
            let record = retired_frontier(line).map(|frontier| Record::Retired { frontier });
            unreadable(record, "the retirement recorded here cannot be read")
        }
        _ => None,
    }
}

/// The kind of the control record in a line; `None` if it holds none.
pub(crate) fn read_kind(line: &[u8]) -> Option<String> {
    memchr::memmem::find(line, OWN_RECORD)?;
    let Line { auditx: fields } = serde_json::from_slice(line).ok()?;
    fields.map(|fields| fields.kind)
}

#[derive(Deserialize)]
struct Line {
    auditx: Option<Fields>,
}

/// All fields of all kinds that are used here.
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
}

fn claim(fields: &Fields, keys: &[VerifierKey]) -> Option<Record> {
    let note = SignedCheckpoint::parse(fields.note.as_bytes()).ok()?;
    let signers = note.verify(keys).unwrap_or_default().into_iter().cloned().collect();
    (fields.size == Some(note.size())).then_some(Record::Checkpoint(Claim { note, signers }))
}

fn key(fields: &Fields) -> Option<Record> {
    Some(Record::Key { old: fields.old.parse().ok()?, new: fields.new.parse().ok()? })
}

fn erased(fields: &Fields) -> Option<Record> {
    Some(Record::Erased { seq: fields.seq?, hash: hash_from_hex(&fields.leaf_hash)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = r#""id":"01990000-0000-7000-8000-000000000000","timestamp":"2026-11-24T15:24:54.123456Z","level":"INFO","module":"system","action":"UPDATE","success":true,"auditx":{"kind":"open","heartbeat_s":60}}"#;

    #[test]
    fn only_lines_built_like_our_records_are_looked_into() {
        let head = |body: &str| Head::of(body.as_bytes()).is_some_and(Head::may_be_ours);
        assert!(head(BODY) && head(&BODY.replace("INFO", "CRITICAL")));
        for other in [
            BODY.replace("\"system\"", "\"sales\""),
            BODY.replace("\"auditx\":{", "\\\"auditx\\\":{"),
            BODY.replace("timestamp", "timestump"),
            BODY.replace("\"INFO\"", "\"INFORMATION\""),
            BODY[..40].to_owned(),
            String::new(),
        ] {
            assert!(!head(&other), "{other}");
        }
        let line = format!("{{\"seq\":1,{BODY}");
        assert!(matches!(read(line.as_bytes(), &[]), Some(Record::Open { heartbeat: 60 })));
    }

    #[test]
    fn a_record_that_cannot_be_read_is_one_all_the_same() {
        for kind in ["checkpoint", "key", "erased", "retired"] {
            let line =
                format!(r#"{{"auditx":{{"kind":"{kind}","size":5,"note":"x","leaf_hash":"","seq":1}}}}"#);
            assert!(matches!(read(line.as_bytes(), &[]), Some(Record::Unreadable(_))), "{kind}");
        }
        for line in [r#"{"auditx":{"kind":"heartbeat"}}"#, r#"{"metadata":{"auditx":{"kind":"key"}}}"#, "{"] {
            assert!(read(line.as_bytes(), &[]).is_none(), "{line}");
        }
    }
}
