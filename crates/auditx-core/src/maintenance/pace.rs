//! Work that leaves the processor to others half of the time, in short turns.

use std::io::{self, BufRead, Read};
use std::time::{Duration, Instant};

/// How long it may work before it rests as long. A scheduler gives even the lowest priority whole ticks of 4 ms where every processor is
/// in use, and the requests of that processor wait; this is short beside what they take anyway.
const STRETCH: Duration = Duration::from_micros(100);

/// A reader whose reader rests each time it asks for more.
#[derive(Debug)]
pub(super) struct Paced<R> {
    reader: R,
    since: Instant,
}

impl<R> Paced<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, since: Instant::now() }
    }

    /// As long as was worked, once that is worth it.
    fn rest(&mut self) {
        let worked = self.since.elapsed();
        if worked >= STRETCH {
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
