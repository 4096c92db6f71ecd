//! Texts that are looked for: how letters compare, words within texts, `*` and `?`.

use std::cmp::Ordering;
use std::fmt;
use std::str::Chars;

use memchr::memchr2;

use auditx_core::unescaped;

/// How letters compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Case {
    /// As they are stored.
    Exact,
    /// The letters of ASCII in either case.
    Ascii,
    /// As [`fold`] has them.
    Folded,
}

impl Case {
    pub(super) fn of(self, c: char) -> char {
        match self {
            Self::Exact => c,
            Self::Ascii => c.to_ascii_lowercase(),
            Self::Folded => fold(c),
        }
    }
}

/// The lower-case letter, where that is one character, and beyond ASCII stays beyond it: the Kelvin sign is no `k`. So a word of
/// ASCII is found by looking for the bytes of ASCII alone.
pub(super) fn fold(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_lowercase();
    }
    let mut lower = c.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(one), None) if !one.is_ascii() => one,
        _ => c,
    }
}

/// Whether no other character but the other case of ASCII folds to what this one folds to: its bytes, or those of the other case,
/// stand wherever it matches.
pub(super) fn is_alone(c: char) -> bool {
    c.is_ascii() || (fold(c) == c && c.to_uppercase().eq([c]))
}

/// Text that is equal: as it is stored, or in either case of ASCII.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Literal {
    pub(super) text: Box<str>,
    pub(super) case: Case,
}

impl Literal {
    /// Whether text as it stands in a line, between its quotation marks, reads as this one. An escape is always longer than what
    /// it stands for, so most texts are decided by their length.
    #[inline]
    pub(super) fn is_raw(&self, raw: &str) -> bool {
        match raw.len().cmp(&self.text.len()) {
            Ordering::Less => false,
            Ordering::Equal => self.is_text(raw) && !raw.contains('\\'),
            Ordering::Greater => raw.contains('\\') && self.is_text(&unescaped(raw)),
        }
    }

    pub(super) fn is_text(&self, text: &str) -> bool {
        if self.case == Case::Exact { text == &*self.text } else { text.eq_ignore_ascii_case(&self.text) }
    }
}

/// A word or phrase, to be found anywhere in a text, in either case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    /// Folded.
    pub(super) text: Box<str>,
}

impl Word {
    pub(super) fn new(text: &str) -> Self {
        Self { text: text.chars().map(fold).collect() }
    }

    pub(super) fn is_in(&self, text: &str) -> bool {
        if self.text.is_ascii() { self.is_in_bytes(text.as_bytes()) } else { self.is_in_chars(text) }
    }

    /// No byte of a longer character is one of ASCII, so bytes can be compared.
    fn is_in_bytes(&self, text: &[u8]) -> bool {
        let word = self.text.as_bytes();
        let Some(first) = word.first() else { return true };
        let mut rest = text;
        while let Some(at) = memchr2(*first, first.to_ascii_uppercase(), rest) {
            match rest.get(at..at + word.len()) {
                Some(found) if found.eq_ignore_ascii_case(word) => return true,
                Some(_) => rest = &rest[at + 1..],
                None => return false,
            }
        }
        false
    }

    fn is_in_chars(&self, text: &str) -> bool {
        let begins = |rest: Chars<'_>| {
            let mut rest = rest.map(fold);
            self.text.chars().all(|c| rest.next() == Some(c))
        };
        let mut rest = text.chars();
        loop {
            if begins(rest.clone()) {
                return true;
            }
            if rest.next().is_none() {
                return false;
            }
        }
    }
}

/// One piece of a [`Pattern`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece {
    /// `*`
    Any,
    /// `?`
    One,
    Char(char),
}

/// Text with `*` and `?`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    /// Never two `Any` in a row.
    pub(super) pieces: Box<[Piece]>,
    pub(super) case: Case,
}

impl Pattern {
    /// None where the text has neither `*` nor `?`.
    pub(super) fn parse(text: &str, case: Case) -> Option<Self> {
        if !text.contains(['*', '?']) {
            return None;
        }
        let mut pieces: Vec<_> = text
            .chars()
            .map(|c| match c {
                '*' => Piece::Any,
                '?' => Piece::One,
                c => Piece::Char(case.of(c)),
            })
            .collect();
        pieces.dedup_by(|one, other| *one == Piece::Any && *other == Piece::Any);
        Some(Self { pieces: pieces.into(), case })
    }

    /// Whether it is `*` and nothing more.
    pub(super) fn is_any(&self) -> bool {
        *self.pieces == [Piece::Any]
    }

    /// Whether it is the whole text. Costs one walk, and one over what follows each `*` for each place it may begin at.
    pub(super) fn is_whole(&self, text: &str) -> bool {
        self.walk(text, false)
    }

    /// Whether it is found anywhere in the text.
    pub(super) fn is_in(&self, text: &str) -> bool {
        self.walk(text, true)
    }

    /// Each `*` takes as little as it may; where that fails, the last one takes one character more. An earlier one need never.
    fn walk(&self, text: &str, is_anywhere: bool) -> bool {
        let (mut at, mut rest) = (0, text.chars());
        let mut last_star = is_anywhere.then(|| (0, text.chars()));
        loop {
            if self.pieces.get(at) == Some(&Piece::Any) {
                at += 1;
                last_star = Some((at, rest.clone()));
            }
            let is_last_star = at > 0 && self.pieces[at - 1] == Piece::Any;
            if at == self.pieces.len() && (is_anywhere || is_last_star || rest.as_str().is_empty()) {
                return true;
            }
            let Some(c) = rest.next() else { return false };
            let fits = match self.pieces.get(at) {
                Some(Piece::One) => true,
                Some(Piece::Char(wanted)) => self.case.of(c) == *wanted,
                Some(Piece::Any) | None => false,
            };
            if fits {
                at += 1;
            } else {
                let Some((after, from)) = &mut last_star else { return false };
                if from.next().is_none() {
                    return false;
                }
                (at, rest) = (*after, from.clone());
            }
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pieces.iter().try_for_each(|piece| match piece {
            Piece::Any => f.write_str("*"),
            Piece::One => f.write_str("?"),
            Piece::Char(c) => write!(f, "{c}"),
        })
    }
}
