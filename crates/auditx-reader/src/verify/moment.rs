//! Times of lines as whole seconds: `2026-11-24T15:24:54.123456Z` at its fixed places.
//!
//! Consecutive lines mostly share their second: it is compared as bytes before anything is counted.

use auditx_core::Moment;

use super::record::TIMESTAMP;

/// `2026-11-24T15:24:54`
const SECOND: usize = 19;

/// Reads times in the order of their lines.
#[derive(Debug, Default)]
pub(super) struct Moments {
    second: [u8; SECOND],
}

impl Moments {
    /// Seconds since 1970, where they are other ones than those of the line before. None for what is no time.
    #[inline]
    pub(super) fn changed(&mut self, timestamp: &[u8; TIMESTAMP]) -> Option<u64> {
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
    fn seconds_are_those_of_the_calendar_and_are_told_when_they_change() {
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
