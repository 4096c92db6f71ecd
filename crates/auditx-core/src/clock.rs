//! Where timestamps come from, and how they are written: RFC 3339, UTC, microseconds.

use std::cell::Cell;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;

use crate::digits::pair;

/// A source of wall-clock time; the system's unless [`Config::clock`](crate::Config::clock) says otherwise.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The time now.
    fn now(&self) -> SystemTime;
}

/// The operating system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// A moment in microseconds since 1970-01-01T00:00:00Z, between the years 1970 and 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Timestamp(u64);

/// 9999-12-31T23:59:59.999999Z, the last moment RFC 3339 can write.
const LAST_MICROS: u64 = 253_402_300_799_999_999;

/// `2026-11-24T15:24:54.123456Z`
pub(crate) const RFC3339_LEN: usize = 27;

thread_local! {
    /// The last second formatted by this thread: consecutive entries mostly share it.
    static SECOND: Cell<(u64, [u8; RFC3339_LEN])> = const { Cell::new((u64::MAX, [0; RFC3339_LEN])) };
}

impl Timestamp {
    pub(crate) fn of(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let seconds = since.as_secs().saturating_mul(1_000_000);
        Self(seconds.saturating_add(since.subsec_micros().into()).min(LAST_MICROS))
    }

    pub(crate) fn from_micros(micros: u64) -> Self {
        Self(micros.min(LAST_MICROS))
    }

    pub(crate) fn micros(self) -> u64 {
        self.0
    }

    pub(crate) fn millis(self) -> u64 {
        self.0 / 1_000
    }

    pub(crate) fn rfc3339(self) -> [u8; RFC3339_LEN] {
        let mut text = [0; RFC3339_LEN];
        self.write_rfc3339(&mut text);
        text
    }

    #[inline]
    pub(crate) fn write_rfc3339(self, text: &mut [u8; RFC3339_LEN]) {
        let (second, micros) = (self.0 / 1_000_000, self.0 % 1_000_000);
        // Copied where it stands: by way of the stack it would cost more than all of the digits.
        let written = SECOND.try_with(|cell| {
            let (cached, known) = cell.get();
            if cached == second {
                *text = known;
            }
            cached == second
        });
        if !written.unwrap_or(false) {
            *text = remember(second);
        }
        let [.., a, b, c, d, e, f, _] = text;
        [*a, *b] = pair(micros / 10_000);
        [*c, *d] = pair(micros / 100);
        [*e, *f] = pair(micros);
    }
}

#[cold]
fn remember(second: u64) -> [u8; RFC3339_LEN] {
    let text = write_second(second);
    // A thread that is being torn down has no cache left and formats anew.
    SECOND.try_with(|cell| cell.set((second, text))).unwrap_or(());
    text
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.rfc3339()))
    }
}

/// Microseconds since 1970 of a moment as [`Timestamp`] writes it; none for what is written otherwise, or no moment since 1970.
pub(crate) fn micros_of(text: &[u8; RFC3339_LEN]) -> Option<i64> {
    let [
        y,
        yy,
        yyy,
        yyyy,
        b'-',
        m,
        mm,
        b'-',
        d,
        dd,
        b'T',
        h,
        hh,
        b':',
        n,
        nn,
        b':',
        s,
        ss,
        b'.',
        fraction @ ..,
        b'Z',
    ] = text
    else {
        return None;
    };
    let (year, month, day) = (number(&[*y, *yy, *yyy, *yyyy])?, number(&[*m, *mm])?, number(&[*d, *dd])?);
    let (hour, minute, second) = (number(&[*h, *hh])?, number(&[*n, *nn])?, number(&[*s, *ss])?);
    let is_moment = year >= 1970
        && (1..=12).contains(&month)
        && (1..=days_of(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    if !is_moment {
        return None;
    }
    let seconds = days_since_1970(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    Some(seconds * 1_000_000 + number(fraction)?)
}

fn number(digits: &[u8]) -> Option<i64> {
    digits
        .iter()
        .try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0')))
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// In the Gregorian calendar.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    // Years that begin in March: the day that is added every fourth year is then the last one.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year / 4 - year / 100 + year / 400;
    // 719,468 days lie between 0000-03-01 and 1970-01-01.
    year * 365 + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468
}

fn digit(value: u64) -> u8 {
    b'0' + u8::try_from(value).unwrap_or(0)
}

fn write_second(second: u64) -> [u8; RFC3339_LEN] {
    let moment = i64::try_from(second)
        .ok()
        .and_then(|second| OffsetDateTime::from_unix_timestamp(second).ok())
        .unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let mut text = *b"0000-00-00T00:00:00.000000Z";
    let mut put = |start: usize, width: usize, mut value: u64| {
        for place in (start..start + width).rev() {
            text[place] = digit(value % 10);
            value /= 10;
        }
    };
    put(0, 4, u64::try_from(moment.year()).unwrap_or(0));
    put(5, 2, u64::from(u8::from(moment.month())));
    put(8, 2, u64::from(moment.day()));
    put(11, 2, u64::from(moment.hour()));
    put(14, 2, u64::from(moment.minute()));
    put(17, 2, u64::from(moment.second()));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_is_rfc3339_in_utc_with_microseconds() {
        let at = |micros: u64| Timestamp::of(UNIX_EPOCH + Duration::from_micros(micros)).to_string();
        assert_eq!(at(0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(at(1_795_533_894_123_456), "2026-11-24T15:24:54.123456Z");
        assert_eq!(at(1_795_533_894_000_007), "2026-11-24T15:24:54.000007Z");
        assert_eq!(at(1_709_164_800_000_000), "2024-02-29T00:00:00.000000Z");
        assert_eq!(at(u64::MAX), "9999-12-31T23:59:59.999999Z");
    }

    #[test]
    fn what_is_written_reads_back_and_nothing_else_is_a_moment() {
        for micros in [0, 7, 951_782_400_000_000, 1_709_164_800_999_999, 1_795_533_894_123_456, LAST_MICROS] {
            let text = Timestamp::from_micros(micros).rfc3339();
            assert_eq!(micros_of(&text), i64::try_from(micros).ok(), "{}", text.escape_ascii());
        }
        for day in 0..200_000 {
            let micros = day * 86_400_000_000;
            assert_eq!(micros_of(&Timestamp::from_micros(micros).rfc3339()), i64::try_from(micros).ok());
        }
        for text in [
            "1969-12-31T23:59:59.999999Z",
            "2026-02-29T00:00:00.000000Z",
            "2100-02-29T00:00:00.000000Z",
            "2026-00-01T00:00:00.000000Z",
            "2026-13-01T00:00:00.000000Z",
            "2026-04-31T00:00:00.000000Z",
            "2026-11-24T24:00:00.000000Z",
            "2026-11-24T15:60:00.000000Z",
            "2016-12-31T23:59:60.000000Z",
            "2026-11-24 15:24:54.123456Z",
            "2026-11-24T15:24:54,123456Z",
            "2026-11-24T15:24:54.12345xZ",
            "+026-11-24T15:24:54.123456Z",
        ] {
            assert_eq!(micros_of(text.as_bytes().try_into().unwrap()), None, "{text}");
        }
    }

    #[test]
    fn a_time_before_1970_is_clamped() {
        assert_eq!(
            Timestamp::of(UNIX_EPOCH - Duration::from_secs(5)).to_string(),
            "1970-01-01T00:00:00.000000Z"
        );
    }
}
