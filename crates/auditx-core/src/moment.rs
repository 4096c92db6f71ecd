//! Times of lines as microseconds, read without a library: RFC 3339, mostly at its fixed places.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const SECONDS_PER_DAY: i64 = 86_400;
const MICROS: i64 = 1_000_000;

/// 719,468 days lie between 0000-03-01 and 1970-01-01.
const DAYS_TO_EPOCH: i64 = 719_468;

/// A moment in UTC, in microseconds since 1970.
///
/// ```
/// use auditx_core::Moment;
///
/// let moment = Moment::parse("2026-11-24T15:24:54.123456+06:30").expect("RFC 3339");
/// assert_eq!(moment.to_string(), "2026-11-24T08:54:54.123456Z");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(i64);

impl Moment {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);

    /// The first moment of the year 0000: what RFC 3339 can say begins with it.
    pub const FIRST: Self = Self(-62_167_219_200_000_000);

    /// The last of 9999.
    pub const LAST: Self = Self(253_402_300_799_999_999);

    /// So many microseconds after 1970 began.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since 1970 began.
    #[must_use]
    pub fn micros(self) -> i64 {
        self.0
    }

    /// Now.
    #[must_use]
    pub fn now() -> Self {
        Self::from(SystemTime::now())
    }

    /// This much before.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    /// This much after.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    /// Reads RFC 3339: a date, `T`, `t` or a space, a time with any fraction, `Z` or an offset, with its colon or without. Without
    /// an offset, as the origin may write it, it is UTC. Digits behind the microseconds are left out.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let date = bytes.first_chunk::<10>()?;
        let rest = &bytes[10..];
        let [b'T' | b't' | b' ', h, hh, b':', m, mm, b':', s, ss, rest @ ..] = rest else { return None };
        let (hour, minute, second) = (number(&[*h, *hh])?, number(&[*m, *mm])?, number(&[*s, *ss])?);
        // A leap second is the last one of its minute.
        if hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        let (micros, rest) = fraction(rest)?;
        let day = days(date)? * SECONDS_PER_DAY;
        let seconds = day + hour * 3_600 + minute * 60 + second.min(59) - offset(rest)?;
        let moment = Self(seconds * MICROS + micros);
        (Self::FIRST..=Self::LAST).contains(&moment).then_some(moment)
    }

    /// The beginning of a day, `2026-11-24`.
    #[must_use]
    pub fn parse_date(text: &str) -> Option<Self> {
        let date: &[u8; 10] = text.as_bytes().try_into().ok()?;
        Some(Self(days(date)? * SECONDS_PER_DAY * MICROS))
    }

    /// The beginning of its day.
    #[must_use]
    pub fn day(self) -> Self {
        self.bucket(Duration::from_secs(86_400))
    }

    /// The beginning of the span of this length that it is in; spans are counted from 1970.
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
        let (year, month, day) = date(day);
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

/// Microseconds of `.123456…`, and what follows.
fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let Some(text) = text.strip_prefix(b".") else { return Some((0, text)) };
    let len = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(len);
    let kept = &digits[..len.min(6)];
    let missing = u32::try_from(6 - kept.len()).ok()?;
    (len > 0).then_some((number(kept)? * 10_i64.pow(missing), rest))
}

/// Seconds east of Greenwich.
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

/// Days since 1970-01-01 in the Gregorian calendar; none for what is no day.
fn days(date: &[u8; 10]) -> Option<i64> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = *date else { return None };
    let (year, month, day) = (number(&[y1, y2, y3, y4])?, number(&[m1, m2])?, number(&[d1, d2])?);
    if !(1..=12).contains(&month) || day < 1 || day > days_of(year, month) {
        return None;
    }
    // Years that begin in March: the day that is added every fourth year is then the last one.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    Some(year * 365 + leap_days + (153 * month + 2) / 5 + day - 1 - DAYS_TO_EPOCH)
}

fn days_of(year: i64, month: i64) -> i64 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + i64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Year, month and day of a day since 1970-01-01: the way back of [`days`], over eras of 400 years.
fn date(day: i64) -> (i64, i64, i64) {
    let day = day + DAYS_TO_EPOCH;
    let (era, day) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next_year) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + next_year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(text: &str) -> Option<i64> {
        Moment::parse(text).map(Moment::micros)
    }

    #[test]
    fn times_are_those_of_the_calendar() {
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
    fn what_is_written_reads_back() {
        for day in -719_528..2_932_896_i64 {
            let (year, month, of_month) = date(day);
            assert!((1..=days_of(year, month)).contains(&of_month), "{year}-{month}-{of_month}");
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
