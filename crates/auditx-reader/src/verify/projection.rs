//! Compares `security.jsonl` with the trail. The file repeats, byte for byte, the lines of level SECURITY or
//! CRITICAL.
//!
//! Another program may archive the file, so it may begin with any of these lines. From its first line it must
//! hold all of them, up to the next line in its follower's cursor.

use std::io::Read;
use std::path::Path;

use auditx_store::{AUDITX_DIR, CURSOR_LEN, saved_position};
use auditx_tlog::{Hash, Leaf, leaf_of};

use crate::file;
use crate::segment::Segment;

/// The name of the file.
pub(crate) const FILE_NAME: &str = "security.jsonl";

/// How the file differs from the trail.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Difference {
    /// The first line that differs, and what the file has there.
    pub(super) wrong: Option<(u64, String)>,
    /// How many lines are missing before the file's first line, and the number of the first of them.
    pub(super) before: Option<(u64, u64)>,
    /// How many lines were not written yet, and the number of the first of them.
    pub(super) behind: Option<(u64, u64)>,
}

/// The file, read in step with the trail.
pub(super) struct Projection {
    lines: Option<Segment>,
    /// The next line of the file.
    next: Option<Leaf>,
    has_begun: bool,
    /// The line that its follower takes next, according to the cursor.
    cursor_seq: u64,
    difference: Difference,
}

impl Projection {
    pub(super) fn open(directory: &Path) -> Self {
        let path = directory.join(FILE_NAME);
        let opened = file::open(&path).ok().flatten();
        let cursor = directory.join(AUDITX_DIR).join("cursors").join(FILE_NAME);
        let mut slots = Vec::new();
        // Without a cursor it is unknown how many lines the file must have.
        let read =
            file::open(&cursor).ok().flatten().map(|file| file.take(CURSOR_LEN).read_to_end(&mut slots));
        let cursor_seq = read.and_then(Result::ok).and_then(|_| saved_position(&slots)).unwrap_or(0);
        let mut projection = Self {
            lines: opened.map(|file| Segment::plain(&path, file)),
            next: None,
            has_begun: false,
            cursor_seq,
            difference: Difference::default(),
        };
        projection.advance();
        projection
    }

    /// Reads the next complete line of the file.
    fn advance(&mut self) {
        self.next = None;
        let Some(lines) = &mut self.lines else { return };
        match lines.next_line() {
            Ok(Some(line)) => match leaf_of(line.bytes()) {
                Some(leaf) => self.next = Some(leaf),
                None => {
                    let what = format!("a line without a sequence number, at byte {}", line.offset());
                    self.wrong(line.seq().unwrap_or(0), what);
                }
            },
            Ok(None) => {}
            Err(error) => self.wrong(0, error.why()),
        }
    }

    fn wrong(&mut self, seq: u64, what: String) {
        self.difference.wrong.get_or_insert((seq, what));
    }

    /// Adds a line of the trail that must be in the file. `first` is the first line of the trail; older lines
    /// of the file cannot be checked.
    pub(super) fn take(&mut self, seq: u64, hash: Hash, first: u64) {
        if self.difference.wrong.is_some() {
            return;
        }
        while self.next.is_some_and(|next| next.seq < first) {
            self.has_begun = true;
            self.advance();
        }
        match self.next {
            Some(next) if next.seq == seq => {
                self.has_begun = true;
                if next.hash == hash {
                    self.advance();
                } else {
                    self.wrong(seq, "different text".to_owned());
                }
            }
            // The stub of an erased line, whose level the trail no longer has.
            Some(next) if next.seq < seq && next.is_erased => {
                self.has_begun = true;
                self.advance();
                self.take(seq, hash, first);
            }
            Some(next) if next.seq < seq => {
                self.wrong(next.seq, "a line that has another level in the trail".to_owned());
            }
            Some(_) if self.has_begun => self.wrong(seq, "no such line".to_owned()),
            Some(_) => count(&mut self.difference.before, seq),
            None if seq >= self.cursor_seq => count(&mut self.difference.behind, seq),
            None if self.has_begun => self.wrong(seq, "no such line: the file ends before it".to_owned()),
            None => count(&mut self.difference.before, seq),
        }
    }

    /// Ends the comparison after the line before `end`.
    pub(super) fn finish(mut self, end: u64) -> Difference {
        while self.next.is_some_and(|next| next.is_erased && next.seq < end) {
            self.advance();
        }
        if let Some(next) = self.next.filter(|next| next.seq < end) {
            self.wrong(next.seq, "a line that has another level in the trail".to_owned());
        }
        self.difference
    }
}

fn count(lines: &mut Option<(u64, u64)>, seq: u64) {
    lines.get_or_insert((0, seq)).0 += 1;
}
