//! Times of lines as whole seconds, read without a library: `2026-11-24T15:24:54.123456Z` at its fixed places.
//!
//! Consecutive lines mostly share their second, and nearly always their day: both are compared as bytes before anything
//! is counted.

use super::record::TIMESTAMP;

/// `2026-11-24T15:24:54`
const SECOND: usize = 19;

/// `2026-11-24`
const DAY: usize = 10;

const SECONDS_PER_DAY: u64 = 86_400;

/// Reads times in the order of their lines.
#[derive(Debug, Default)]
pub(super) struct Moments {
    second: [u8; SECOND],
    day: ([u8; DAY], u64),
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
        self.read()
    }

    fn read(&mut self) -> Option<u64> {
        let day: &[u8; DAY] = self.second.first_chunk()?;
        if *day != self.day.0 {
            self.day = (*day, days(day)?);
        }
        let [b'T', hour @ .., b':', m, mm, b':', s, ss] = &self.second[DAY..] else { return None };
        Some(
            self.day.1 * SECONDS_PER_DAY
                + number(hour)? * 3_600
                + number(&[*m, *mm])? * 60
                + number(&[*s, *ss])?,
        )
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    digits
        .iter()
        .try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + u64::from(digit - b'0')))
}

/// Days since 1970-01-01 in the Gregorian calendar; none for what is no day since then.
fn days(day: &[u8; DAY]) -> Option<u64> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = *day else { return None };
    let (year, month, day) = (number(&[y1, y2, y3, y4])?, number(&[m1, m2])?, number(&[d1, d2])?);
    if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Years that begin in March: the day that is added every fourth year is then the last one.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year / 4 - year / 100 + year / 400;
    // 719,468 days lie between 0000-03-01 and 1970-01-01.
    Some((year * 365 + leap_days + (153 * month + 2) / 5 + day - 1) - 719_468)
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
