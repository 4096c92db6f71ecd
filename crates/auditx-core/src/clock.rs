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
    fn a_time_before_1970_is_clamped() {
        assert_eq!(
            Timestamp::of(UNIX_EPOCH - Duration::from_secs(5)).to_string(),
            "1970-01-01T00:00:00.000000Z"
        );
    }
}
