//! A reusable read buffer over the text of a segment, filled at its end and consumed at its beginning.
//!
//! It is small, so that text stays in the processor's cache until it is hashed. It is never cleared: bytes
//! that were not filled are never read.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use auditx_tlog::MAX_LINE;

/// Bytes read at once.
const READ: usize = 64 * 1024;

/// A part of a text.
#[derive(Debug)]
pub(super) struct Window {
    bytes: Vec<u8>,
    begin: usize,
    end: usize,
}

impl Window {
    pub(super) fn new() -> Self {
        // Space to read while it holds a line of the maximum length.
        Self { bytes: vec![0; MAX_LINE + READ], begin: 0, end: 0 }
    }

    pub(super) fn clear(&mut self) {
        (self.begin, self.end) = (0, 0);
    }

    pub(super) fn len(&self) -> usize {
        self.end - self.begin
    }

    pub(super) fn unread(&self) -> &[u8] {
        &self.bytes[self.begin..self.end]
    }

    /// Marks `count` bytes as read.
    pub(super) fn consume(&mut self, count: usize) {
        self.begin = self.end.min(self.begin + count);
    }

    /// Drops all unread bytes after the first `len`.
    pub(super) fn truncate(&mut self, len: usize) {
        self.end = self.end.min(self.begin + len);
    }

    /// Whether it holds more than the longest line, so that nothing more can be read.
    pub(super) fn is_full(&self) -> bool {
        self.len() > MAX_LINE
    }

    /// Reads more from a file, up to `end`. Returns the number of bytes; 0 also at the end of the file.
    pub(super) fn fill_at(&mut self, file: &File, at: u64, end: u64) -> io::Result<usize> {
        let most = usize::try_from(end.saturating_sub(at)).unwrap_or(READ);
        self.fill(most, |room| file.read_at(room, at))
    }

    /// Reads more from a stream. Returns the number of bytes; 0 at its end.
    pub(super) fn fill_from(&mut self, source: &mut impl Read) -> io::Result<usize> {
        self.fill(READ, |room| source.read(room))
    }

    fn fill(
        &mut self,
        most: usize,
        mut read: impl FnMut(&mut [u8]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        if self.bytes.len() - self.end < READ.min(most) {
            self.bytes.copy_within(self.begin..self.end, 0);
            (self.begin, self.end) = (0, self.len());
        }
        let room = &mut self.bytes[self.end..];
        let room_len = room.len().min(READ).min(most);
        loop {
            match read(&mut room[..room_len]) {
                Ok(count) => {
                    self.end += count;
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_in_steps_gives_the_whole_text() {
        let text: Vec<u8> = (0..=u8::MAX).cycle().take(1_000_000).collect();
        let (mut window, mut source, mut seen) = (Window::new(), &*text, Vec::new());
        for keep in [0, 1, 5, 300, MAX_LINE].into_iter().cycle() {
            if window.fill_from(&mut source).unwrap() == 0 {
                break;
            }
            let used = window.len().saturating_sub(keep);
            seen.extend_from_slice(&window.unread()[..used]);
            window.consume(used);
        }
        seen.extend_from_slice(window.unread());
        assert_eq!(seen.len(), text.len());
        assert!(seen == text);
    }
}
