//! The answer of an authority and its token: a CMS signed message (RFC 5652) whose content is the `info`
//! (RFC 3161, 2.4.2). Parsing verifies nothing.

use crate::certificate::Certificate;
use crate::der::{
    BIT_STRING, INTEGER, OCTET_STRING, OID, Reader, SEQUENCE, SET, constructed, only, primitive, unsigned,
};
use crate::digest::Digest;
use crate::error::{Error, Result};

const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
pub(crate) const TST_INFO: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x01, 0x04];
const CONTENT_TYPE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x03];
const MESSAGE_DIGEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x04];
const SIGNING_CERTIFICATE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x02, 0x0c];
const SIGNING_CERTIFICATE_V2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x02, 0x2f];

/// The statuses with a token: granted, and granted with modifications.
const GRANTED: u64 = 1;

/// The reasons of a refusal, by the number of their bit (RFC 3161, 2.4.2).
const REFUSALS: [(usize, &str); 8] = [
    (0, "unknown hash function"),
    (2, "request not permitted"),
    (5, "wrong format"),
    (14, "no time available"),
    (15, "unaccepted policy"),
    (16, "unaccepted extension"),
    (17, "information not available"),
    (25, "system failure"),
];

/// A signed message with what a time stamp needs of it.
#[derive(Debug)]
pub(crate) struct Token<'a> {
    /// The info in DER: what is hashed.
    pub(crate) info: &'a [u8],
    /// Those that can be read, in the order of the token.
    pub(crate) certificates: Vec<Certificate<'a>>,
    signer: Signer<'a>,
    pub(crate) digest: Digest,
    pub(crate) attributes: Attributes<'a>,
    /// The content of its `AlgorithmIdentifier`.
    pub(crate) signature_algorithm: &'a [u8],
    pub(crate) signature: &'a [u8],
}

/// How the token names the certificate of its signer.
#[derive(Debug)]
enum Signer<'a> {
    Issued { issuer: &'a [u8], serial: &'a [u8] },
    KeyId(&'a [u8]),
}

/// The signed attributes. One that occurs twice makes the token unreadable.
#[derive(Debug, Default)]
pub(crate) struct Attributes<'a> {
    /// The content of the set.
    pub(crate) content: &'a [u8],
    pub(crate) content_type: Option<&'a [u8]>,
    pub(crate) message_digest: Option<&'a [u8]>,
    /// The hashes of the signer's certificate: there may be one in each of two attributes.
    pub(crate) certificate_hashes: Vec<(Digest, &'a [u8])>,
}

/// Reads an answer (`TimeStampResp`). Returns its token.
///
/// # Errors
/// `is_refusal`, with the authority's reason, if it has none.
pub(crate) fn granted(response: &[u8]) -> Result<&[u8]> {
    let (status, token) = answer(response).ok_or_else(|| Error::malformed("the answer"))?;
    match token {
        Some(token) if status.code <= GRANTED => Ok(token),
        None if status.code <= GRANTED => Err(Error::malformed("the token of the answer")),
        _ => Err(Error::refusal(format!(
            "the time-stamping authority refused the request: status {}{}",
            status.code, status.reasons
        ))),
    }
}

struct Status {
    code: u64,
    /// With a leading separator each.
    reasons: String,
}

fn answer(response: &[u8]) -> Option<(Status, Option<&[u8]>)> {
    let mut fields = Reader::new(only(response, SEQUENCE)?);
    let mut status = fields.sequence()?;
    let code = unsigned(status.expect(INTEGER)?)?;
    let mut reasons = String::new();
    let mut texts = Reader::new(status.optional(SEQUENCE)?.unwrap_or_default());
    while !texts.is_empty() {
        reasons += &format!(", {}", String::from_utf8_lossy(texts.value()?.content));
    }
    if let Some([_unused, bits @ ..]) = status.optional(BIT_STRING)? {
        let is_set = |bit: usize| bits.get(bit / 8).is_some_and(|byte| byte << (bit % 8) & 0x80 != 0);
        for (_, reason) in REFUSALS.iter().filter(|(bit, _)| is_set(*bit)) {
            reasons += &format!(", {reason}");
        }
    }
    status.end()?;
    let token = if fields.is_empty() { None } else { Some(fields.value()?.whole) };
    fields.end()?;
    Some((Status { code, reasons }, token))
}

impl<'a> Token<'a> {
    pub(crate) fn parse(token: &'a [u8]) -> Result<Self> {
        signed_data(token)
            .and_then(Self::of_signed_data)
            .ok_or_else(|| Error::malformed("the signed message of its token"))
    }

    fn of_signed_data(mut fields: Reader<'a>) -> Option<Self> {
        let _version = fields.expect(INTEGER)?;
        let _digests = fields.expect(SET)?;
        let mut content = fields.sequence()?;
        if content.expect(OID)? != TST_INFO {
            return None;
        }
        let info = only(content.expect(constructed(0))?, OCTET_STRING)?;
        content.end()?;
        let mut listed = Reader::new(fields.optional(constructed(0))?.unwrap_or_default());
        let mut certificates = Vec::new();
        while !listed.is_empty() {
            certificates.extend(Certificate::parse(listed.value()?.whole));
        }
        let _revocations = fields.optional(constructed(1))?;
        // There is exactly one signer.
        let mut signer_info = Reader::new(only(fields.expect(SET)?, SEQUENCE)?);
        fields.end()?;
        let _version = signer_info.expect(INTEGER)?;
        let signer = Signer::parse(&mut signer_info)?;
        let digest = Digest::parse(signer_info.sequence()?)?;
        let attributes = Attributes::parse(signer_info.expect(constructed(0))?)?;
        let signature_algorithm = signer_info.expect(SEQUENCE)?;
        let signature = signer_info.expect(OCTET_STRING)?;
        let _unsigned = signer_info.optional(constructed(1))?;
        signer_info.end()?;
        Some(Self { info, certificates, signer, digest, attributes, signature_algorithm, signature })
    }

    /// Returns the certificate of the signer, if the token has it.
    pub(crate) fn signer(&self) -> Option<Certificate<'a>> {
        let is_signer = |certificate: &&Certificate<'_>| match self.signer {
            Signer::Issued { issuer, serial } => certificate.issuer == issuer && certificate.serial == serial,
            Signer::KeyId(id) => certificate.key_id() == Some(id),
        };
        self.certificates.iter().find(is_signer).copied()
    }
}

/// Reads a `ContentInfo`. Returns the fields of its `SignedData`.
fn signed_data(token: &[u8]) -> Option<Reader<'_>> {
    let mut fields = Reader::new(only(token, SEQUENCE)?);
    if fields.expect(OID)? != SIGNED_DATA {
        return None;
    }
    let content = fields.expect(constructed(0))?;
    fields.end()?;
    only(content, SEQUENCE).map(Reader::new)
}

impl<'a> Signer<'a> {
    fn parse(reader: &mut Reader<'a>) -> Option<Self> {
        let value = reader.value()?;
        if value.tag == primitive(0) {
            return Some(Self::KeyId(value.content));
        }
        let mut fields = Reader::new(value.content);
        let (issuer, serial) = (fields.expect(SEQUENCE)?, fields.expect(INTEGER)?);
        fields.end()?;
        (value.tag == SEQUENCE).then_some(Self::Issued { issuer, serial })
    }
}

impl<'a> Attributes<'a> {
    fn parse(content: &'a [u8]) -> Option<Self> {
        let mut attributes = Self { content, ..Self::default() };
        let mut names: Vec<&[u8]> = Vec::new();
        let mut reader = Reader::new(content);
        while !reader.is_empty() {
            let mut fields = reader.sequence()?;
            let (name, values) = (fields.expect(OID)?, fields.expect(SET)?);
            fields.end()?;
            if names.contains(&name) {
                return None;
            }
            names.push(name);
            match name {
                CONTENT_TYPE => attributes.content_type = Some(only(values, OID)?),
                MESSAGE_DIGEST => attributes.message_digest = Some(only(values, OCTET_STRING)?),
                SIGNING_CERTIFICATE | SIGNING_CERTIFICATE_V2 => {
                    let is_v2 = name == SIGNING_CERTIFICATE_V2;
                    attributes.certificate_hashes.push(certificate_hash(values, is_v2)?);
                }
                _ => {}
            }
        }
        Some(attributes)
    }
}

/// Reads the hash of the first certificate, which is the signer's (RFC 5035).
fn certificate_hash(values: &[u8], is_v2: bool) -> Option<(Digest, &[u8])> {
    let mut certificates = Reader::new(only(values, SEQUENCE)?).sequence()?;
    let mut fields = certificates.sequence()?;
    let digest = match fields.optional(SEQUENCE)? {
        Some(algorithm) if is_v2 => Digest::parse(Reader::new(algorithm))?,
        None if is_v2 => Digest::Sha256,
        None => Digest::Sha1,
        Some(_) => return None,
    };
    Some((digest, fields.expect(OCTET_STRING)?))
}
