//! Reads the times of lines, `2026-11-24T15:24:54.123456Z` at a fixed offset, as whole seconds.
//!
//! Consecutive lines mostly share their second, so the bytes are compared before anything is parsed.

use auditx_format::clock::RFC3339_LEN;
use auditx_format::moment::Moment;

/// `2026-11-24T15:24:54`
const SECOND: usize = 19;

/// Reads times in the order of their lines.
#[derive(Debug, Default)]
pub(super) struct Moments {
    second: [u8; SECOND],
}

impl Moments {
    /// Seconds since 1970 if they differ from the previous line's; `None` if they do not, or if the text is
    /// not a time.
    #[inline]
    pub(super) fn changed(&mut self, timestamp: &[u8; RFC3339_LEN]) -> Option<u64> {
        let second: &[u8; SECOND] = timestamp.first_chunk()?;
        if *second == self.second {
            return None;
        }
        self.second = *second;
        let moment = Moment::parse(std::str::from_utf8(second).ok()?).filter(|_| second[10] == b'T')?;
        u64::try_from(moment.micros()).ok().map(|micros| micros / 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_seconds_are_unix_times() {
        let mut moments = Moments::default();
        let mut at = |text: &str| moments.changed(text.as_bytes().try_into().unwrap());
        assert_eq!(at("1970-01-01T00:00:00.000000Z"), Some(0));
        assert_eq!(at("1970-01-01T00:00:00.999999Z"), None);
        assert_eq!(at("2026-11-24T15:24:54.123456Z"), Some(1_795_533_894));
        assert_eq!(at("2026-11-24T15:24:53.123456Z"), Some(1_795_533_893));
        assert_eq!(at("2024-02-29T00:00:00.000000Z"), Some(1_709_164_800));
        assert_eq!(at("2024-03-01T00:00:00.000000Z"), Some(1_709_251_200));
        assert_eq!(at("9999-12-31T23:59:59.999999Z"), Some(253_402_300_799));
        for nonsense in
            ["2026-13-24T15:24:54.123456Z", "2026-11-24 15:24:54.123456Z", "2026-11-24T1x:24:54.123456Z"]
        {
            assert_eq!(at(nonsense), None, "{nonsense}");
        }
    }
}
