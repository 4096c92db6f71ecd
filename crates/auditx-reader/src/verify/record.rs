//! Reads the control records that verification needs.
//!
//! Most lines are recognised as ordinary entries without parsing, because every line has its time and level
//! at a fixed offset.

use auditx_core::VerifierKey;
use auditx_core::format::retired_frontier;
use auditx_core::tlog::{CompactRange, Hash, SignedCheckpoint, hash_from_hex};
use serde::Deserialize;

use super::projection::is_sensitive;
use crate::line::CONTROL_RECORD;

/// `2026-11-24T15:24:54.123456Z`
pub(super) const TIMESTAMP: usize = 27;

/// The text between a line's number and its time, around an id of [`ID`] bytes.
const BEFORE_ID: &[u8] = b"\"id\":\"";
const ID: usize = 36;
const BEFORE_TIME: &[u8] = b"\",\"timestamp\":\"";

const BEFORE_LEVEL: &[u8] = b"\",\"level\":\"";
const LONGEST_LEVEL: usize = 8;

/// The module of every control record.
const CONTROL_MODULE: &[u8] = b",\"module\":\"system\"";

/// The content of a control record.
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
    /// Lines that another program removed and that could not be restored, as ranges of their numbers.
    Lost {
        ranges: Vec<(u64, u64)>,
    },
    /// The tree over the retired lines, up to the first one that is left.
    Retired {
        frontier: CompactRange,
    },
    /// A record of one of these kinds that cannot be read.
    Unreadable(&'static str),
}

/// A checkpoint recorded in the trail.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) note: SignedCheckpoint,
    /// The known keys that signed it.
    pub(crate) signers: Vec<VerifierKey>,
}

/// The fixed fields of a line after its number.
#[derive(Debug, Clone, Copy)]
pub(super) struct LineHead<'l> {
    pub(super) timestamp: &'l [u8; TIMESTAMP],
    /// The rest of the line, from the closing quote of the time.
    rest: &'l [u8],
}

impl<'l> LineHead<'l> {
    /// `body` is the line after its number and the comma. `None` if it is not laid out like a line of auditx.
    #[inline]
    pub(super) fn of(body: &'l [u8]) -> Option<Self> {
        let (id, rest) = body.split_at_checked(BEFORE_ID.len() + ID)?;
        let rest = rest.strip_prefix(BEFORE_TIME)?;
        let (timestamp, rest) = rest.split_first_chunk()?;
        id.starts_with(BEFORE_ID).then_some(Self { timestamp, rest })
    }

    /// Whether `security.jsonl` repeats lines of this level.
    #[inline]
    pub(super) fn is_sensitive(self) -> bool {
        self.rest.strip_prefix(BEFORE_LEVEL).is_some_and(is_sensitive)
    }

    /// Whether the line may be a control record. `false` is certain.
    #[inline]
    pub(super) fn may_be_control_record(self) -> bool {
        let Some(level) = self.rest.strip_prefix(BEFORE_LEVEL) else { return false };
        let end = level.iter().take(LONGEST_LEVEL + 1).position(|&byte| byte == b'"');
        end.is_some_and(|end| level[end + 1..].starts_with(CONTROL_MODULE))
            && memchr::memmem::find(self.rest, CONTROL_RECORD).is_some()
    }
}

/// The control record in a line; `None` if it has none that matters for verification. `keys` are those that
/// may have signed a checkpoint in it.
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
        "key" => unreadable(key(&fields), "the key change recorded here cannot be read"),
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
    memchr::memmem::find(line, CONTROL_RECORD)?;
    let Line { auditx: fields } = serde_json::from_slice(line).ok()?;
    fields.map(|fields| fields.kind)
}

#[derive(Deserialize)]
struct Line {
    auditx: Option<Fields>,
}

/// The fields used of all kinds.
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

    const BODY: &str = concat!(
        r#""id":"01990000-0000-7000-8000-000000000000","timestamp":"2026-11-24T15:24:54.123456Z","#,
        r#""level":"INFO","module":"system","action":"UPDATE","success":true,"auditx":{"kind":"open","heartbeat_s":60}}"#,
    );

    #[test]
    fn only_lines_laid_out_like_control_records_are_parsed() {
        let head = |body: &str| LineHead::of(body.as_bytes()).is_some_and(LineHead::may_be_control_record);
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
    fn an_unreadable_control_record_is_reported() {
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
