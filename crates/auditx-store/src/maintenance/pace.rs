//! Paces background work: it leaves the processor to others half of the time, in short turns.

use std::io::{self, BufRead, Read};
use std::time::{Duration, Instant};

/// How long it works before it sleeps for as long. A scheduler gives even the lowest priority whole ticks of
/// 4 ms if every processor is in use, and the requests on that processor wait; this is short compared with
/// what they take anyway.
const WORK_TIME: Duration = Duration::from_micros(100);

/// A reader that sleeps when more is asked of it.
#[derive(Debug)]
pub(super) struct Paced<R> {
    reader: R,
    since: Instant,
}

impl<R> Paced<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, since: Instant::now() }
    }

    /// Sleeps for as long as was worked, once that is worth it.
    fn rest(&mut self) {
        let worked = self.since.elapsed();
        if worked >= WORK_TIME {
            std::thread::sleep(worked);
            self.since = Instant::now();
        }
    }
}

impl<R: Read> Read for Paced<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.rest();
        self.reader.read(buffer)
    }
}

impl<R: BufRead> BufRead for Paced<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.rest();
        self.reader.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.reader.consume(count);
    }
}
