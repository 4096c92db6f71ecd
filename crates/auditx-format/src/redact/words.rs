//! Splits keys into words and compares names.

/// Returns one of 64 bits, chosen by the length and the first byte of a word, ignoring its case.
///
/// A set of such bits is a filter for words that begin none of the rules.
pub(super) const fn start_bit(word: &[u8]) -> u64 {
    let first = if word.is_empty() { 0 } else { word[0].to_ascii_lowercase() };
    1 << ((first as usize + 7 * word.len()) % 64)
}

/// An iterator over the words of a key. A key is split at all characters except letters and digits, and
/// between a lower-case letter or digit and an upper-case letter.
#[derive(Debug, Clone)]
pub struct Words<'k> {
    rest: &'k str,
}

impl<'k> Words<'k> {
    /// Returns the words of a key.
    #[must_use]
    pub fn of(key: &'k str) -> Self {
        Self { rest: key }
    }
}

impl<'k> Iterator for Words<'k> {
    type Item = &'k str;

    fn next(&mut self) -> Option<&'k str> {
        self.rest = self.rest.trim_start_matches(|c: char| !c.is_alphanumeric());
        let mut previous_is_upper = true;
        let end = self
            .rest
            .char_indices()
            .find(|&(_, c)| {
                let splits = !c.is_alphanumeric() || (c.is_uppercase() && !previous_is_upper);
                previous_is_upper = c.is_uppercase();
                splits
            })
            .map_or(self.rest.len(), |(index, _)| index);
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        (!word.is_empty()).then_some(word)
    }
}

/// Compares two names, ignoring case and all characters except letters and digits.
pub(super) fn is_same_name(name: &str, other: &str) -> bool {
    letters(name).eq(letters(other))
}

fn letters(name: &str) -> impl Iterator<Item = char> {
    name.chars().filter(|c| c.is_alphanumeric()).map(|c| c.to_ascii_lowercase())
}

/// A set of phrases of one or more words, in lower case, to be searched for in text.
#[derive(Debug)]
pub struct PhraseSet {
    phrases: &'static [&'static str],
    /// The [`start_bit`]s of the first words of all phrases. Most text has none of them and needs no
    /// comparison.
    starts: u64,
}

impl PhraseSet {
    /// Creates a set of phrases, each of words separated by one space.
    #[must_use]
    pub const fn new(phrases: &'static [&'static str]) -> Self {
        let mut starts = 0;
        let mut index = 0;
        while index < phrases.len() {
            starts |= start_bit(first_word(phrases[index].as_bytes()));
            index += 1;
        }
        Self { phrases, starts }
    }

    /// Returns the phrases, for tests.
    #[doc(hidden)]
    #[must_use]
    pub fn phrases(&self) -> &'static [&'static str] {
        self.phrases
    }

    /// Returns `true` if the text contains the words of a phrase, in order and without others between.
    pub fn is_in(&self, text: &str) -> bool {
        let mut rest = Words::of(text);
        loop {
            let from_here = rest.clone();
            let Some(word) = rest.next() else { return false };
            let starts_here = |phrase: &&str| {
                let mut words = from_here.clone();
                phrase
                    .split(' ')
                    .all(|word| words.next().is_some_and(|found| found.eq_ignore_ascii_case(word)))
            };
            if self.starts & start_bit(word.as_bytes()) != 0 && self.phrases.iter().any(starts_here) {
                return true;
            }
        }
    }

    /// Returns `true` if the word is part of any phrase.
    pub fn has_word(&self, word: &str) -> bool {
        self.phrases.iter().flat_map(|phrase| phrase.split(' ')).any(|known| known.eq_ignore_ascii_case(word))
    }
}

const fn first_word(phrase: &'static [u8]) -> &'static [u8] {
    let mut len = 0;
    while len < phrase.len() && phrase[len] != b' ' {
        len += 1;
    }
    phrase.split_at(len).0
}
