//! Which lines are within a span of time, told from their bytes where they are ours.

use auditx_core::{Field, Moment, Row};

/// `2026-11-24T15:24:54.123456Z`
const TIMESTAMP: usize = 27;

/// `"id":"…36…","timestamp":"`, behind the comma that ends the number.
const BEFORE: &[u8] = br#""id":""#;
const ID: usize = 36;
const BETWEEN: &[u8] = br#"","timestamp":""#;

/// From one moment to before another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) since: Option<Moment>,
    pub(super) until: Option<Moment>,
    /// The same as they stand in a line: of equal length, they are in order as their bytes are.
    text: ([u8; TIMESTAMP], [u8; TIMESTAMP]),
}

impl Span {
    pub(super) fn new(since: Option<Moment>, until: Option<Moment>) -> Self {
        let text = |moment: Option<Moment>, open: u8| {
            let written = moment.map(|moment| moment.to_string());
            // Beyond the years that are written with four digits nothing is before, or after.
            written.and_then(|text| text.as_bytes().try_into().ok()).unwrap_or([open; TIMESTAMP])
        };
        Self { since, until, text: (text(since, 0), text(until, u8::MAX)) }
    }

    pub(super) fn is_everything(&self) -> bool {
        self.since.is_none() && self.until.is_none()
    }

    /// Whether there may be a moment of both.
    pub(super) fn meets(&self, first: Moment, last: Moment) -> bool {
        self.since.is_none_or(|since| last >= since) && self.until.is_none_or(|until| first < until)
    }

    pub(super) fn holds(&self, moment: Moment) -> bool {
        self.meets(moment, moment)
    }

    /// Whether a line of ours is within; none where it is not written as ours are.
    #[inline]
    pub(super) fn holds_line(&self, line: &[u8]) -> Option<bool> {
        let time: &[u8; TIMESTAMP] = timestamp(line)?;
        // What is no time is not compared as one.
        let is_time = time[10] == b'T' && time[26] == b'Z' && time[..4].iter().all(u8::is_ascii_digit);
        is_time.then(|| *time >= self.text.0 && *time < self.text.1)
    }

    /// Whether an entry is within; none where it has no time that can be read.
    pub(super) fn holds_row(&self, row: &Row<'_>) -> Option<bool> {
        Moment::parse(&row.text(Field::Timestamp)).map(|moment| self.holds(moment))
    }
}

/// The time at its fixed place.
#[inline]
fn timestamp(line: &[u8]) -> Option<&[u8; TIMESTAMP]> {
    let number = line.strip_prefix(br#"{"seq":"#)?;
    let comma = number.iter().take(21).position(|byte| *byte == b',')?;
    let rest = number[comma + 1..].strip_prefix(BEFORE)?;
    let rest = rest.get(ID..)?.strip_prefix(BETWEEN)?;
    let (time, rest) = rest.split_first_chunk()?;
    (rest.first() == Some(&b'"')).then_some(time)
}
