//! Time stamps: what an authority answered, and its verification.

use std::fmt;
use std::time::Duration;

use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, alg_id};
use webpki::ring::{RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert};

use crate::certificate::Certificate;
use crate::der::{NULL, OID, SET, written};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::info::Info;
use crate::request::Request;
use crate::roots::{Roots, unusable};
use crate::token::{TST_INFO, Token, granted};

/// An RSA key with any hash function. CMS says which one elsewhere.
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];

/// The answer of an authority, which grants a time stamp (`TimeStampResp`).
#[derive(Clone)]
pub struct Stamp {
    response: Vec<u8>,
}

/// What a verified time stamp says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stamped {
    /// The time at which what was stamped existed, in seconds since 1970.
    pub at: u64,
    /// How far the authority's clock may be off, as it says; zero if it does not say.
    pub accuracy: Duration,
    /// The name of the signer, from its certificate.
    pub authority: String,
}

impl fmt::Debug for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stamp").field("bytes", &self.response.len()).finish_non_exhaustive()
    }
}

impl Stamp {
    /// Parses an answer. Nothing is verified.
    ///
    /// # Errors
    /// `is_refusal` if the authority did not grant a time stamp, with its reason; otherwise what cannot be
    /// read.
    pub fn parse(response: &[u8]) -> Result<Self> {
        read(response)?;
        Ok(Self { response: response.to_owned() })
    }

    /// Returns the answer as it came.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.response
    }

    /// Checks that it answers this request: the nonce, the hash of what is stamped, and the signature with
    /// the certificate in the token. Whether that certificate can be trusted is left to [`Stamp::verify`].
    ///
    /// # Errors
    /// What does not match.
    pub fn answers(&self, request: &Request) -> Result<Stamped> {
        let (token, info) = read(&self.response)?;
        if info.nonce != Some(request.nonce()) {
            return Err(Error::new("the time stamp answers another request: its nonce is not the one sent"));
        }
        check(&token, &info, request.stamped().as_bytes()).map(|signer| stamped(&info, &signer))
    }

    /// Checks that it was made for these bytes, as [`Stamp::verify`] but without the chain of certificates.
    /// Anyone can make such a stamp.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self, stamped_bytes: &[u8]) -> Result<Stamped> {
        let (token, info) = read(&self.response)?;
        check(&token, &info, stamped_bytes).map(|signer| stamped(&info, &signer))
    }

    /// Verifies that it was made for these bytes by an authority that one of the roots vouches for. The time
    /// of verification does not matter: certificates must have been valid when the stamp was made.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn verify(&self, stamped_bytes: &[u8], roots: &Roots) -> Result<Stamped> {
        let (token, info) = read(&self.response)?;
        let signer = check(&token, &info, stamped_bytes)?;
        roots.verify(&signer, &token, info.at)?;
        Ok(stamped(&info, &signer))
    }
}

fn stamped(info: &Info<'_>, signer: &Certificate<'_>) -> Stamped {
    Stamped { at: info.at, accuracy: info.accuracy, authority: signer.name() }
}

fn read(response: &[u8]) -> Result<(Token<'_>, Info<'_>)> {
    let token = Token::parse(granted(response)?)?;
    let info = Info::parse(token.info).ok_or_else(|| Error::malformed("the signed content of its token"))?;
    Ok((token, info))
}

/// Checks everything but the chain of certificates. Returns the certificate of the signer.
fn check<'a>(token: &Token<'a>, info: &Info<'_>, stamped_bytes: &[u8]) -> Result<Certificate<'a>> {
    let fails = |what: &str| Err(Error::new(format!("the time stamp is not valid: {what}")));
    let (digest, hash) = info.imprint;
    if digest.of(stamped_bytes).as_ref() != hash {
        return Err(Error::new("the time stamp is for other bytes: its hash is not that of the checkpoint"));
    }
    let Some(signer) = token.signer() else {
        return fails("its token does not contain the certificate of its signer");
    };
    let attributes = &token.attributes;
    if attributes.content_type != Some(TST_INFO) {
        return fails("its signature is for another type of content");
    }
    if attributes.message_digest != Some(token.digest.of(token.info).as_ref()) {
        return fails("its signature is for other content");
    }
    let names_signer = |(digest, hash): &(Digest, &[u8])| digest.of(signer.der).as_ref() == *hash;
    if attributes.certificate_hashes.is_empty() || !attributes.certificate_hashes.iter().all(names_signer) {
        return fails("its signature names another certificate than that of its signer");
    }
    if !signer.is_for_time_stamping() {
        return fails(
            "the certificate of its signer is not for time stamping and nothing else (a critical extended \
             key usage)",
        );
    }
    verify_signature(token, &signer)?;
    Ok(signer)
}

fn verify_signature(token: &Token<'_>, signer: &Certificate<'_>) -> Result<()> {
    let algorithms = algorithms(token);
    if algorithms.is_empty() {
        return Err(Error::new(
            "the signature of the time stamp has an unknown algorithm: RSA and ECDSA (P-256 and P-384), with \
             SHA-2, are known",
        ));
    }
    let der = CertificateDer::from(signer.der);
    let entity = EndEntityCert::try_from(&der).map_err(|error| unusable(&error))?;
    // What is signed has the tag of a set instead of that of its field (RFC 5652, 5.4).
    let message = written(SET, token.attributes.content);
    let is_valid = |algorithm: &&dyn SignatureVerificationAlgorithm| {
        entity.verify_signature(*algorithm, &message, token.signature).is_ok()
    };
    if algorithms.iter().any(is_valid) {
        Ok(())
    } else {
        Err(Error::new("the signature of the time stamp is not valid"))
    }
}

/// Returns the algorithms that the token's signature may have: the name of ECDSA does not say which curve.
fn algorithms(token: &Token<'_>) -> Vec<&'static dyn SignatureVerificationAlgorithm> {
    let named = token.signature_algorithm;
    let rsa = written(OID, RSA);
    if named == rsa || named == [rsa, written(NULL, &[])].concat() {
        return match token.digest {
            Digest::Sha256 => vec![RSA_PKCS1_2048_8192_SHA256],
            Digest::Sha384 => vec![RSA_PKCS1_2048_8192_SHA384],
            Digest::Sha512 => vec![RSA_PKCS1_2048_8192_SHA512],
            Digest::Sha1 => Vec::new(),
        };
    }
    ALL_VERIFICATION_ALGS
        .iter()
        .copied()
        .filter(|algorithm| algorithm.signature_alg_id().as_ref() == named)
        .filter(|algorithm| algorithm.signature_alg_id() != alg_id::ED25519)
        .collect()
}
