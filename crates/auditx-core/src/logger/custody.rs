//! Administrative operations on a trail: key rotation, erasure, retirement, and replacement of a corrupt
//! trail.

use std::path::PathBuf;

use auditx_format::{Error, Result};
use auditx_store::config::{Config, Retention};
use auditx_store::key_source::KeySource;
use auditx_store::maintenance::Retired;
use auditx_store::writer::{KeyChange, Writer};
use auditx_tlog::{Hash, SignedCheckpoint, VerifierKey};

use super::AuditLogger;

impl AuditLogger {
    /// Returns the latest signed checkpoint. `None` before the first one, and if this is the process-wide
    /// logger and it could not be opened.
    ///
    /// Store it with a party that cannot be reached from this machine: the lines it covers can then no longer
    /// be changed or removed without detection.
    #[must_use]
    pub fn checkpoint(&self) -> Option<SignedCheckpoint> {
        self.core().ok()?.writer.checkpoint()
    }

    /// Returns the public key that verifies the checkpoints of this trail.
    ///
    /// # Errors
    /// The error of opening, if this is the process-wide logger and it could not be opened.
    pub fn verifier_key(&self) -> Result<VerifierKey> {
        Ok(self.core()?.writer.verifier_key())
    }

    /// Replaces the signing key.
    ///
    /// Both public keys are recorded in the trail, and both keys sign the checkpoint at the boundary, so that
    /// a verifier that pinned the old key can accept the new one. With [`KeySource::Trail`] a new key is
    /// generated and the old one is destroyed. With any other source, configure that source before the next
    /// open.
    ///
    /// # Errors
    /// - `is_invalid` if the new key is the current key or cannot be read.
    /// - `is_signing` if either key cannot sign.
    /// - `is_storage` if a file system operation fails.
    /// - `is_timed_out` if earlier entries are not durable within a minute.
    pub fn rotate_key(&self, next: &KeySource) -> Result<KeyChange> {
        self.core()?.writer.rotate_key(next)
    }

    /// Erases the text of one line and records the reason. Returns the hash that replaces the line; all
    /// proofs remain valid.
    ///
    /// Prefer not to store data that may have to be erased (see [`crate::Redaction`]): copies made by hooks
    /// and backups are not erased.
    ///
    /// # Errors
    /// - `is_invalid` if there is no such line, or it is a control record, or it is already erased.
    /// - `is_storage` if a file system operation fails. The call can then be repeated.
    /// - `is_timed_out` if earlier entries are not durable within a minute.
    pub fn erase(&self, seq: u64, reason: &str) -> Result<Hash> {
        self.core()?.writer.erase(seq, reason)
    }

    /// Deletes the sealed segments that `retention` does not keep, oldest first. Stops at the first segment
    /// that a follower with a cursor in the trail has not read. Each deletion leaves a signed `retired`
    /// record, and the remaining lines can still be proved.
    ///
    /// # Errors
    /// `is_corrupt` if the tree is not what was signed; `is_storage` if a file system operation fails;
    /// `is_timed_out` if earlier entries are not durable within a minute.
    pub fn retire(&self, retention: Retention) -> Result<Retired> {
        self.core()?.writer.retire(retention)
    }

    /// Removes a destination that the trail is shipped to. Returns the seq of the first line that it may
    /// lack.
    ///
    /// Retention no longer waits for this destination. The removal is recorded in the trail before it takes
    /// effect. Stop the shipper of this destination first.
    ///
    /// # Errors
    /// `is_invalid` if the trail is not shipped to this destination; `is_storage` if a file system operation
    /// fails; `is_timed_out` if earlier entries are not durable within a minute.
    pub fn drop_shipping(&self, destination: &str) -> Result<u64> {
        self.core()?.writer.drop_shipping(destination)
    }

    /// Replaces a trail that cannot be opened because it is corrupt, that is, not what was signed. Returns
    /// the logger of a new trail, and the directory to which the old trail was moved.
    ///
    /// The old trail is moved as a whole. The first record of the new trail holds the last signed checkpoint
    /// of the old one. Opening checks only names, lengths and ends of files; if `auditx verify` reports a
    /// trail as broken that can be opened, use [`AuditLogger::replace_broken`].
    ///
    /// # Errors
    /// `is_invalid` if the trail can be opened; otherwise the same as [`AuditLogger::replace_broken`].
    pub fn replace_corrupt(config: Config) -> Result<(Self, PathBuf)> {
        let why = match Self::open(config.clone()) {
            Ok(logger) => {
                drop(logger);
                return Err(Error::invalid(
                    "the trail matches its checkpoint and can be opened; there is nothing to recover",
                ));
            }
            // A modified checkpoint may look like one signed by another key.
            Err(error) if error.is_corrupt() || error.is_signing() => error.to_string(),
            Err(error) => return Err(error),
        };
        Self::replace_broken(config, &why)
    }

    /// Replaces a trail like [`AuditLogger::replace_corrupt`], but without trying to open it. `why` describes
    /// the damage and is written to the first record of the new trail.
    ///
    /// # Errors
    /// `is_locked` if a process has the trail open; `is_storage` if a file system operation fails.
    pub fn replace_broken(config: Config, why: &str) -> Result<(Self, PathBuf)> {
        let (writer, moved_to) = Writer::replace_broken(&config, why)?;
        Ok((Self::of(writer), moved_to))
    }
}
