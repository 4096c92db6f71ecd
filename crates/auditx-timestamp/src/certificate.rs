//! What a time stamp needs of its signer's certificate (RFC 5280), beside the chain, which `roots` verifies.

use crate::der::{BOOLEAN, INTEGER, OCTET_STRING, OID, Reader, SEQUENCE, SET, constructed, only};

const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const ORGANISATION: &[u8] = &[0x55, 0x04, 0x0a];
const SUBJECT_KEY_ID: &[u8] = &[0x55, 0x1d, 0x0e];
const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];

/// id-kp-timeStamping.
pub(crate) const TIME_STAMPING: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x08];

/// A certificate; its signature is not verified.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Certificate<'a> {
    pub(crate) der: &'a [u8],
    pub(crate) serial: &'a [u8],
    /// The content of the name.
    pub(crate) issuer: &'a [u8],
    /// The content of the name.
    pub(crate) subject: &'a [u8],
    /// The content of the sequence of extensions.
    extensions: &'a [u8],
}

impl<'a> Certificate<'a> {
    pub(crate) fn parse(der: &'a [u8]) -> Option<Self> {
        let mut fields = Reader::new(only(der, SEQUENCE)?).sequence()?;
        fields.optional(constructed(0))?;
        let serial = fields.expect(INTEGER)?;
        let _signature_algorithm = fields.sequence()?;
        let issuer = fields.expect(SEQUENCE)?;
        let _validity = fields.sequence()?;
        let subject = fields.expect(SEQUENCE)?;
        let _public_key = fields.sequence()?;
        let mut extensions: &[u8] = &[];
        while !fields.is_empty() {
            let field = fields.value()?;
            if field.tag == constructed(3) {
                extensions = only(field.content, SEQUENCE)?;
            }
        }
        Some(Self { der, serial, issuer, subject, extensions })
    }

    /// Returns whether it is for signing time stamps and nothing else (RFC 3161, 2.3).
    pub(crate) fn is_for_time_stamping(&self) -> bool {
        self.extension(EXTENDED_KEY_USAGE).is_some_and(|(value, is_critical)| {
            let mut usages = Reader::new(only(value, SEQUENCE).unwrap_or_default());
            is_critical && usages.expect(OID) == Some(TIME_STAMPING) && usages.is_empty()
        })
    }

    pub(crate) fn key_id(&self) -> Option<&'a [u8]> {
        only(self.extension(SUBJECT_KEY_ID)?.0, OCTET_STRING)
    }

    /// Returns the common name of the subject, or its organisation.
    pub(crate) fn name(&self) -> String {
        let of = |kind| attribute(self.subject, kind);
        of(COMMON_NAME).or_else(|| of(ORGANISATION)).unwrap_or_else(|| "a subject without a name".to_owned())
    }

    /// Returns the value of an extension, and whether it is critical.
    fn extension(&self, id: &[u8]) -> Option<(&'a [u8], bool)> {
        extensions(self.extensions).flatten().find(|extension| extension.id == id).map(|found| {
            let Extension { value, is_critical, .. } = found;
            (value, is_critical)
        })
    }
}

/// An extension of a certificate or of a time stamp.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extension<'a> {
    pub(crate) id: &'a [u8],
    pub(crate) is_critical: bool,
    pub(crate) value: &'a [u8],
}

/// Reads extensions from the content of their sequence. `None` for one that cannot be read, which is the
/// last.
pub(crate) fn extensions(content: &[u8]) -> impl Iterator<Item = Option<Extension<'_>>> {
    let mut rest = Some(Reader::new(content));
    std::iter::from_fn(move || {
        let mut reader = rest.take().filter(|reader| !reader.is_empty())?;
        let extension = extension(&mut reader);
        rest = extension.map(|_| reader);
        Some(extension)
    })
}

fn extension<'a>(reader: &mut Reader<'a>) -> Option<Extension<'a>> {
    let mut fields = reader.sequence()?;
    let id = fields.expect(OID)?;
    let is_critical = fields.optional(BOOLEAN)?.is_some_and(|critical| critical != [0]);
    let value = fields.expect(OCTET_STRING)?;
    fields.end()?;
    Some(Extension { id, is_critical, value })
}

/// Returns the attribute of this kind of a name.
fn attribute(name: &[u8], kind: &[u8]) -> Option<String> {
    let mut sets = Reader::new(name);
    while !sets.is_empty() {
        let mut attributes = Reader::new(sets.expect(SET)?);
        while !attributes.is_empty() {
            let mut attribute = attributes.sequence()?;
            if attribute.expect(OID)? == kind {
                let value = attribute.value()?;
                return Some(text(value.tag, value.content));
            }
        }
    }
    None
}

/// Reads one of the kinds of text of a name.
fn text(tag: u8, content: &[u8]) -> String {
    const TELETEX: u8 = 0x14;
    const BMP: u8 = 0x1e;
    match tag {
        TELETEX => content.iter().map(|byte| char::from(*byte)).collect(),
        BMP => {
            let units = content.chunks_exact(2).map(|unit| u16::from(unit[0]) << 8 | u16::from(unit[1]));
            char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
        }
        _ => String::from_utf8_lossy(content).into_owned(),
    }
}
