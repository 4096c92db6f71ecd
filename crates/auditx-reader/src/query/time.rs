//! Parses times: a moment, a day, a month, a duration before now.
//!
//! The precision of a time follows from its last digit: `2026-11` is a month, `07:00` a minute, `07:00:05.1`
//! a tenth of a second. `since` and `until` use its beginning.

use std::time::Duration;

use auditx_format::moment::Moment;

use super::zone::{Shown, Zone};

const DAY: Duration = Duration::from_secs(86_400);
const MINUTE: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);
const MICRO: Duration = Duration::from_micros(1);

/// What times are relative to: the current moment, and the time zone of times without an offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeBase {
    pub(super) now: Moment,
    pub(super) zone: Zone,
}

impl TimeBase {
    /// Creates a base from the current moment and a time zone.
    #[must_use]
    pub fn new(now: Moment, zone: Zone) -> Self {
        Self { now, zone }
    }
}

impl From<Moment> for TimeBase {
    /// Uses UTC.
    fn from(now: Moment) -> Self {
        Self::new(now, Zone::UTC)
    }
}

/// A half-open interval of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) begin: Moment,
    pub(super) end: Moment,
}

impl Span {
    fn of(begin: Moment, length: Duration) -> Self {
        Self { begin, end: begin.after(length) }
    }
}

/// The value of a parsed time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Time {
    Span(Span),
    /// A time of day that occurs twice because clocks were set back.
    Twice(Span, Span),
    /// `2h`
    Ago(Moment),
}

impl Time {
    /// Parses every form that docs/QUERY.md lists under Times.
    pub(super) fn parse(text: &str, base: &TimeBase) -> Option<Self> {
        let TimeBase { now, zone } = base;
        let days = |date: Moment, end: Moment| Span { begin: zone.day(date), end: zone.day(end) };
        let today = zone.wall(*now).day();
        let span = match text.to_ascii_lowercase().as_str() {
            "now" => Span::of(*now, MICRO),
            "today" => days(today, today.after(DAY)),
            "yesterday" => days(today.before(DAY), today),
            _ => {
                if let Some(date) = Moment::parse_date(text) {
                    days(date, date.after(DAY))
                } else if let Some((month, next)) = month_or_year(text) {
                    days(month, next)
                } else if let Some(span) = epoch(text) {
                    span
                } else if let Some(ago) = length(text) {
                    return Some(Self::Ago(now.before(ago)));
                } else {
                    return Clock::parse(text, today).map(|clock| clock.time(zone));
                }
            }
        };
        Some(Self::Span(span))
    }

    pub(super) fn begin(self) -> Moment {
        match self {
            Self::Span(span) | Self::Twice(span, _) => span.begin,
            Self::Ago(begin) => begin,
        }
    }

    /// The bound that `until` uses: the second occurrence of a time that occurs twice, so that no entry is
    /// lost.
    pub(super) fn last_begin(self) -> Moment {
        match self {
            Self::Span(span) | Self::Twice(_, span) => span.begin,
            Self::Ago(begin) => begin,
        }
    }

    /// The exclusive end.
    pub(super) fn end(self) -> Moment {
        match self {
            Self::Span(span) | Self::Twice(_, span) => span.end,
            Self::Ago(begin) => begin.after(MICRO),
        }
    }
}

/// Clamps to what RFC 3339 can express. Only a line with an offset can lie outside.
pub(super) fn clamped(moment: Moment) -> Moment {
    moment.clamp(Moment::FIRST, Moment::LAST)
}

/// Parses a duration: `90s`, `15m`, `2h`, `7d`, `1w`, or a sum such as `1h30m`.
pub(super) fn length(text: &str) -> Option<Duration> {
    let (mut seconds, mut rest) = (0_u64, text);
    while !rest.is_empty() {
        let at = rest.find(|c: char| !c.is_ascii_digit()).filter(|at| *at > 0)?;
        let unit = match rest.as_bytes()[at] {
            b's' => 1,
            b'm' => 60,
            b'h' => 3_600,
            b'd' => 86_400,
            b'w' => 604_800,
            _ => return None,
        };
        // An overflow saturates: before all entries is before all entries.
        let count = rest[..at].parse::<u64>().unwrap_or(u64::MAX);
        seconds = seconds.saturating_add(count.saturating_mul(unit));
        rest = &rest[at + 1..];
    }
    (!text.is_empty()).then_some(Duration::from_secs(seconds))
}

/// The beginning of a month or year, and of the next one.
fn month_or_year(text: &str) -> Option<(Moment, Moment)> {
    let (year, month) = match text.len() {
        4 => (text, None),
        7 => text.split_once('-').map(|(year, month)| (year, Some(month)))?,
        _ => return None,
    };
    let number = |text: &str, len: usize| {
        let is_number = text.len() == len && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse::<u32>().ok()).flatten()
    };
    let year = number(year, 4)?;
    let first = |year: u32, month: u32| match year {
        // December 9999 has no next month that RFC 3339 can express.
        10_000 => Some(Moment::LAST.after(MICRO)),
        year => Moment::parse_date(&format!("{year:04}-{month:02}-01")),
    };
    match month {
        None => Some((first(year, 1)?, first(year + 1, 1)?)),
        Some(month) => {
            let month = number(month, 2)?;
            let next = if month == 12 { first(year + 1, 1)? } else { first(year, month + 1)? };
            Some((first(year, month)?, next))
        }
    }
}

/// Seconds since 1970 as ten digits, milliseconds as thirteen, or seconds in any number of digits after `@`;
/// each may have a fraction.
fn epoch(text: &str) -> Option<Span> {
    let (is_marked, digits) = text.strip_prefix('@').map_or((false, text), |digits| (true, digits));
    let (whole, fraction) =
        digits.split_once('.').map_or((digits, None), |(whole, rest)| (whole, Some(rest)));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !fraction.is_none_or(is_number) {
        return None;
    }
    let unit: i64 = match (is_marked, whole.len()) {
        (true, ..=12) | (false, 10) => 1_000_000,
        (false, 13) => 1_000,
        _ => return None,
    };
    let mut micros = whole.parse::<i64>().ok()?.checked_mul(unit)?;
    let mut length = unit;
    for digit in fraction.unwrap_or_default().bytes() {
        if length == 1 {
            break;
        }
        length /= 10;
        micros += i64::from(digit - b'0') * length;
    }
    let begin = Moment::from_micros(micros);
    let length = Duration::from_micros(length.unsigned_abs());
    (begin <= Moment::LAST).then(|| Span::of(begin, length))
}

/// A time of day, with a date or on the current day.
struct Clock {
    /// The wall time, or the moment itself if the text has an offset.
    wall: Moment,
    has_offset: bool,
    precision: Duration,
}

impl Clock {
    /// Parses RFC 3339 and the forms that tables show: a space instead of `T`, no seconds, no offset, no
    /// date.
    fn parse(text: &str, today: Moment) -> Option<Self> {
        let (date, rest) = if text.as_bytes().get(2) == Some(&b':') {
            (today.to_string()[..10].to_owned(), text)
        } else {
            let (date, rest) = text.split_at_checked(10)?;
            (date.to_owned(), rest.strip_prefix(['T', 't', ' '])?)
        };
        let end = rest.find(|c: char| !matches!(c, '0'..='9' | ':' | '.')).unwrap_or(rest.len());
        let (clock, offset) = rest.split_at(end);
        let offset = offset.trim_start_matches(' ');
        let (clock, precision) = match (clock.len(), clock.split_once('.')) {
            (5, None) => (format!("{clock}:00"), MINUTE),
            (_, None) => (clock.to_owned(), SECOND),
            (_, Some((_, fraction))) => {
                let digits = u32::try_from(fraction.len().min(6)).ok()?;
                (clock.to_owned(), Duration::from_micros(10_u64.pow(6 - digits)))
            }
        };
        let wall = Moment::parse(&format!("{date}T{clock}{offset}"))?;
        Some(Self { wall, has_offset: !offset.is_empty(), precision })
    }

    fn time(&self, zone: &Zone) -> Time {
        let span = |begin| Span::of(begin, self.precision);
        if self.has_offset {
            return Time::Span(span(self.wall));
        }
        match zone.shown(self.wall) {
            Shown::Once(begin) => Time::Span(span(begin)),
            Shown::Twice(first, second) => Time::Twice(span(first), span(second)),
            // No clock showed this time, so no entry has it.
            Shown::Skipped(at) => Time::Span(Span { begin: at, end: at }),
        }
    }
}

#[cfg(test)]
mod tests;
