//! Text comparison: letter case, words within text, and patterns with `*` and `?`.

use std::cmp::Ordering;
use std::fmt;
use std::str::Chars;

use auditx_format::row::unescaped;
use memchr::memchr2;

/// How letters compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Case {
    /// Case-sensitive.
    Exact,
    /// Ignores the case of ASCII letters.
    Ascii,
    /// Compares letters by [`fold`].
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

/// The lower-case letter, if it is a single character and does not cross between ASCII and non-ASCII: the
/// Kelvin sign does not fold to `k`. This allows a search for an ASCII word to look for ASCII bytes only.
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

/// Whether only this character, or its other ASCII case, folds to the same character as this one. Then every
/// match contains its bytes, or those of the other case.
pub(super) fn folds_uniquely(c: char) -> bool {
    c.is_ascii() || (fold(c) == c && c.to_uppercase().eq([c]))
}

/// Text compared for equality, with or without the case of ASCII letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Literal {
    pub(super) text: Box<str>,
    pub(super) case: Case,
}

impl Literal {
    /// Whether a JSON string, given as stored between its quotation marks, equals this text. An escape is
    /// always longer than the character it stands for, so comparing lengths decides most cases.
    #[inline]
    pub(super) fn equals_raw(&self, raw: &str) -> bool {
        match raw.len().cmp(&self.text.len()) {
            Ordering::Less => false,
            Ordering::Equal => self.equals(raw) && !raw.contains('\\'),
            Ordering::Greater => raw.contains('\\') && self.equals(&unescaped(raw)),
        }
    }

    pub(super) fn equals(&self, text: &str) -> bool {
        if self.case == Case::Exact { text == &*self.text } else { text.eq_ignore_ascii_case(&self.text) }
    }
}

/// A word or phrase, found anywhere in a text, ignoring case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    /// Folded (see [`fold`]).
    pub(super) text: Box<str>,
}

impl Word {
    pub(super) fn new(text: &str) -> Self {
        Self { text: text.chars().map(fold).collect() }
    }

    pub(super) fn is_in(&self, text: &str) -> bool {
        if self.text.is_ascii() { self.is_in_bytes(text.as_bytes()) } else { self.is_in_chars(text) }
    }

    /// Compares bytes, since no byte of a multi-byte character is an ASCII byte.
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

/// Text with the wildcards `*` and `?`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    /// Never contains two consecutive `Any`.
    pub(super) pieces: Box<[Piece]>,
    pub(super) case: Case,
}

impl Pattern {
    /// `None` if the text has neither `*` nor `?`.
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

    /// Whether it is a single `*`.
    pub(super) fn is_any(&self) -> bool {
        *self.pieces == [Piece::Any]
    }

    /// Whether it matches the whole text. Costs one pass, plus one over what follows a `*` for each start
    /// tried.
    pub(super) fn is_whole(&self, text: &str) -> bool {
        self.walk(text, false)
    }

    /// Whether it matches anywhere in the text.
    pub(super) fn is_in(&self, text: &str) -> bool {
        self.walk(text, true)
    }

    /// Each `*` matches as little as possible. On a mismatch only the last one grows by a character; growing
    /// an earlier one is never necessary.
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
