//! The lines of one write(2).

use auditx_tlog::{Hash, SEQ_PREFIX, leaf_hashes};

/// Lines that wait for the next write.
#[derive(Debug, Default)]
pub(super) struct Staged {
    pub(super) bytes: Vec<u8>,
    /// The end of each line, including its newline, and the position of its entry; `None` for control
    /// records.
    pub(super) ends: Vec<(usize, Option<u64>)>,
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
        self.ends.push((self.bytes.len(), position));
    }

    /// Computes the leaf hash of each line.
    pub(super) fn hash(&mut self) {
        let mut leaves = std::mem::take(&mut self.leaves);
        leaf_hashes(self.lines(), &mut leaves);
        self.leaves = leaves;
    }

    /// Returns the lines, without their newlines.
    pub(super) fn lines(&self) -> impl Iterator<Item = &[u8]> {
        let mut begin = 0;
        self.ends.iter().map(move |(end, _)| {
            let line = &self.bytes[begin..end - 1];
            begin = *end;
            line
        })
    }

    /// Returns the control records among the lines.
    pub(super) fn control_records(&self) -> impl Iterator<Item = &[u8]> {
        let is_control_record =
            |(line, (_, position)): (_, &(usize, Option<u64>))| position.is_none().then_some(line);
        self.lines().zip(&self.ends).filter_map(is_control_record)
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.leaves.clear();
    }
}
