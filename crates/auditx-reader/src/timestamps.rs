//! Finds implausible timestamps: lines dated well after the reader's clock, or before a preceding line.
//!
//! Used by `verify` and `inspect`. One wrong clock setting is one [`Implausible`], no matter how many lines
//! were recorded meanwhile. Times have a resolution of seconds. Memory is bounded by [`MAX_JUMPS`] jumps and
//! [`MAX_FOUND`] results per direction; further ones are counted.

use auditx_format::moment::Moment;

/// Lines may be out of order by this many seconds. An entry's time is taken before it waits for room in the
/// journal (10 s by default) and before its thread may be suspended; network time corrects a clock by less.
const OUT_OF_ORDER: u64 = 60;

/// A line may be this many seconds ahead of the reader's clock, since readers run on other machines too.
const READER_BEHIND: u64 = 300;

/// The number of jumps ahead that are remembered. The smallest is dropped first, since a wrong clock jumps
/// far.
pub(crate) const MAX_JUMPS: usize = 64;

/// The number of results kept per direction.
const MAX_FOUND: usize = 1_000;

/// The direction in which times are wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// The lines are dated later than following lines, or later than now.
    Ahead,
    /// The lines are dated earlier than a preceding line, until the time jumps ahead again.
    Back,
}

/// Consecutive lines whose times cannot all be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Implausible {
    pub(crate) direction: Direction,
    /// The first and the last of these lines.
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// Whether the last line of the trail is dated later than now, so that the clock is still wrong.
    pub(crate) is_lasting: bool,
    /// How many earlier results of this direction were counted but not kept.
    pub(crate) left_out: u64,
    pub(crate) message: String,
}

#[derive(Debug, Clone, Copy)]
struct At {
    seq: u64,
    second: u64,
}

/// An increase of more than [`OUT_OF_ORDER`] from one line to the next: a pause, or a clock that was set.
#[derive(Debug, Clone, Copy)]
struct Jump {
    /// The first line after the jump.
    seq: u64,
    from: u64,
    to: u64,
}

/// Lines dated later than now.
#[derive(Debug)]
struct Future {
    first: u64,
    latest: u64,
}

/// The lines after a step back. Either they are dated too early, or the lines before them too late; how the
/// times continue decides.
#[derive(Debug)]
struct StepBack {
    first: At,
    /// The latest line before the step.
    before: At,
    /// The latest line since the step.
    latest: At,
    /// The jumps before the step.
    jumps: Vec<Jump>,
    /// The jump that went past the time of the step, if any: the lines from it on may be dated too late.
    over: Option<usize>,
}

/// How times continue after a step back.
enum Next {
    /// They are still earlier than before the step.
    StillBack,
    /// The step is over. The lines before it were dated too late from this one on, if any.
    Over(Option<u64>),
}

/// Checks the times of all lines in order.
#[derive(Debug)]
pub(crate) struct Timestamps {
    clock: fn() -> Moment,
    /// The clock is read again when a time exceeds this.
    limit: u64,
    /// The latest of the times that are plausible so far.
    newest: Option<At>,
    jumps: Vec<Jump>,
    future: Option<Future>,
    step: Option<StepBack>,
    /// The results of each direction.
    ahead: Vec<Implausible>,
    back: Vec<Implausible>,
}

impl Default for Timestamps {
    fn default() -> Self {
        Self::new(Moment::now)
    }
}

impl Timestamps {
    /// Uses this clock as the reader's.
    pub(crate) fn new(clock: fn() -> Moment) -> Self {
        Self {
            clock,
            limit: 0,
            newest: None,
            jumps: Vec::new(),
            future: None,
            step: None,
            ahead: Vec::new(),
            back: Vec::new(),
        }
    }

    /// The latest of the times that are plausible so far, in seconds since 1970.
    pub(crate) fn newest(&self) -> Option<u64> {
        self.newest.map(|at| at.second)
    }

    /// Whether the last line passed is plausible so far.
    pub(crate) fn is_plausible(&self) -> bool {
        self.future.is_none() && self.step.is_none()
    }

    /// Whether lines from this one on may still turn out to be dated later than following lines. That is true
    /// of fewer than twice [`MAX_JUMPS`] lines.
    pub(crate) fn remembers(&self, seq: u64) -> bool {
        let before = self.step.iter().flat_map(|step| &step.jumps);
        self.jumps.iter().chain(before).any(|jump| jump.seq == seq)
    }

    /// Checks the next line, given its seq and its time in seconds since 1970. A line with the same second as
    /// the line before may be skipped. If earlier lines turn out to be dated later than this one, after a
    /// jump ahead, returns the first of them.
    pub(crate) fn pass(&mut self, seq: u64, second: u64) -> Option<u64> {
        if self.is_future(second) {
            let future = self.future.get_or_insert(Future { first: seq, latest: second });
            future.latest = future.latest.max(second);
            return None;
        }
        if let Some(future) = self.future.take() {
            self.add_future(&future, seq, false);
        }
        let at = At { seq, second };
        let mut ahead = None;
        if let Some(step) = self.step.take() {
            match self.continue_step(step, at) {
                Next::StillBack => return None,
                Next::Over(first) => ahead = first,
            }
        }
        self.advance(at);
        ahead
    }

    /// Checks a line outside of a step back.
    fn advance(&mut self, at: At) {
        let At { second, .. } = at;
        let Some(newest) = self.newest else {
            self.newest = Some(at);
            return;
        };
        if second + OUT_OF_ORDER < newest.second {
            let over = self.jumps.iter().rposition(|jump| jump.from <= second + OUT_OF_ORDER);
            let over = over.filter(|&over| self.jumps[over].to > second + OUT_OF_ORDER);
            let jumps = std::mem::take(&mut self.jumps);
            self.step = Some(StepBack { first: at, before: newest, latest: at, jumps, over });
        } else {
            self.record_jump(newest, at);
            self.newest = Some(later(newest, at));
        }
    }

    /// Returns the results in line order. `end` is the seq after the last line.
    pub(crate) fn finish(mut self, end: u64) -> Vec<Implausible> {
        if let Some(future) = self.future.take() {
            self.add_future(&future, end, true);
        }
        if let Some(step) = self.step.take() {
            self.conclude(step, end, false);
        }
        let mut found = self.ahead;
        found.append(&mut self.back);
        found.sort_by_key(|found| found.first);
        found
    }

    /// Reads the clock again if it matters: reading may take long, and lines may be added meanwhile.
    fn is_future(&mut self, second: u64) -> bool {
        if second > self.limit {
            let now = u64::try_from((self.clock)().micros() / 1_000_000).unwrap_or(0);
            self.limit = now + READER_BEHIND;
        }
        second > self.limit
    }

    /// Checks a line after a step back.
    fn continue_step(&mut self, mut step: StepBack, at: At) -> Next {
        if at.second + OUT_OF_ORDER >= step.before.second {
            // Correcting a clock makes the time jump; a clock that had been ahead is caught up with
            // gradually.
            let has_jumped = at.second > step.latest.second + OUT_OF_ORDER;
            return Next::Over(self.conclude(step, at.seq, has_jumped));
        }
        if at.second + OUT_OF_ORDER < step.latest.second {
            return Next::Over(self.conclude(step, at.seq, false));
        }
        self.record_jump(step.latest, at);
        step.latest = later(step.latest, at);
        self.step = Some(step);
        Next::StillBack
    }

    /// Decides which lines around a step back have wrong times. If those before it do, returns the first of
    /// them. `end` is the seq after the last line of the step.
    fn conclude(&mut self, mut step: StepBack, end: u64, is_corrected: bool) -> Option<u64> {
        let mut ahead = None;
        let since = std::mem::take(&mut self.jumps);
        match step.over.filter(|_| !is_corrected) {
            Some(over) => {
                let first = step.jumps[over].seq;
                ahead = Some(first);
                let message = format!(
                    "{} dated up to {}, later than line {} ({}): a clock was wrong",
                    lines(first, step.first.seq - 1),
                    time(step.before.second),
                    step.first.seq,
                    time(step.first.second),
                );
                self.add(Direction::Ahead, (first, step.first.seq), false, message);
                step.jumps.truncate(over);
                step.jumps.extend(since);
                self.newest = Some(step.latest);
            }
            None => {
                let message = format!(
                    "{} dated from {} on, earlier than line {} ({}): a clock was wrong",
                    lines(step.first.seq, end - 1),
                    time(step.first.second),
                    step.before.seq,
                    time(step.before.second),
                );
                self.add(Direction::Back, (step.first.seq, end), false, message);
            }
        }
        self.jumps = step.jumps;
        ahead
    }

    fn add_future(&mut self, future: &Future, end: u64, is_lasting: bool) {
        let now = self.limit - READER_BEHIND;
        let message = format!(
            "{} dated up to {}, later than now ({}): a clock was wrong",
            lines(future.first, end - 1),
            time(future.latest),
            time(now)
        );
        self.add(Direction::Ahead, (future.first, end), is_lasting, message);
    }

    fn add(&mut self, direction: Direction, (first, end): (u64, u64), is_lasting: bool, message: String) {
        let found = match direction {
            Direction::Ahead => &mut self.ahead,
            Direction::Back => &mut self.back,
        };
        let mut left_out = 0;
        if found.len() == MAX_FOUND {
            // The latest result is always kept: it may be lasting, and it shows how far the results extend.
            left_out = found.pop().map_or(0, |latest| latest.left_out + 1);
        }
        found.push(Implausible { direction, first, last: end - 1, is_lasting, left_out, message });
    }

    fn record_jump(&mut self, before: At, at: At) {
        if at.second <= before.second + OUT_OF_ORDER {
            return;
        }
        if self.jumps.len() == MAX_JUMPS {
            let size = |index: &usize| self.jumps[*index].to - self.jumps[*index].from;
            let smallest = (0..MAX_JUMPS).min_by_key(size);
            smallest.map(|index| self.jumps.remove(index));
        }
        self.jumps.push(Jump { seq: at.seq, from: before.second, to: at.second });
    }
}

fn later(one: At, other: At) -> At {
    if other.second > one.second { other } else { one }
}

fn lines(first: u64, last: u64) -> String {
    if first == last { format!("line {first} is") } else { format!("lines {first} to {last} are") }
}

/// `2026-11-24T15:24:54Z`
fn time(second: u64) -> String {
    let micros = i64::try_from(second).unwrap_or(i64::MAX).saturating_mul(1_000_000);
    Moment::from_micros(micros).to_string().replace(".000000", "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use Direction::{Ahead, Back};

    const NOW: u64 = 1_790_000_000;

    /// Checks lines at these seconds, relative to a day ago.
    fn found(seconds: &[i64]) -> Vec<(Direction, u64, u64)> {
        full(seconds).into_iter().map(|found| (found.direction, found.first, found.last)).collect()
    }

    fn full(seconds: &[i64]) -> Vec<Implausible> {
        let mut timestamps = Timestamps::new(|| Moment::from_micros(1_790_000_000_000_000));
        for (seq, second) in (0..).zip(seconds) {
            timestamps.pass(seq, (NOW - 86_400).checked_add_signed(*second).unwrap());
        }
        timestamps.finish(seconds.len() as u64)
    }

    const YEAR: i64 = 365 * 86_400;

    #[test]
    fn plausible_times_are_not_reported() {
        assert_eq!(found(&[]), []);
        assert_eq!(found(&[0, 10, 5, 12, 300, 240, 301]), [], "threads may be a minute out of order");
        assert_eq!(found(&[-3 * YEAR, -YEAR, 0, 3_600]), [], "a trail may be idle for years");
        assert_eq!(found(&[0, 86_400 + 300]), [], "the reader's clock may be five minutes behind");
    }

    #[test]
    fn a_clock_that_was_set_back_and_corrected_is_one_result() {
        let times = [0, 1, -6 * YEAR, 2 - 6 * YEAR, 3 - 6 * YEAR, 4, 5, 6];
        assert_eq!(found(&times), [(Back, 2, 4)]);
        assert_eq!(found(&[0, 1, -6 * YEAR, 1 - 6 * YEAR]), [(Back, 2, 3)], "until the end");
        assert_eq!(found(&[0, -YEAR, 1, 2, -YEAR, 3]), [(Back, 1, 1), (Back, 4, 4)]);
    }

    #[test]
    fn a_clock_that_was_ahead_is_one_result() {
        let far = 11 * YEAR;
        assert_eq!(found(&[0, 1, far, far + 1, 2, 3]), [(Ahead, 2, 3)], "later than now");
        assert_eq!(found(&[0, 1, far, far + 1]), [(Ahead, 2, 3)], "until the end");
        assert_eq!(found(&[0, 1, 7_200, 7_201, 2, 3]), [(Ahead, 2, 3)], "later than the lines after it");
        let caught_up: Vec<i64> = [0, 1, 600, 601].into_iter().chain((2..700).step_by(10)).collect();
        assert_eq!(found(&caught_up), [(Ahead, 2, 3)]);
    }

    #[test]
    fn a_clock_that_was_set_back_and_then_ahead_is_two_results() {
        let times = [0, 1, -6 * YEAR, 1 - 6 * YEAR, 12 * YEAR, 1 + 12 * YEAR, 2, 3];
        assert_eq!(found(&times), [(Back, 2, 5), (Ahead, 4, 5)]);
        assert_eq!(found(&[0, -YEAR, -2 * YEAR, 1]), [(Back, 1, 1), (Back, 2, 2)], "two steps");
    }

    #[test]
    fn a_step_back_after_many_pauses_is_found_in_bounded_memory() {
        let mut times: Vec<i64> = (0..1_000).map(|hour| hour * 70 - 100_000).collect();
        times.push(-200_000);
        assert_eq!(found(&times), [(Back, 1_000, 1_000)]);
    }

    #[test]
    fn the_message_contains_the_lines_and_both_times() {
        let messages: Vec<String> =
            [full(&[0, 1, -YEAR, 2]), full(&[0, 7_200, 7_201, 2]), full(&[0, 20 * YEAR])]
                .into_iter()
                .flatten()
                .map(|found| found.message)
                .collect();
        assert_eq!(
            messages,
            [
                "line 2 is dated from 2025-09-20T14:13:20Z on, earlier than line 1 (2026-09-20T14:13:21Z): \
                 a clock was wrong",
                "lines 1 to 2 are dated up to 2026-09-20T16:13:21Z, \
                 later than line 3 (2026-09-20T14:13:22Z): a clock was wrong",
                "line 1 is dated up to 2046-09-15T14:13:20Z, later than now (2026-09-21T14:13:20Z): \
                 a clock was wrong",
            ]
        );
        assert!(full(&[0, 20 * YEAR])[0].is_lasting && !full(&[0, 20 * YEAR, 1])[0].is_lasting);
    }
}
