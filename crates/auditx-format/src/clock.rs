//! The source of timestamps, and their format in lines: RFC 3339, UTC, microseconds.

use std::cell::Cell;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::calendar;
use crate::digits::pair;

/// A source of wall-clock time. A logger uses [`SystemClock`] unless `Config::clock` sets another one.
pub trait Clock: fmt::Debug + Send + Sync {
    /// Returns the current time.
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

/// A time in microseconds since 1970-01-01T00:00:00Z, between the years 1970 and 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(u64);

/// 9999-12-31T23:59:59.999999Z, the last time that RFC 3339 can express.
const LAST_MICROS: u64 = 253_402_300_799_999_999;

/// `2026-11-24T15:24:54.123456Z`
pub const RFC3339_LEN: usize = 27;

thread_local! {
    /// The last second that this thread formatted. Consecutive entries mostly share it.
    static SECOND: Cell<(u64, [u8; RFC3339_LEN])> = const { Cell::new((u64::MAX, [0; RFC3339_LEN])) };
}

impl Timestamp {
    /// Returns the timestamp of a time, clamped to the years 1970 to 9999.
    #[must_use]
    pub fn of(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let seconds = since.as_secs().saturating_mul(1_000_000);
        Self(seconds.saturating_add(since.subsec_micros().into()).min(LAST_MICROS))
    }

    /// Returns the timestamp of microseconds since 1970, clamped like [`Timestamp::of`].
    #[must_use]
    pub fn from_micros(micros: u64) -> Self {
        Self(micros.min(LAST_MICROS))
    }

    /// Returns the microseconds since 1970.
    #[must_use]
    pub fn micros(self) -> u64 {
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
        // Copied directly into `text`: a copy over the stack costs more than formatting all digits.
        let written = SECOND.try_with(|cell| {
            let (cached_second, cached_text) = cell.get();
            if cached_second == second {
                *text = cached_text;
            }
            cached_second == second
        });
        if !written.unwrap_or(false) {
            *text = format_and_cache(second);
        }
        let [.., a, b, c, d, e, f, _] = text;
        [*a, *b] = pair(micros / 10_000);
        [*c, *d] = pair(micros / 100);
        [*e, *f] = pair(micros);
    }
}

#[cold]
fn format_and_cache(second: u64) -> [u8; RFC3339_LEN] {
    let text = format_second(second);
    // During thread teardown the cache is gone, and each call formats again.
    SECOND.try_with(|cell| cell.set((second, text))).unwrap_or(());
    text
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.rfc3339()))
    }
}

fn digit(value: u64) -> u8 {
    b'0' + u8::try_from(value).unwrap_or(0)
}

fn format_second(second: u64) -> [u8; RFC3339_LEN] {
    let (day, of_day) = (second / 86_400, second % 86_400);
    let (year, month, month_day) = calendar::date(i64::try_from(day).unwrap_or(0));
    let mut text = *b"0000-00-00T00:00:00.000000Z";
    let mut put = |start: usize, width: usize, mut value: u64| {
        for index in (start..start + width).rev() {
            text[index] = digit(value % 10);
            value /= 10;
        }
    };
    for (start, width, value) in [(0, 4, year), (5, 2, month), (8, 2, month_day)] {
        put(start, width, value.unsigned_abs());
    }
    put(11, 2, of_day / 3_600);
    put(14, 2, of_day / 60 % 60);
    put(17, 2, of_day % 60);
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
    fn a_time_before_1970_is_clamped() {
        assert_eq!(
            Timestamp::of(UNIX_EPOCH - Duration::from_secs(5)).to_string(),
            "1970-01-01T00:00:00.000000Z"
        );
    }
}
