//! The time of an entry: RFC 3339 text in, the units of each schema out.

use std::io::Write;

const DAY: i64 = 86_400;

/// 0000-01-01T00:00:00Z and the last second of 9999: what RFC 3339 can say.
const FIRST_SECOND: i64 = -62_167_219_200;
const LAST_SECOND: i64 = 253_402_300_799;

/// A point of time in UTC, with nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    seconds: i64,
    nanos: u32,
}

impl Moment {
    /// 1970-01-01T00:00:00Z.
    pub(crate) const EPOCH: Self = Self { seconds: 0, nanos: 0 };

    /// Reads RFC 3339 text, also with a space for the `T`; without an offset, as lines of the Python origin may be, it is
    /// taken as UTC. Digits beyond nanoseconds are cut.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut rest = text.as_bytes();
        let year = number(&mut rest, 4)?;
        skip(&mut rest, b"-")?;
        let month = number(&mut rest, 2)?;
        skip(&mut rest, b"-")?;
        let day = number(&mut rest, 2)?;
        skip(&mut rest, b"Tt ")?;
        let hour = number(&mut rest, 2)?;
        skip(&mut rest, b":")?;
        let minute = number(&mut rest, 2)?;
        skip(&mut rest, b":")?;
        let second = number(&mut rest, 2)?;
        if day == 0 || day > days_of(year, month)? || hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        let nanos = fraction(&mut rest)?;
        let seconds =
            days_since_epoch(year, month, day) * DAY + hour * 3_600 + minute * 60 + second - offset(rest)?;
        (FIRST_SECOND..=LAST_SECOND).contains(&seconds).then_some(Self { seconds, nanos })
    }

    /// Milliseconds since 1970.
    pub(crate) fn millis(self) -> i64 {
        self.seconds * 1_000 + i64::from(self.nanos / 1_000_000)
    }

    /// Nanoseconds since 1970; 0 before it and after 2554, where OTLP has no number.
    pub(crate) fn unix_nanos(self) -> u64 {
        let seconds = u64::try_from(self.seconds).ok();
        seconds.and_then(|s| s.checked_mul(1_000_000_000)?.checked_add(self.nanos.into())).unwrap_or(0)
    }

    /// `2026-11-24T15:24:54.123456Z`, always with six digits.
    pub(crate) fn write(self, out: &mut Vec<u8>) {
        let (year, month, day) = civil(self.seconds.div_euclid(DAY));
        let second = self.seconds.rem_euclid(DAY);
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        let micros = self.nanos / 1_000;
        write!(out, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
            .expect("a Vec takes what is written");
    }
}

fn skip(rest: &mut &[u8], any_of: &[u8]) -> Option<()> {
    let (first, tail) = rest.split_first()?;
    *rest = tail;
    any_of.contains(first).then_some(())
}

/// Exactly so many digits.
fn number(rest: &mut &[u8], digits: usize) -> Option<i64> {
    let (head, tail) = rest.split_at_checked(digits)?;
    *rest = tail;
    head.iter().try_fold(0, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + i64::from(digit - b'0')))
}

/// A point and digits, or nothing.
fn fraction(rest: &mut &[u8]) -> Option<u32> {
    let Some(tail) = rest.strip_prefix(b".") else { return Some(0) };
    let length = tail.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, tail) = tail.split_at(length);
    *rest = tail;
    let nanos = digits.iter().chain(std::iter::repeat(&b'0')).take(9);
    (length > 0).then(|| nanos.fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0')))
}

/// Seconds east of Greenwich.
fn offset(mut rest: &[u8]) -> Option<i64> {
    let sign = match rest {
        [] | [b'Z' | b'z'] => return Some(0),
        [b'+', ..] => 1,
        [b'-', ..] => -1,
        _ => return None,
    };
    rest = &rest[1..];
    let hours = number(&mut rest, 2)?;
    rest = rest.strip_prefix(b":").unwrap_or(rest);
    let minutes = number(&mut rest, 2)?;
    (rest.is_empty() && hours < 24 && minutes < 60).then_some(sign * (hours * 3_600 + minutes * 60))
}

fn days_of(year: i64, month: i64) -> Option<i64> {
    Some(match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => return None,
    })
}

/// Of the proleptic Gregorian calendar. Years are counted from March, so that the leap day is the last of a year.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - 719_468
}

/// Year, month and day of a number of days since 1970.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let year = year + era * 400 + i64::from(month >= 10);
    (year, if month < 10 { month + 3 } else { month - 9 }, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> Option<String> {
        let mut out = Vec::new();
        Moment::parse(text)?.write(&mut out);
        Some(String::from_utf8(out).unwrap())
    }

    #[test]
    fn times_of_ours_and_of_the_origin_read_as_utc() {
        for (text, utc) in [
            ("2026-11-24T15:24:54.123456Z", "2026-11-24T15:24:54.123456Z"),
            ("2026-11-24T15:24:54+06:30", "2026-11-24T08:54:54.000000Z"),
            ("2026-11-24 15:24:54.5-0130", "2026-11-24T16:54:54.500000Z"),
            ("2026-11-24T00:00:00", "2026-11-24T00:00:00.000000Z"),
            ("2024-02-29T23:59:60.1234567891Z", "2024-03-01T00:00:00.123456Z"),
            ("1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999999Z"),
            ("0000-03-01T00:00:00Z", "0000-03-01T00:00:00.000000Z"),
            ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59.000000Z"),
        ] {
            assert_eq!(written(text).as_deref(), Some(utc), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "now",
            "2026-11-24",
            "2026-13-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-00-10T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:60:00Z",
            "2026-01-01T00:00:61Z",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00+24:00",
            "2026-01-01T00:00:00Zx",
            "٢٠٢٦-01-01T00:00:00Z",
            "9999-12-31T23:59:59-00:01",
            "0000-01-01T00:00:00+00:01",
            "2026-01-01T00:00:00+1",
        ] {
            assert_eq!(Moment::parse(text), None, "{text}");
        }
    }

    #[test]
    fn each_day_reads_back_and_follows_the_one_before() {
        for days in -719_528..2_932_896 {
            let (year, month, day) = civil(days);
            assert_eq!(days_since_epoch(year, month, day), days);
            assert!((1..=days_of(year, month).unwrap()).contains(&day), "{year}-{month}-{day}");
        }
    }

    #[test]
    fn units_are_those_of_the_schemas() {
        let moment = Moment::parse("2026-11-24T15:24:54.123456Z").unwrap();
        assert_eq!((moment.millis(), moment.unix_nanos()), (1_795_533_894_123, 1_795_533_894_123_456_000));
        let before = Moment::parse("1969-12-31T23:59:59.999Z").unwrap();
        assert_eq!((before.millis(), before.unix_nanos()), (-1, 0));
        assert_eq!(Moment::parse("9999-01-01T00:00:00Z").unwrap().unix_nanos(), 0);
    }
}
