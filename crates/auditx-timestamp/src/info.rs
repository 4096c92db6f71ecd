//! What an authority signs: the time, and the hash of what it stamped (`TSTInfo`, RFC 3161, 2.4.2).

use std::time::Duration;

use auditx_reader::Moment;

use crate::certificate::extensions;
use crate::der::{
    BOOLEAN, GENERALIZED_TIME, INTEGER, OCTET_STRING, OID, Reader, SEQUENCE, constructed, only, primitive,
    unsigned,
};
use crate::digest::Digest;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Info<'a> {
    /// The hash function of the imprint, and the hash.
    pub(crate) imprint: (Digest, &'a [u8]),
    /// Seconds since 1970, rounded down.
    pub(crate) at: u64,
    pub(crate) accuracy: Duration,
    /// The content of the integer.
    pub(crate) nonce: Option<&'a [u8]>,
}

impl<'a> Info<'a> {
    pub(crate) fn parse(der: &'a [u8]) -> Option<Self> {
        let mut fields = Reader::new(only(der, SEQUENCE)?);
        if unsigned(fields.expect(INTEGER)?)? != 1 {
            return None;
        }
        let _policy = fields.expect(OID)?;
        let mut imprint = fields.sequence()?;
        let digest = Digest::parse(imprint.sequence()?)?;
        let hash = imprint.expect(OCTET_STRING)?;
        imprint.end()?;
        let _serial = fields.expect(INTEGER)?;
        let at = seconds(fields.expect(GENERALIZED_TIME)?)?;
        let accuracy = fields.optional(SEQUENCE)?.map_or(Some(Duration::ZERO), accuracy)?;
        let _ordering = fields.optional(BOOLEAN)?;
        let nonce = fields.optional(INTEGER)?;
        let _authority = fields.optional(constructed(0))?;
        let further = fields.optional(constructed(1))?.unwrap_or_default();
        fields.end()?;
        // None is known, and a critical one could change what the others mean.
        let is_known = extensions(further).all(|extension| extension.is_some_and(|it| !it.is_critical));
        is_known.then_some(Self { imprint: (digest, hash), at, accuracy, nonce })
    }
}

/// Reads a time, `20261130172036Z` with or without a fraction, as seconds since 1970, rounded down.
fn seconds(time: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(time).ok()?.strip_suffix('Z')?;
    let (whole, fraction) = text.split_once('.').map_or((text, None), |(whole, rest)| (whole, Some(rest)));
    let are_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() != 14 || !are_digits(whole) || !fraction.is_none_or(are_digits) {
        return None;
    }
    let [year, month, day] = [&whole[..4], &whole[4..6], &whole[6..8]];
    let [hour, minute, second] = [&whole[8..10], &whole[10..12], &whole[12..]];
    let moment = Moment::parse(&format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z"))?;
    u64::try_from(moment.micros() / 1_000_000).ok()
}

fn accuracy(content: &[u8]) -> Option<Duration> {
    let mut fields = Reader::new(content);
    let mut next = |tag, most| {
        let number = fields.optional(tag)?.map_or(Some(0), unsigned)?;
        Some(number).filter(|number| *number <= most)
    };
    let whole = Duration::from_secs(next(INTEGER, u64::from(u32::MAX))?);
    let millis = Duration::from_millis(next(primitive(0), 999)?);
    let micros = Duration::from_micros(next(primitive(1), 999)?);
    fields.end()?;
    Some(whole + millis + micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_all_digits_and_may_have_a_fraction() {
        assert_eq!(seconds(b"19700101000000Z"), Some(0));
        assert_eq!(seconds(b"20261124152454Z"), Some(1_795_533_894));
        assert_eq!(seconds(b"20261124152454.999Z"), Some(1_795_533_894));
        let refused: [&[u8]; 9] = [
            b"20261124152454",
            b"202611241524Z",
            b"20261124152454+0100",
            b"20261124152454.Z",
            b"20261324152454Z",
            b"20261124152461Z",
            b"19691231235959Z",
            b"2026112415245xZ",
            b"+026112415245.Z",
        ];
        for time in refused {
            assert_eq!(seconds(time), None, "{}", String::from_utf8_lossy(time));
        }
    }

    #[test]
    fn an_accuracy_is_the_sum_of_its_parts() {
        assert_eq!(accuracy(&[]), Some(Duration::ZERO));
        assert_eq!(
            accuracy(&[2, 1, 1, 0x80, 2, 1, 0xf4, 0x81, 1, 100]),
            Some(Duration::from_micros(1_500_100))
        );
        assert_eq!(accuracy(&[0x80, 2, 3, 0xe8]), None, "1000 milliseconds");
        assert_eq!(accuracy(&[0x81, 1, 1, 0x80, 1, 1]), None, "in another order");
    }
}
