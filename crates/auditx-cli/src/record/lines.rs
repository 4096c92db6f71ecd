//! Lines of standard input as they arrive. The memory is bounded whatever their length.

use std::io::{self, BufRead, BufReader, Read};

/// The longest line. An entry has at most 65,535 bytes in the trail; spaces and escapes may make its object
/// longer.
pub(super) const MAX_LEN: usize = 1 << 20;

/// The most that is read at once, which also bounds the entries that one fdatasync(2) makes durable.
const READ_LEN: usize = 64 << 10;

/// Reads lines, and numbers them from 1.
#[derive(Debug)]
pub(super) struct Lines<R> {
    input: BufReader<R>,
    line: Vec<u8>,
    number: u64,
}

/// A line without its line end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'b> {
    Bytes(&'b [u8]),
    /// Longer than [`MAX_LEN`]. It was skipped.
    TooLong,
}

impl<R: Read> Lines<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input: BufReader::with_capacity(READ_LEN, input), line: Vec::new(), number: 0 }
    }

    /// Returns `true` if the next line was read already. Otherwise [`Lines::next`] may wait for input.
    pub(super) fn has_buffered(&self) -> bool {
        self.input.buffer().contains(&b'\n')
    }

    /// Returns the next line and its number. `None` after the last, which may lack its line end.
    pub(super) fn next(&mut self) -> io::Result<Option<(u64, Line<'_>)>> {
        let len = self.read_part()?;
        if len == 0 {
            return Ok(None);
        }
        self.number += 1;
        if self.line.last() == Some(&b'\n') {
            self.line.pop();
        }
        if self.line.len() <= MAX_LEN {
            return Ok(Some((self.number, Line::Bytes(&self.line))));
        }
        while self.read_part()? > 0 && self.line.last() != Some(&b'\n') {}
        Ok(Some((self.number, Line::TooLong)))
    }

    /// Reads up to the end of the line, or one byte more than a line may have with its line end.
    fn read_part(&mut self) -> io::Result<usize> {
        const LIMIT: u64 = MAX_LEN as u64 + 1;
        self.line.clear();
        self.input.by_ref().take(LIMIT).read_until(b'\n', &mut self.line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(input: &[u8]) -> Vec<(u64, Option<Vec<u8>>)> {
        let mut lines = Lines::new(input);
        let mut found = Vec::new();
        while let Some((number, line)) = lines.next().unwrap() {
            let bytes = if let Line::Bytes(bytes) = line { Some(bytes.to_vec()) } else { None };
            found.push((number, bytes));
        }
        found
    }

    #[test]
    fn the_last_line_may_lack_its_end() {
        let some = |number, bytes: &[u8]| (number, Some(bytes.to_vec()));
        assert_eq!(lines(b"a\n\nb"), [some(1, b"a"), some(2, b""), some(3, b"b")]);
        assert_eq!(lines(b"a\n"), [some(1, b"a")]);
        assert_eq!(lines(b""), []);
    }

    #[test]
    fn a_line_that_is_too_long_is_skipped_whole() {
        for (len, is_whole) in [(MAX_LEN, true), (MAX_LEN + 1, false), (3 * MAX_LEN + 3, false)] {
            let line = vec![b'x'; len];
            let whole = is_whole.then(|| line.clone());
            let input = [&line, &b"\nnext"[..]].concat();
            assert_eq!(lines(&input), [(1, whole.clone()), (2, Some(b"next".to_vec()))], "{len}");
            assert_eq!(lines(&line), [(1, whole)], "{len} at the end");
        }
    }
}
