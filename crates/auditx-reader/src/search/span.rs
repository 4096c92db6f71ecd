//! Decides whether a line is within a time range, from its bytes if this library wrote it.

use auditx_format::clock::RFC3339_LEN;
use auditx_format::line_head::LineHead;
use auditx_format::moment::Moment;
use auditx_format::row::Row;

/// A half-open time range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) since: Option<Moment>,
    pub(super) until: Option<Moment>,
    /// The same as timestamp text: texts of this fixed length sort like the times.
    text: ([u8; RFC3339_LEN], [u8; RFC3339_LEN]),
}

impl Span {
    pub(super) fn new(since: Option<Moment>, until: Option<Moment>) -> Self {
        let text = |moment: Option<Moment>, open: u8| {
            let written = moment.map(|moment| moment.to_string());
            // Years that need more than four digits sort before, or after, all lines.
            written.and_then(|text| text.as_bytes().try_into().ok()).unwrap_or([open; RFC3339_LEN])
        };
        Self { since, until, text: (text(since, 0), text(until, u8::MAX)) }
    }

    pub(super) fn is_unbounded(&self) -> bool {
        self.since.is_none() && self.until.is_none()
    }

    /// Whether the time range overlaps `first..=last`.
    pub(super) fn overlaps(&self, first: Moment, last: Moment) -> bool {
        self.since.is_none_or(|since| last >= since) && self.until.is_none_or(|until| first < until)
    }

    pub(super) fn contains(&self, moment: Moment) -> bool {
        self.overlaps(moment, moment)
    }

    /// Whether a line is within the range; `None` if the line does not have this library's format.
    #[inline]
    pub(super) fn contains_line(&self, line: &[u8]) -> Option<bool> {
        let time = LineHead::of(line)?.timestamp;
        // Do not compare text that is not a time.
        let is_time = time[10] == b'T' && time[26] == b'Z' && time[..4].iter().all(u8::is_ascii_digit);
        is_time.then(|| *time >= self.text.0 && *time < self.text.1)
    }

    /// Whether an entry is within the range; `None` if its timestamp cannot be parsed.
    pub(super) fn contains_row(&self, row: &Row<'_>) -> Option<bool> {
        row.moment().map(|moment| self.contains(moment))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_after_the_time_is_no_time() {
        let day = |text: &str| Moment::parse(text);
        let span = Span::new(day("2026-11-24T00:00:00Z"), day("2026-11-25T00:00:00Z"));
        let line = |end: &str| {
            let id = "01990000-0000-7000-8000-000000000000";
            format!(
                r#"{{"seq":7,"id":"{id}","timestamp":"2026-11-24T15:24:54.123456Z{end}","level":"INFO"}}"#
            )
        };
        assert_eq!(span.contains_line(line("").as_bytes()), Some(true));
        assert_eq!(span.contains_line(line("junk").as_bytes()), None);
    }
}
