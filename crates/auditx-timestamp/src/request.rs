//! Requests for time stamps (RFC 3161, 2.4.1).

use auditx_tlog::SignedCheckpoint;
use ring::rand::{SecureRandom as _, SystemRandom};

use crate::der::{BOOLEAN, INTEGER, OCTET_STRING, SEQUENCE, only, written, written_unsigned};
use crate::digest::Digest;
use crate::error::{Error, Result};

/// A request to stamp a checkpoint.
#[derive(Debug, Clone)]
pub struct Request {
    stamped: String,
    der: Vec<u8>,
    /// The content of the integer.
    nonce: Vec<u8>,
}

impl Request {
    /// Makes a request for a checkpoint with the signatures of its log and without cosignatures. What is
    /// stamped includes the log's signature, so that a key that is stolen later cannot sign another history
    /// for this time.
    ///
    /// # Errors
    /// If the log itself did not sign it, or the system has no random numbers.
    pub fn of(checkpoint: &SignedCheckpoint) -> Result<Self> {
        let of_the_log = checkpoint.without_cosignatures().map_err(|error| Error::new(error.to_string()))?;
        let mut random = [0; 8];
        let filled = SystemRandom::new().fill(&mut random);
        filled.map_err(|_| Error::new("the system gives no random numbers for a nonce"))?;
        let nonce = written_unsigned(u64::from_be_bytes(random));
        let stamped = of_the_log.as_str().to_owned();
        let hash = Digest::Sha256.of(stamped.as_bytes());
        let imprint = [Digest::Sha256.written(), written(OCTET_STRING, hash.as_ref())].concat();
        let fields =
            [written_unsigned(1), written(SEQUENCE, &imprint), nonce.clone(), written(BOOLEAN, &[0xff])];
        let nonce = only(&nonce, INTEGER).unwrap_or_default().to_owned();
        Ok(Self { stamped, der: written(SEQUENCE, &fields.concat()), nonce })
    }

    /// Returns the `TimeStampReq` in DER, which is posted as `application/timestamp-query`.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.der
    }

    /// Returns what is stamped: the note of the checkpoint.
    #[must_use]
    pub fn stamped(&self) -> &str {
        &self.stamped
    }

    pub(crate) fn nonce(&self) -> &[u8] {
        &self.nonce
    }
}
