//! The lines of one write(2).

use auditx_tlog::{Hash, SEQ_PREFIX, leaf_hashes};

/// Lines that wait for the next write.
#[derive(Debug, Default)]
pub(super) struct Staged {
    pub(super) bytes: Vec<u8>,
    /// The end of each line, including its newline, and the position of its entry; `None` for control
    /// records.
    pub(super) lines: Vec<(usize, Option<u64>)>,
    pub(super) leaves: Vec<Hash>,
}

impl Staged {
    /// Begins a line, whose body follows in `bytes`. Returns where it begins.
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

    /// Computes the leaf hash of each line.
    pub(super) fn hash(&mut self) {
        let mut begin = 0;
        let lines = self.lines.iter().map(|(end, _)| {
            let line = &self.bytes[begin..end - 1];
            begin = *end;
            line
        });
        leaf_hashes(lines, &mut self.leaves);
    }

    /// Returns the control records among the lines.
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
