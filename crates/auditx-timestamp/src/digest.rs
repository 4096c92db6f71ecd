//! The hash functions of time stamps.

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA384, SHA512, digest};

use crate::der::{NULL, OID, Reader, SEQUENCE, written};

const SHA1_OID: &[u8] = &[0x2b, 0x0e, 0x03, 0x02, 0x1a];
const SHA256_OID: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
const SHA384_OID: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02];
const SHA512_OID: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Digest {
    /// Only where a certificate is named, never for what is signed.
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

impl Digest {
    /// Reads an `AlgorithmIdentifier` of SHA-2 from its content; `None` for others.
    pub(crate) fn parse(mut algorithm: Reader<'_>) -> Option<Self> {
        let oid = algorithm.expect(OID)?;
        algorithm.optional(NULL)?;
        algorithm.end()?;
        [Self::Sha256, Self::Sha384, Self::Sha512].into_iter().find(|digest| digest.oid() == oid)
    }

    /// Writes its `AlgorithmIdentifier`.
    pub(crate) fn written(self) -> Vec<u8> {
        written(SEQUENCE, &[written(OID, self.oid()), written(NULL, &[])].concat())
    }

    pub(crate) fn of(self, bytes: &[u8]) -> impl AsRef<[u8]> + use<> {
        digest(
            match self {
                Self::Sha1 => &SHA1_FOR_LEGACY_USE_ONLY,
                Self::Sha256 => &SHA256,
                Self::Sha384 => &SHA384,
                Self::Sha512 => &SHA512,
            },
            bytes,
        )
    }

    fn oid(self) -> &'static [u8] {
        match self {
            Self::Sha1 => SHA1_OID,
            Self::Sha256 => SHA256_OID,
            Self::Sha384 => SHA384_OID,
            Self::Sha512 => SHA512_OID,
        }
    }
}
