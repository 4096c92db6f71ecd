//! Lines on their way into one write(2).

use crate::line::SEQ_PREFIX;
use crate::tree::{Hash, leaf_hashes};

/// Lines that wait for the next write.
#[derive(Debug, Default)]
pub(super) struct Staged {
    pub(super) bytes: Vec<u8>,
    /// Where each line ends, its newline included, and the place of its entry; none for lines of our own.
    pub(super) lines: Vec<(usize, Option<u64>)>,
    pub(super) leaves: Vec<Hash>,
}

impl Staged {
    /// Begins a line: its body follows in `bytes`. Gives where it begins.
    pub(super) fn begin_line(&mut self, seq: u64) -> usize {
        let begin = self.bytes.len();
        self.bytes.extend_from_slice(SEQ_PREFIX);
        self.bytes.extend_from_slice(itoa::Buffer::new().format(seq).as_bytes());
        self.bytes.push(b',');
        begin
    }

    pub(super) fn end_line(&mut self, position: Option<u64>) {
        self.bytes.push(b'\n');
        self.lines.push((self.bytes.len(), position));
    }

    /// The leaf of each line.
    pub(super) fn hash(&mut self) {
        let mut begin = 0;
        let lines = self.lines.iter().map(|(end, _)| {
            let line = &self.bytes[begin..end - 1];
            begin = *end;
            line
        });
        leaf_hashes(lines, &mut self.leaves);
    }

    /// The lines among them that are no entries.
    pub(super) fn control_records(&self) -> impl Iterator<Item = &[u8]> {
        let begins = std::iter::once(0).chain(self.lines.iter().map(|(end, _)| *end));
        begins
            .zip(&self.lines)
            .filter(|(_, (_, position))| position.is_none())
            .map(|(begin, (end, _))| &self.bytes[begin..end - 1])
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.lines.clear();
        self.leaves.clear();
    }
}
