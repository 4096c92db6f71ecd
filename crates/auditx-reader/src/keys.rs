//! The keys that a trail names as its signers. The trail is the only source: anyone who can write it can name
//! a key.

use std::path::Path;

use auditx_format::control_record::CONTROL_RECORD;
use auditx_store::AUDITX_DIR;
use auditx_tlog::Signer as _;
use auditx_tlog::{SigningKey, VerifierKey};
use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::file;
use crate::line::Line;
use crate::lines::Lines;

/// The file of a key that the trail stores itself, in `.auditx`.
pub(crate) const KEY: &str = "keys/signing.pem";

/// A key that a trail names as a signer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordedKey {
    /// The key.
    pub key: VerifierKey,
    /// The seq of the first line that names it.
    pub seq: u64,
}

/// Returns the keys that a trail names, in the order in which they replaced each other; none if the control
/// records that named them were retired. Reads every line once, in constant memory.
///
/// # Errors
/// `is_missing` if there is no such directory; `is_corrupt` if a key in a control record cannot be parsed;
/// and the errors of [`Lines`].
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

/// Returns the public part of the signing key in the directory of a trail, as a verifier key with the name of
/// the log; `None` if there is no such file or this user cannot read it.
///
/// # Errors
/// `is_invalid` if the file does not hold a key.
pub fn key_in_directory(directory: &Path, log_name: &str) -> Result<Option<VerifierKey>, auditx_tlog::Error> {
    let path = directory.join(AUDITX_DIR).join(KEY);
    let Ok(Some(bytes)) = file::read_small(&path) else { return Ok(None) };
    let key = SigningKey::from_pem(&String::from_utf8_lossy(&bytes))?;
    VerifierKey::new(log_name, &key.public_key()).map(Some)
}

fn key_in(line: &Line) -> Result<Option<RecordedKey>> {
    if memchr::memmem::find(line.bytes(), CONTROL_RECORD).is_none() {
        return Ok(None);
    }
    // Unreadable lines are reported by verification, not here.
    let (Some(seq), Ok(entry)) = (line.seq(), line.parse()) else { return Ok(None) };
    let Some(text) = entry.control_record.as_ref().and_then(named_in) else { return Ok(None) };
    let unreadable = |error: auditx_tlog::Error| {
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
