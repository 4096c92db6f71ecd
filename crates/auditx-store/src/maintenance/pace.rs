//! Paces background work: it works in short turns and sleeps between them, the less the more segments wait.
//!
//! A burst of load finds it nearly idle. Under lasting load, segments collect until its share of a processor
//! is what the load needs; then no more collect.

use std::io::{self, BufRead, Read};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How long a turn is. A scheduler gives a thread whole ticks of 4 ms if every processor is in use, and the
/// requests on that processor wait; this is short compared with what they take anyway.
const TURN: Duration = Duration::from_micros(100);

/// With so many segments waiting, it no longer sleeps.
const MANY: u32 = 64;

/// A whole processor, in parts.
const WHOLE: u32 = MANY * MANY;

/// The share of a processor that the work takes if little waits.
const SMALLEST: u32 = WHOLE / 16;

/// A turn may be far longer than planned: its read waited for the disk, or the machine was suspended.
const LONGEST_SLEEP: Duration = Duration::from_millis(10);

/// How much of a processor the work takes. It may change at any time.
///
/// ORDERING: the values publish nothing; Relaxed would do everywhere.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    segments_waiting: AtomicU32,
    callers_waiting: AtomicU32,
}

impl Pace {
    /// Sets how many segments wait, the one in work included.
    pub(super) fn set_segments_waiting(&self, count: u64) {
        self.segments_waiting.store(u32::try_from(count).unwrap_or(MANY), Ordering::SeqCst);
    }

    /// The work does not sleep until the result is dropped, since a caller waits for it.
    pub(super) fn hurry(&self) -> Hurry<'_> {
        self.callers_waiting.fetch_add(1, Ordering::SeqCst);
        Hurry(self)
    }

    fn sleep_after(&self, worked: Duration) -> Duration {
        let segments = self.segments_waiting.load(Ordering::SeqCst).min(MANY);
        let share = match self.callers_waiting.load(Ordering::SeqCst) {
            0 => (segments * segments).max(SMALLEST),
            _ => WHOLE,
        };
        (worked * (WHOLE - share) / share).min(LONGEST_SLEEP)
    }
}

/// See [`Pace::hurry`].
#[derive(Debug)]
pub(super) struct Hurry<'p>(&'p Pace);

impl Drop for Hurry<'_> {
    fn drop(&mut self) {
        self.0.callers_waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A reader that sleeps when more is asked of it.
#[derive(Debug)]
pub(crate) struct Paced<'p, R> {
    reader: R,
    pace: &'p Pace,
    since: Instant,
}

impl<'p, R> Paced<'p, R> {
    pub(super) fn new(reader: R, pace: &'p Pace) -> Self {
        Self { reader, pace, since: Instant::now() }
    }

    fn rest(&mut self) {
        let worked = self.since.elapsed();
        if worked >= TURN {
            std::thread::sleep(self.pace.sleep_after(worked));
            self.since = Instant::now();
        }
    }
}

impl<R: Read> Read for Paced<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.rest();
        self.reader.read(buffer)
    }
}

impl<R: BufRead> BufRead for Paced<'_, R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.rest();
        self.reader.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.reader.consume(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asleep(pace: &Pace, segments_waiting: u64) -> u128 {
        pace.set_segments_waiting(segments_waiting);
        pace.sleep_after(TURN).as_nanos()
    }

    #[test]
    fn the_more_segments_wait_the_less_it_sleeps() {
        let pace = Pace::default();
        let asleep = [1, 16, 24, 32, 64, 1000, u64::MAX].map(|waiting| asleep(&pace, waiting));
        assert_eq!(asleep, [1_500_000, 1_500_000, 611_111, 300_000, 0, 0, 0]);
    }

    #[test]
    fn it_does_not_sleep_while_a_caller_waits() {
        let pace = Pace::default();
        let hurry = pace.hurry();
        assert_eq!(asleep(&pace, 1), 0);
        drop(hurry);
        assert_eq!(asleep(&pace, 1), 1_500_000);
    }

    #[test]
    fn a_turn_that_took_long_is_no_reason_to_sleep_long() {
        let hour = Duration::from_secs(3600);
        assert_eq!(Pace::default().sleep_after(hour), LONGEST_SLEEP);
    }
}
