//! `security.jsonl`, compared with the trail that it repeats: the lines whose level is SECURITY or CRITICAL, byte for byte.
//!
//! Another program may archive the file, so it may begin with any of them. From there on it must have all of them, up to the
//! line that its follower notes as its next one.

use std::io::Read;
use std::path::Path;

use auditx_core::{AUDITX_DIR, CURSOR_LEN, Hash, Leaf, leaf_of, saved_position};

use crate::file;
use crate::segment::Segment;

/// Its name.
pub(crate) const FILE_NAME: &str = "security.jsonl";

/// How a line of these levels goes on after `"level":"`.
const SENSITIVE: [&[u8]; 2] = [b"SECURITY\"", b"CRITICAL\""];

/// Whether `level` begins with one of the levels that the file repeats.
#[inline]
pub(super) fn is_sensitive(level: &[u8]) -> bool {
    SENSITIVE.iter().any(|word| level.starts_with(word))
}

/// How the file differs from the trail.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Difference {
    /// The first line that the file has otherwise than the trail, and what it has.
    pub(super) wrong: Option<(u64, String)>,
    /// How many lines it lacks before its first one, and the number of the first of them.
    pub(super) before: Option<(u64, u64)>,
    /// How many lines it does not have yet, and the number of the first of them.
    pub(super) behind: Option<(u64, u64)>,
}

/// The file being read beside the trail.
pub(super) struct Projection {
    lines: Option<Segment>,
    /// The line of the file that comes next.
    next: Option<Leaf>,
    has_begun: bool,
    /// The line that its follower takes next, as it noted last.
    noted: u64,
    difference: Difference,
}

impl Projection {
    pub(super) fn open(directory: &Path) -> Self {
        let path = directory.join(FILE_NAME);
        let opened = file::open(&path).ok().flatten();
        let cursor = directory.join(AUDITX_DIR).join("cursors").join(FILE_NAME);
        let mut slots = Vec::new();
        // Without a cursor nothing says how far it must be.
        let read =
            file::open(&cursor).ok().flatten().map(|file| file.take(CURSOR_LEN).read_to_end(&mut slots));
        let noted = read.and_then(Result::ok).and_then(|_| saved_position(&slots)).unwrap_or(0);
        let mut projection = Self {
            lines: opened.map(|file| Segment::plain(&path, file)),
            next: None,
            has_begun: false,
            noted,
            difference: Difference::default(),
        };
        projection.advance();
        projection
    }

    /// Reads the next whole line of the file.
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

    /// A line of the trail that must be in the file. `first` is the first line of the trail: of older ones nothing is known.
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
                    self.wrong(seq, "another text".to_owned());
                }
            }
            // The stub of an erased line, which has no level in the trail.
            Some(next) if next.seq < seq && next.is_erased => {
                self.has_begun = true;
                self.advance();
                self.take(seq, hash, first);
            }
            Some(next) if next.seq < seq => {
                self.wrong(next.seq, "a line that is not one of these levels in the trail".to_owned());
            }
            Some(_) if self.has_begun => self.wrong(seq, "nothing: the line is missing".to_owned()),
            Some(_) => count(&mut self.difference.before, seq),
            None if seq >= self.noted => count(&mut self.difference.behind, seq),
            None if self.has_begun => self.wrong(seq, "nothing: the file ends before it".to_owned()),
            None => count(&mut self.difference.before, seq),
        }
    }

    /// All lines below `end` were taken.
    pub(super) fn finish(mut self, end: u64) -> Difference {
        while self.next.is_some_and(|next| next.is_erased && next.seq < end) {
            self.advance();
        }
        if let Some(next) = self.next.filter(|next| next.seq < end) {
            self.wrong(next.seq, "a line that is not one of these levels in the trail".to_owned());
        }
        self.difference
    }
}

fn count(lines: &mut Option<(u64, u64)>, seq: u64) {
    lines.get_or_insert((0, seq)).0 += 1;
}
