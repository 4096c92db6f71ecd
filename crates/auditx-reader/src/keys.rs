//! Which keys a trail says sign it. That is the trail's own word: whoever can write it can name a key of his own.

use std::path::Path;

use auditx_core::VerifierKey;
use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::line::{Line, OWN_RECORD};
use crate::lines::Lines;

/// A key that a trail names.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordedKey {
    /// The key.
    pub key: VerifierKey,
    /// The number of the line that names it first.
    pub seq: u64,
}

/// The keys that a trail names, in the order in which they were put in each other's place; none where the records that
/// named them were retired. Reads every line once; memory stays flat.
///
/// # Errors
/// `is_missing` where there is no such directory, `is_corrupt` where a key in a record cannot be read, and as reading does.
pub fn recorded_keys(directory: &Path) -> Result<Vec<RecordedKey>> {
    let mut keys: Vec<RecordedKey> = Vec::new();
    for line in Lines::all(directory)? {
        let line = line?;
        if let Some(found) = key_in(&line)?
            && keys.last().is_none_or(|last| last.key != found.key)
        {
            keys.push(found);
        }
    }
    Ok(keys)
}

fn key_in(line: &Line) -> Result<Option<RecordedKey>> {
    if memchr::memmem::find(line.bytes(), OWN_RECORD).is_none() {
        return Ok(None);
    }
    // What cannot be read at all is a matter of verifying.
    let (Some(seq), Ok(entry)) = (line.seq(), line.parse()) else { return Ok(None) };
    let Some(text) = entry.control_record.as_ref().and_then(named_in) else { return Ok(None) };
    let unreadable = |error: auditx_core::Error| {
        Error::corrupt(format!("the key named in line {seq} cannot be read"), line.path())
            .at_byte(line.offset())
            .because(error)
    };
    Ok(Some(RecordedKey { key: text.parse().map_err(unreadable)?, seq }))
}

fn named_in(record: &Map<String, Value>) -> Option<&str> {
    let text = |name: &str| record.get(name).and_then(Value::as_str);
    match text("kind")? {
        "genesis" | "open" => text("key"),
        "key" => text("new"),
        _ => None,
    }
}
