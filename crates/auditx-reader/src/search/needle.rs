//! Searches whole blocks for the bytes that a matching line must contain.

use memchr::memmem::Finder;
use regex::bytes::{Regex, RegexBuilder};

use crate::query::{Literal, Needle};

/// Compiled searchers for the literals of a plan.
#[derive(Debug)]
pub(super) enum Searchers {
    /// Every line must be parsed.
    Any,
    OneOf {
        exact: Vec<Finder<'static>>,
        folded: Option<Regex>,
    },
}

impl Searchers {
    pub(super) fn of(needle: &Needle) -> Self {
        let Needle::OneOf(literals) = needle else { return Self::Any };
        let (folded, exact): (Vec<_>, Vec<_>) = literals.iter().partition(|literal| literal.ignores_case);
        let exact = exact.iter().map(|literal| Finder::new(&literal.bytes).into_owned()).collect();
        if folded.is_empty() {
            return Self::OneOf { exact, folded: None };
        }
        match regex_of(&folded) {
            Some(folded) => Self::OneOf { exact, folded: Some(folded) },
            None => Self::Any,
        }
    }

    /// Appends the offset of each line that contains one of the literals or a backslash, since escaped text
    /// can stand for any. A line may be appended more than once.
    pub(super) fn collect(&self, lines: &[u8], begins: &mut Vec<usize>) {
        let Self::OneOf { exact, folded } = self else { return };
        for finder in exact {
            each_line(lines, begins, |rest| finder.find(rest));
        }
        if let Some(folded) = folded {
            each_line(lines, begins, |rest| folded.find(rest).map(|found| found.start()));
        }
        each_line(lines, begins, |rest| memchr::memchr(b'\\', rest));
    }
}

/// Matches ASCII letters in either case, all other bytes exactly.
fn regex_of(literals: &[&Literal]) -> Option<Regex> {
    let pattern: Vec<String> = literals
        .iter()
        .map(|literal| literal.bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect())
        .collect();
    RegexBuilder::new(&pattern.join("|")).unicode(false).case_insensitive(true).build().ok()
}

/// Appends the offset of each line in which `find` finds something.
#[inline]
fn each_line(lines: &[u8], begins: &mut Vec<usize>, find: impl Fn(&[u8]) -> Option<usize>) {
    let mut at = 0;
    while let Some(hit) = find(&lines[at..]) {
        let hit = at + hit;
        begins.push(memchr::memrchr(b'\n', &lines[..hit]).map_or(0, |newline| newline + 1));
        match memchr::memchr(b'\n', &lines[hit..]) {
            Some(newline) => at = hit + newline + 1,
            None => break,
        }
    }
}
