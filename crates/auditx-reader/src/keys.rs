//! The keys that a trail names as its signers. The trail is the only source: anyone who can write it can name
//! a key.

use std::path::Path;

use auditx_format::control_record::StoredRecord;
use auditx_store::AUDITX_DIR;
use auditx_tlog::Signer as _;
use auditx_tlog::{SigningKey, VerifierKey};

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
    // Unreadable lines are reported by verification, not here.
    let Some(seq) = line.seq() else { return Ok(None) };
    let key = match StoredRecord::read(line.bytes()) {
        Some(StoredRecord::Genesis { key, .. } | StoredRecord::Open { key, .. }) => key,
        Some(StoredRecord::Key { new, .. }) => Some(new),
        Some(StoredRecord::Unreadable(_)) if StoredRecord::kind(line.bytes()).as_deref() == Some("key") => {
            None
        }
        _ => return Ok(None),
    };
    let unreadable = || {
        let what = format!("the key named in line {seq} cannot be read");
        Error::corrupt(what, line.path()).at_byte(line.offset())
    };
    Ok(Some(RecordedKey { key: key.ok_or_else(unreadable)?, seq }))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use auditx_core::{AuditLogger, Config, KeySource};
    use auditx_store::ACTIVE;

    use super::*;

    #[test]
    fn each_key_is_named_by_the_first_line_that_it_signs() {
        let directory = tempfile::tempdir().unwrap();
        let logger = AuditLogger::open(Config::new(directory.path())).unwrap();
        let change = logger.rotate_key(&KeySource::Trail).unwrap();
        drop(logger);
        drop(AuditLogger::open(Config::new(directory.path())).unwrap());
        let found: Vec<_> = recorded_keys(directory.path()).unwrap().into_iter().map(|key| key.key).collect();
        assert_eq!(found, [change.old, change.new]);
    }

    #[test]
    fn a_key_that_cannot_be_read_is_an_error_with_its_line() {
        let directory = tempfile::tempdir().unwrap();
        let logger = AuditLogger::open(Config::new(directory.path())).unwrap();
        let key = logger.verifier_key().unwrap().to_string();
        drop(logger);
        let active = directory.path().join(ACTIVE);
        let text = fs::read_to_string(&active).unwrap();
        fs::write(&active, text.replacen(&key, "no key", 1)).unwrap();
        let error = recorded_keys(directory.path()).unwrap_err();
        assert!(error.is_corrupt() && error.to_string().contains("the key named in line 0"), "{error}");
    }
}
