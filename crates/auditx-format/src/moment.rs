//! Times as microseconds since 1970, with a parser and a formatter for RFC 3339.
//!
//! The parser reads the timestamps of lines when trails are searched, and relies on the fixed offsets of RFC
//! 3339 instead of a general date library.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::calendar;

const SECONDS_PER_DAY: i64 = 86_400;
const MICROS: i64 = 1_000_000;

/// A point in time in UTC, with microsecond precision.
///
/// ```
/// use auditx_format::moment::Moment;
///
/// let moment = Moment::parse("2026-11-24T15:24:54.123456+06:30").expect("RFC 3339");
/// assert_eq!(moment.to_string(), "2026-11-24T08:54:54.123456Z");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(i64);

impl Moment {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);

    /// 0000-01-01T00:00:00Z, the earliest time that RFC 3339 can express.
    pub const FIRST: Self = Self(-62_167_219_200_000_000);

    /// 9999-12-31T23:59:59.999999Z, the latest time that RFC 3339 can express.
    pub const LAST: Self = Self(253_402_300_799_999_999);

    /// Creates a `Moment` from microseconds since [`Moment::EPOCH`].
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Returns the microseconds since [`Moment::EPOCH`].
    #[must_use]
    pub fn micros(self) -> i64 {
        self.0
    }

    /// Returns the current time of the system clock.
    #[must_use]
    pub fn now() -> Self {
        Self::from(SystemTime::now())
    }

    /// Returns the time `duration` before this one.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    /// Returns the time `duration` after this one.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    /// Parses RFC 3339: a date, `T`, `t` or a space, a time with an optional fraction, and `Z` or an offset.
    /// Returns `None` for any other text.
    ///
    /// The colon of the offset may be missing. Without an offset the time is UTC; legacy lines may have none.
    /// Digits beyond the microseconds are ignored.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let date = bytes.first_chunk::<10>()?;
        let rest = &bytes[10..];
        let [b'T' | b't' | b' ', h, hh, b':', m, mm, b':', s, ss, rest @ ..] = rest else { return None };
        let (hour, minute, second) = (number(&[*h, *hh])?, number(&[*m, *mm])?, number(&[*s, *ss])?);
        // A leap second (60) is read as second 59 of its minute.
        if hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        let (micros, rest) = fraction(rest)?;
        let day = days(date)? * SECONDS_PER_DAY;
        let seconds = day + hour * 3_600 + minute * 60 + second.min(59) - offset(rest)?;
        let time = Self(seconds * MICROS + micros);
        (Self::FIRST..=Self::LAST).contains(&time).then_some(time)
    }

    /// Parses a date such as `2026-11-24` and returns the beginning of that day.
    #[must_use]
    pub fn parse_date(text: &str) -> Option<Self> {
        let date: &[u8; 10] = text.as_bytes().try_into().ok()?;
        Some(Self(days(date)? * SECONDS_PER_DAY * MICROS))
    }

    /// Returns the beginning of the day that contains this time.
    #[must_use]
    pub fn day(self) -> Self {
        self.bucket(Duration::from_secs(86_400))
    }

    /// Returns the beginning of the interval that contains this time, where time since [`Moment::EPOCH`] is
    /// divided into intervals of `length`.
    #[must_use]
    pub fn bucket(self, length: Duration) -> Self {
        let length = i64::try_from(length.as_micros()).unwrap_or(i64::MAX).max(1);
        Self(self.0.div_euclid(length).saturating_mul(length))
    }
}

impl From<SystemTime> for Moment {
    fn from(time: SystemTime) -> Self {
        match time.duration_since(UNIX_EPOCH) {
            Ok(since) => Self(0).after(since),
            Err(error) => Self(0).before(error.duration()),
        }
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, micros) = (self.0.div_euclid(MICROS), self.0.rem_euclid(MICROS));
        let (day, second) = (seconds.div_euclid(SECONDS_PER_DAY), seconds.rem_euclid(SECONDS_PER_DAY));
        let (year, month, day) = calendar::date(day);
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
    }
}

#[inline]
fn number(digits: &[u8]) -> Option<i64> {
    digits
        .iter()
        .try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0')))
}

/// Returns the microseconds of `.123456…` and the text after them.
fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let Some(text) = text.strip_prefix(b".") else { return Some((0, text)) };
    let len = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(len);
    let kept = &digits[..len.min(6)];
    let missing = u32::try_from(6 - kept.len()).ok()?;
    (len > 0).then_some((number(kept)? * 10_i64.pow(missing), rest))
}

/// Returns the offset from UTC in seconds, positive to the east.
fn offset(text: &[u8]) -> Option<i64> {
    match text {
        b"" | b"Z" | b"z" => Some(0),
        [sign @ (b'+' | b'-'), h, hh, b':', m, mm] | [sign @ (b'+' | b'-'), h, hh, m, mm] => {
            let (hours, minutes) = (number(&[*h, *hh])?, number(&[*m, *mm])?);
            let seconds = hours * 3_600 + minutes * 60;
            (hours < 24 && minutes < 60).then_some(if *sign == b'-' { -seconds } else { seconds })
        }
        _ => None,
    }
}

/// Returns the days since 1970-01-01 in the Gregorian calendar. `None` if there is no such date.
fn days(date: &[u8; 10]) -> Option<i64> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = *date else { return None };
    let (year, month, day) = (number(&[y1, y2, y3, y4])?, number(&[m1, m2])?, number(&[d1, d2])?);
    if !(1..=12).contains(&month) || day < 1 || day > calendar::month_len(year, month) {
        return None;
    }
    Some(calendar::days(year, month, day))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(text: &str) -> Option<i64> {
        Moment::parse(text).map(Moment::micros)
    }

    #[test]
    fn rfc3339_is_parsed_in_all_its_forms() {
        assert_eq!(micros("1970-01-01T00:00:00.000000Z"), Some(0));
        assert_eq!(micros("2026-11-24T15:24:54.123456Z"), Some(1_795_533_894_123_456));
        assert_eq!(micros("2024-02-29T00:00:00Z"), Some(1_709_164_800_000_000));
        assert_eq!(micros("9999-12-31T23:59:59.999999Z"), Some(253_402_300_799_999_999));
        assert_eq!(micros("1969-12-31T23:59:59.5Z"), Some(-500_000));
        assert_eq!(micros("2026-11-24T15:24:54+06:30"), micros("2026-11-24T08:54:54Z"));
        assert_eq!(micros("2026-11-24T15:24:54-0130"), micros("2026-11-24T16:54:54Z"));
        assert_eq!(micros("2016-12-31T23:59:60.5Z"), micros("2016-12-31T23:59:59.5Z"));
        assert_eq!(micros("2026-11-24 15:24:54.1234567-01:00"), micros("2026-11-24t16:24:54.123456z"));
        for nonsense in [
            "2026-13-24T15:24:54Z",
            "2026-02-29T15:24:54Z",
            "2026-11-24T24:24:54Z",
            "2026-11-24T1x:24:54Z",
            "2026-11-24T15:24:54.Z",
            "9999-12-31T23:59:59-00:01",
            "0000-01-01T00:00:00+00:01",
            "2026-11-24T15:24:54+24:00",
            "٢٠٢٦-01-01T00:00:00Z",
            "2026-11-24",
            "",
            "2026-11-24T15:24:54Z ",
        ] {
            assert_eq!(micros(nonsense), None, "{nonsense}");
        }
        assert_eq!(Moment::parse_date("2026-11-24"), Moment::parse("2026-11-24T00:00:00Z"));
        assert_eq!(Moment::parse_date("2026-11-31"), None);
    }

    #[test]
    fn every_formatted_time_parses_to_itself() {
        for day in -719_528..2_932_896_i64 {
            let (year, month, of_month) = calendar::date(day);
            assert!((1..=calendar::month_len(year, month)).contains(&of_month), "{year}-{month}-{of_month}");
        }
        let step = 86_399_000_017 * 31;
        for micros in (Moment::FIRST.0..=Moment::LAST.0).step_by(step) {
            let moment = Moment::from_micros(micros);
            assert_eq!(Moment::parse(&moment.to_string()), Some(moment), "{moment}");
        }
    }

    #[test]
    fn buckets_begin_at_round_times() {
        let at = |text| Moment::parse(text).unwrap();
        assert_eq!(
            at("2026-11-24T15:24:54.1Z").bucket(Duration::from_secs(3_600)),
            at("2026-11-24T15:00:00Z")
        );
        assert_eq!(at("1969-12-31T23:59:59Z").day(), at("1969-12-31T00:00:00Z"));
    }
}
