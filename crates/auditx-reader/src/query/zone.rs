//! Time zones: reads times without an offset, finds the beginnings of days, and displays moments.
//!
//! A wall time (what the clocks of a zone show) is also stored as a [`Moment`], as if it were UTC. Only one
//! function of the time zone database is used, the offset at a moment. To read a wall time is to search for
//! the moments at which clocks showed it: none if clocks were set forward over it, two if they were set back.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use auditx_format::moment::Moment;
use jiff::Timestamp;
use jiff::tz::TimeZone;

const DAY: i64 = 86_400_000_000;
const HOUR: i64 = 3_600_000_000;
const MINUTE: i64 = 60_000_000;
const SECOND: i64 = 1_000_000;

/// 1970-01-05 was a Monday.
const MONDAY: i64 = 4 * DAY;

/// A time zone: an IANA name, an offset, or UTC.
///
/// ```
/// use auditx_reader::{Moment, Zone};
///
/// let zone: Zone = "+06:30".parse()?;
/// let moment = Moment::parse("2026-11-24T20:24:54Z").expect("RFC 3339");
/// assert_eq!(zone.rfc3339(moment), "2026-11-25T02:54:54.000000+06:30");
/// # Ok::<(), auditx_reader::ZoneError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Zone(Rule);

#[derive(Clone, PartialEq, Eq, Default)]
enum Rule {
    #[default]
    Utc,
    /// Microseconds east of Greenwich.
    Offset(i64),
    Named(Box<str>, TimeZone),
}

/// The moments at which clocks of a zone showed a wall time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    Once(Moment),
    /// Clocks were set back between the two.
    Twice(Moment, Moment),
    /// Never: clocks were set forward at this moment and skipped it.
    Skipped(Moment),
}

impl Shown {
    pub(super) fn first(self) -> Moment {
        let (Self::Once(moment) | Self::Twice(moment, _) | Self::Skipped(moment)) = self;
        moment
    }
}

impl Zone {
    /// Coordinated Universal Time.
    pub const UTC: Self = Self(Rule::Utc);

    /// Returns the system's time zone: `TZ` if it is set, otherwise `/etc/localtime`.
    ///
    /// # Errors
    /// Fails if the system's time zone cannot be read.
    pub fn local() -> Result<Self, ZoneError> {
        let zone = TimeZone::try_system()
            .map_err(|error| ZoneError(format!("cannot read the system time zone: {error}")))?;
        let name = zone.iana_name().unwrap_or("local").into();
        Ok(Self(Rule::Named(name, zone)))
    }

    /// Whether it is UTC.
    #[must_use]
    pub fn is_utc(&self) -> bool {
        self.0 == Rule::Utc
    }

    /// The wall time at this moment, represented as if it were UTC.
    #[must_use]
    pub fn wall(&self, moment: Moment) -> Moment {
        plus(moment, self.offset(moment))
    }

    /// Formats the moment in RFC 3339 with the zone's offset. Uses UTC if the offset has seconds, as offsets
    /// before about 1900 have.
    #[must_use]
    pub fn rfc3339(&self, moment: Moment) -> String {
        let offset = self.offset(moment);
        if self.is_utc() || offset % MINUTE != 0 {
            return moment.to_string();
        }
        let mut text = plus(moment, offset).to_string();
        text.truncate(text.len() - 1);
        text + &offset_text(offset)
    }

    /// The beginning of the bucket of this length that contains the moment. Buckets of whole days begin at
    /// midnight in the zone, those of whole weeks on Monday, shorter ones at round times of day.
    #[must_use]
    pub fn bucket(&self, moment: Moment, length: Duration) -> Moment {
        let length = micros(length);
        let offset = self.offset(moment);
        let wall = plus(moment, offset).micros();
        let origin = if length % (7 * DAY) == 0 { MONDAY } else { 0 };
        let begin = (wall - origin).div_euclid(length).saturating_mul(length).saturating_add(origin);
        if HOUR % length == 0 {
            // An hour that occurs twice remains two buckets.
            return Moment::from_micros(begin.saturating_sub(offset));
        }
        self.shown(Moment::from_micros(begin)).first()
    }

    /// The beginning of the bucket of this length after the one that begins at `begin`.
    #[must_use]
    pub fn next_bucket(&self, begin: Moment, length: Duration) -> Moment {
        if HOUR % micros(length) == 0 {
            return begin.after(length);
        }
        // A bucket that begins where clocks were set forward is shorter than the others.
        let next = self.bucket(self.shown(self.wall(begin).after(length)).first(), length);
        if next > begin { next } else { begin.after(length) }
    }

    /// The moments at which clocks in the zone showed this wall time.
    pub(super) fn shown(&self, wall: Moment) -> Shown {
        // No zone changes its offset twice within two days, and no offset exceeds a day.
        let (before, after) = (self.offset(plus(wall, -DAY)), self.offset(plus(wall, DAY)));
        let [early, late] = [before.max(after), before.min(after)].map(|offset| plus(wall, -offset));
        let is_shown = |moment| self.wall(moment) == wall;
        match (is_shown(early), is_shown(late)) {
            (true, true) if early != late => Shown::Twice(early, late),
            (true, _) => Shown::Once(early),
            (_, true) => Shown::Once(late),
            (false, false) => Shown::Skipped(self.jump(early, late)),
        }
    }

    /// The moment between these two at which the offset changes.
    fn jump(&self, early: Moment, late: Moment) -> Moment {
        let before = self.offset(early);
        let (mut low, mut high) = (early.micros(), late.micros());
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if self.offset(Moment::from_micros(middle)) == before { low = middle } else { high = middle }
        }
        Moment::from_micros(high)
    }

    /// The first moment of the day of this wall time.
    pub(super) fn day(&self, wall: Moment) -> Moment {
        self.shown(wall.day()).first()
    }

    /// Microseconds east of Greenwich.
    fn offset(&self, moment: Moment) -> i64 {
        match &self.0 {
            Rule::Utc => 0,
            Rule::Offset(offset) => *offset,
            Rule::Named(_, zone) => {
                // The range of `Timestamp` ends a day before that of RFC 3339.
                let time = Timestamp::from_microsecond(moment.micros()).unwrap_or(if moment.micros() < 0 {
                    Timestamp::MIN
                } else {
                    Timestamp::MAX
                });
                i64::from(zone.to_offset(time).seconds()) * SECOND
            }
        }
    }
}

impl FromStr for Zone {
    type Err = ZoneError;

    /// Parses an IANA name such as `Asia/Yangon`, an offset such as `+06:30`, `utc`, or `local`.
    fn from_str(text: &str) -> Result<Self, ZoneError> {
        match text.to_ascii_lowercase().as_str() {
            "" | "utc" | "z" => return Ok(Self::UTC),
            "local" => return Self::local(),
            _ => {}
        }
        if text.starts_with(['+', '-']) {
            let offset = offset_of(text).ok_or_else(|| {
                ZoneError(format!("invalid offset {text:?}: expected one such as +06:30 or -05:00"))
            })?;
            return Ok(Self(if offset == 0 { Rule::Utc } else { Rule::Offset(offset) }));
        }
        let zone = TimeZone::get(text).map_err(|_| {
            if jiff::tz::db().is_definitively_empty() {
                return ZoneError(
                    "no time zone database on this system: install tzdata, or use an offset such as +06:30"
                        .to_owned(),
                );
            }
            ZoneError(format!(
                "unknown time zone {text:?}: expected an IANA name such as Asia/Yangon, \
                 an offset such as +06:30, utc or local"
            ))
        })?;
        let name = zone.iana_name().unwrap_or(text).into();
        Ok(Self(Rule::Named(name, zone)))
    }
}

impl fmt::Display for Zone {
    /// Formats the zone so that it can be parsed again.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Rule::Utc => f.write_str("UTC"),
            Rule::Offset(offset) => f.write_str(&offset_text(*offset)),
            Rule::Named(name, _) => f.write_str(name),
        }
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Zone({self})")
    }
}

/// A time zone that could not be parsed or read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneError(String);

impl fmt::Display for ZoneError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ZoneError {}

fn plus(moment: Moment, micros: i64) -> Moment {
    Moment::from_micros(moment.micros().saturating_add(micros))
}

fn micros(length: Duration) -> i64 {
    i64::try_from(length.as_micros()).unwrap_or(i64::MAX).max(1)
}

/// Parses `+06:30`, `-0500` or `+6`.
fn offset_of(text: &str) -> Option<i64> {
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match (digits.split_once(':'), digits.len()) {
        (Some(parts), _) => parts,
        (None, 4) => digits.split_at_checked(2)?,
        (None, _) => (digits, "00"),
    };
    let number = |text: &str, len: std::ops::RangeInclusive<usize>| {
        let is_number = len.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse::<i64>().ok()).flatten()
    };
    let (hours, minutes) = (number(hours, 1..=2)?, number(minutes, 2..=2)?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * HOUR + minutes * MINUTE))
}

fn offset_text(offset: i64) -> String {
    let sign = if offset < 0 { '-' } else { '+' };
    let minutes = offset.abs() / MINUTE;
    format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

#[cfg(test)]
mod tests;
