//! The certificate authorities that an auditor trusts to name time-stamping authorities.

use std::time::Duration;

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use crate::certificate::{Certificate, TIME_STAMPING};
use crate::error::{Error, Result};
use crate::token::Token;

/// Root certificates, and intermediate ones that tokens may lack.
#[derive(Debug, Clone)]
pub struct Roots {
    anchors: Vec<TrustAnchor<'static>>,
    intermediates: Vec<CertificateDer<'static>>,
}

impl Roots {
    /// Parses certificates in PEM. Those that name themselves as their issuer are roots, the others complete
    /// the chains of tokens.
    ///
    /// # Errors
    /// If a certificate cannot be parsed, or none is a root.
    pub fn parse(pem: &[u8]) -> Result<Self> {
        let mut roots = Self { anchors: Vec::new(), intermediates: Vec::new() };
        for (index, certificate) in CertificateDer::pem_slice_iter(pem).enumerate() {
            let failed = |why: &dyn std::fmt::Display| {
                Error::new(format!("certificate {} of the file cannot be used: {why}", index + 1))
            };
            let der = certificate.map_err(|error| failed(&error))?;
            let parsed = Certificate::parse(&der).ok_or_else(|| failed(&"it is not in DER"))?;
            if parsed.issuer == parsed.subject {
                let anchor = anchor_from_trusted_cert(&der).map_err(|error| failed(&error))?;
                roots.anchors.push(anchor.to_owned());
            } else {
                roots.intermediates.push(der);
            }
        }
        if roots.anchors.is_empty() {
            return Err(Error::new(
                "the file has no root certificate: expected PEM with a certificate that its subject issued",
            ));
        }
        Ok(roots)
    }

    /// Verifies that a chain of certificates leads from the signer to a root, and that each was valid at this
    /// time, in seconds since 1970. That it has expired since does not matter. Revocation is not checked.
    pub(crate) fn verify(&self, signer: &Certificate<'_>, token: &Token<'_>, at: u64) -> Result<()> {
        let der = CertificateDer::from(signer.der);
        let entity = EndEntityCert::try_from(&der).map_err(|error| unusable(&error))?;
        let in_token = token.certificates.iter().map(|certificate| CertificateDer::from(certificate.der));
        let intermediates: Vec<CertificateDer<'_>> =
            in_token.chain(self.intermediates.iter().cloned()).collect();
        let time = UnixTime::since_unix_epoch(Duration::from_secs(at));
        // Authorities above the signer may have no usages. The signer's were checked.
        let usage = KeyUsage::required_if_present(TIME_STAMPING);
        entity
            .verify_for_usage(
                ALL_VERIFICATION_ALGS,
                &self.anchors,
                &intermediates,
                time,
                usage,
                None,
                None,
            )
            .map(drop)
            .map_err(|error| {
                Error::new(format!(
                    "no chain of certificates that were valid at that time leads from {} to one of the roots: \
                     {error}",
                    signer.name()
                ))
            })
    }
}

pub(crate) fn unusable(error: &webpki::Error) -> Error {
    Error::new(format!("the certificate of its signer cannot be used: {error}"))
}
