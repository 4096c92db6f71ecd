//! Time stamps: checkpoints that an authority stamped, and what they imply for the times of lines.
//!
//! A stamp shows that the lines of its checkpoint existed at its time, so none of them is dated later. It
//! does not show that the other lines did not exist. But stamps are obtained for the latest checkpoint, so
//! what came after it should not be dated much earlier. Neither changes the answer: both are remarks about
//! clocks.
//!
//! Whether an authority signed a stamp is for the caller to verify: this crate knows nothing of certificates.

use std::time::Duration;

use auditx_format::moment::Moment;
use auditx_tlog::SignedCheckpoint;
use serde::Serialize;

use super::remark::{Remark, RemarkKind};

/// How far the clocks of the trail and of the authority may differ, in seconds.
const TOLERANCE: u64 = 5;

/// How long before its stamp the latest checkpoint may have been signed, in seconds. Lines that were
/// recorded in between are dated earlier than the stamp.
const LEAD: u64 = 60;

/// A checkpoint, and what its verified time stamp says.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StampedCheckpoint {
    /// What was stamped.
    pub checkpoint: SignedCheckpoint,
    /// When it existed, in seconds since 1970.
    pub at: u64,
    /// How far the authority's clock may be off.
    pub accuracy: Duration,
    /// The name of the authority.
    pub authority: String,
}

impl StampedCheckpoint {
    /// A checkpoint for which a verified time stamp exists.
    #[must_use]
    pub fn new(
        checkpoint: SignedCheckpoint,
        at: u64,
        accuracy: Duration,
        authority: impl Into<String>,
    ) -> Self {
        Self { checkpoint, at, accuracy, authority: authority.into() }
    }
}

/// A time stamp that agrees with the lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TimeStamp {
    /// The number of lines that existed.
    pub size: u64,
    /// When, in seconds since 1970.
    pub at: u64,
    /// Who says so.
    pub authority: String,
}

/// The time stamps that agree with the lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TimeStamps {
    /// How many there are.
    pub count: u64,
    /// The one with the fewest lines.
    pub first: TimeStamp,
    /// The one with the most lines.
    pub last: TimeStamp,
}

impl TimeStamps {
    /// Adds one more. They come in the order of their sizes.
    pub(super) fn add(stamps: &mut Option<Self>, stamped: &StampedCheckpoint) {
        let stamp = TimeStamp {
            size: stamped.checkpoint.size(),
            at: stamped.at,
            authority: stamped.authority.clone(),
        };
        match stamps {
            Some(stamps) => (stamps.count, stamps.last) = (stamps.count + 1, stamp),
            None => *stamps = Some(Self { count: 1, first: stamp.clone(), last: stamp }),
        }
    }
}

/// Compares the times of lines with those of stamps. Costs a comparison or two for each second that has
/// lines.
#[derive(Debug)]
pub(super) struct StampTimes {
    /// Those that still hold for lines to come, in order.
    spans: std::vec::IntoIter<Span>,
    span: Option<Span>,
    /// The first of the lines that share the latest second, and that second.
    run: Option<(u64, u64)>,
    later: Violations,
    earlier: Violations,
}

/// Consecutive lines for which the same stamps hold.
#[derive(Debug, Clone, Copy)]
struct Span {
    /// The number after the last line.
    end: u64,
    latest: Option<Bound>,
    earliest: Option<Bound>,
}

/// The time that a stamp allows.
#[derive(Debug, Clone, Copy)]
struct Bound {
    second: u64,
    /// The stamp.
    size: u64,
    at: u64,
}

impl StampTimes {
    /// `stamped` is in the order of sizes.
    pub(super) fn new(stamped: &[StampedCheckpoint]) -> Self {
        let mut spans: Vec<Span> = vec![Span { end: u64::MAX, latest: None, earliest: None }];
        let (mut latest, mut first) = (None::<Bound>, u64::MAX);
        let mut was_newest = Vec::new();
        for stamped in stamped.iter().rev() {
            let (size, at) = (stamped.checkpoint.size(), stamped.at);
            let slack = whole_seconds(stamped.accuracy);
            let second = at.saturating_add(slack).saturating_add(TOLERANCE);
            if latest.is_none_or(|latest| second < latest.second) {
                latest = Some(Bound { second, size, at });
            }
            spans.push(Span { end: size, latest, earliest: None });
            // A larger checkpoint that was stamped before shows that this one was not the latest then.
            let bound = Bound { second: at.saturating_sub(slack.saturating_add(LEAD)), size, at };
            was_newest.push((at < first).then_some(bound));
            first = first.min(at);
        }
        spans.reverse();
        let mut earliest = None::<Bound>;
        for (span, bound) in spans.iter_mut().zip([None].into_iter().chain(was_newest.into_iter().rev())) {
            let newer = bound.filter(|bound| earliest.is_none_or(|earliest| bound.second > earliest.second));
            earliest = newer.or(earliest);
            span.earliest = earliest;
        }
        let mut spans = spans.into_iter();
        let span = spans.next();
        Self {
            spans,
            span,
            run: None,
            later: Violations::new(RemarkKind::LaterThanStamp),
            earlier: Violations::new(RemarkKind::EarlierThanStamp),
        }
    }

    /// Adds a line whose second differs from that of the line before.
    pub(super) fn add(&mut self, seq: u64, second: u64) {
        self.close_run(seq);
        self.run = Some((seq, second));
    }

    /// Compares the lines up to `end` that share the latest second.
    fn close_run(&mut self, end: u64) {
        let Some((mut first, second)) = self.run.take() else { return };
        while first < end
            && let Some(span) = self.span
        {
            let last = span.end.min(end);
            if first < last {
                if let Some(bound) = span.latest.filter(|latest| second > latest.second) {
                    self.later.add((first, last - 1), second, bound);
                }
                if let Some(bound) = span.earliest.filter(|earliest| second < earliest.second) {
                    self.earlier.add((first, last - 1), second, bound);
                }
                first = last;
            }
            if span.end <= end {
                self.span = self.spans.next();
            }
        }
    }

    /// Returns the remarks. `end` is the number after the last line.
    pub(super) fn finish(mut self, end: u64) -> Vec<Remark> {
        self.close_run(end);
        let remarks = [self.later.finish(), self.earlier.finish()];
        remarks.into_iter().filter(|remark| remark.count > 0).collect()
    }
}

/// The lines that a stamp contradicts, one remark for consecutive ones.
#[derive(Debug)]
struct Violations {
    remark: Remark,
    /// The first and last line so far, the second of the first one, and the stamp.
    open: Option<(u64, u64, u64, Bound)>,
}

impl Violations {
    fn new(kind: RemarkKind) -> Self {
        Self { remark: Remark::new(kind), open: None }
    }

    fn add(&mut self, (first, last): (u64, u64), second: u64, bound: Bound) {
        match &mut self.open {
            Some((_, end, _, open)) if *end + 1 == first && open.size == bound.size => *end = last,
            _ => {
                self.close();
                self.open = Some((first, last, second, bound));
            }
        }
    }

    fn close(&mut self) {
        let Some((first, last, second, Bound { size, at, .. })) = self.open.take() else { return };
        let (dated, stamped) = (time(second), time(at));
        let message = match self.remark.kind {
            RemarkKind::LaterThanStamp => format!(
                "line {first} is dated {dated}, but a time stamp shows that the first {size} lines existed at \
{stamped}: the clock was ahead"
            ),
            _ => format!(
                "line {first} is dated {dated}, but the checkpoint of the {size} lines before was stamped at \
{stamped}: the line was recorded later than it says, or the clock was behind"
            ),
        };
        self.remark.add(Some(first), (last > first).then_some(last), message);
    }

    fn finish(mut self) -> Remark {
        self.close();
        self.remark
    }
}

/// Rounded up.
fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0))
}

fn time(second: u64) -> Moment {
    Moment::from_micros(i64::try_from(second).unwrap_or(i64::MAX).saturating_mul(1_000_000))
}
