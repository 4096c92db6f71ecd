//! Times as people say them: a moment, a day, so long ago.

use std::time::Duration;

use auditx_core::Moment;

const DAY: Duration = Duration::from_secs(86_400);
const MICRO: Duration = Duration::from_micros(1);

/// What a time names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Time {
    /// From the first moment up to before the second: a day, or one microsecond.
    Span(Moment, Moment),
    /// `2h`
    Ago(Moment),
}

impl Time {
    /// Of RFC 3339, a date, `90s` `15m` `2h` `7d` `1w`, `now`, `today`, `yesterday`, in UTC.
    pub(super) fn parse(text: &str, now: Moment) -> Option<Self> {
        let day = |begin: Moment| Self::Span(begin, begin.after(DAY));
        let moment = |begin: Moment| Self::Span(begin, begin.after(MICRO));
        let time = match text.to_ascii_lowercase().as_str() {
            "now" => moment(now),
            "today" => day(now.day()),
            "yesterday" => day(now.day().before(DAY)),
            _ => Moment::parse_date(text)
                .map(day)
                .or_else(|| Moment::parse(text).map(moment))
                .or_else(|| length(text).map(|ago| Self::Ago(now.before(ago))))?,
        };
        Some(time)
    }

    pub(super) fn begin(self) -> Moment {
        let (Self::Span(begin, _) | Self::Ago(begin)) = self;
        begin
    }

    /// Before which it ends.
    pub(super) fn end(self) -> Moment {
        match self {
            Self::Span(_, end) => end,
            Self::Ago(begin) => begin.after(MICRO),
        }
    }
}

/// The nearest one that RFC 3339 can say. No line is outside but by its offset.
pub(super) fn sayable(moment: Moment) -> Moment {
    moment.clamp(Moment::FIRST, Moment::LAST)
}

/// A length of time: `90s` `15m` `2h` `7d` `1w`.
pub(super) fn length(text: &str) -> Option<Duration> {
    let unit = text.chars().next_back()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return None,
    };
    let digits = &text[..text.len() - 1];
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // Longer ago than numbers count is as long ago as they do.
    Some(Duration::from_secs(digits.parse::<u64>().unwrap_or(u64::MAX).saturating_mul(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Moment {
        Moment::parse(text).unwrap()
    }

    #[test]
    fn times_are_counted_from_the_moment_that_is_given() {
        let now = at("2026-11-24T15:24:54Z");
        let span = |begin, end| Some(Time::Span(at(begin), at(end)));
        let ago = |begin| Some(Time::Ago(at(begin)));
        for (text, time) in [
            ("now", span("2026-11-24T15:24:54Z", "2026-11-24T15:24:54.000001Z")),
            ("today", span("2026-11-24T00:00:00Z", "2026-11-25T00:00:00Z")),
            ("Yesterday", span("2026-11-23T00:00:00Z", "2026-11-24T00:00:00Z")),
            ("2026-02-28", span("2026-02-28T00:00:00Z", "2026-03-01T00:00:00Z")),
            ("2026-02-28T06:30:00+06:30", span("2026-02-28T00:00:00Z", "2026-02-28T00:00:00.000001Z")),
            ("30s", ago("2026-11-24T15:24:24Z")),
            ("15m", ago("2026-11-24T15:09:54Z")),
            ("2h", ago("2026-11-24T13:24:54Z")),
            ("7d", ago("2026-11-17T15:24:54Z")),
            ("1w", ago("2026-11-17T15:24:54Z")),
        ] {
            assert_eq!(Time::parse(text, now), time, "{text}");
        }
        for text in ["", "h", "2", "2y", "-2h", "2 h", "2.5h", "tomorrow", "2026-02-30", "2026", "၂h", "2é"]
        {
            assert_eq!(Time::parse(text, now), None, "{text}");
        }
        let long_ago = Time::parse("99999999999999999999999w", now).unwrap().begin();
        assert_eq!(sayable(long_ago).to_string(), "0000-01-01T00:00:00.000000Z");
        assert_eq!(sayable(Moment::from_micros(i64::MAX)).to_string(), "9999-12-31T23:59:59.999999Z");
    }
}
