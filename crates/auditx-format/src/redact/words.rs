//! Splits keys into words and compares names.

/// The length, first and last letter of a word, ignoring case. Words of different shapes are different, and
/// shapes are compared many at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub(super) struct Shape(u32);

impl Shape {
    /// Returns the shape of a word.
    pub(super) const fn of_word(word: &[u8]) -> Self {
        match word {
            [] => Self(0),
            [first, ..] => Self::new(word.len(), *first, word[word.len() - 1]),
        }
    }

    /// Returns the shape of all ASCII letters and digits of a name.
    const fn of_name(name: &[u8]) -> Self {
        let (mut len, mut first, mut last) = (0, 0, 0);
        let mut index = 0;
        while index < name.len() {
            if name[index].is_ascii_alphanumeric() {
                last = name[index];
                first = if len == 0 { last } else { first };
                len += 1;
            }
            index += 1;
        }
        Self::new(len, first, last)
    }

    /// Lengths are compared modulo 2^16.
    const fn new(len: usize, first: u8, last: u8) -> Self {
        let [len, more, ..] = len.to_le_bytes();
        Self(u32::from_le_bytes([last.to_ascii_lowercase(), first.to_ascii_lowercase(), len, more]))
    }

    /// Returns one of 64 bits, chosen by the length and the first letter.
    const fn bit(self) -> u64 {
        let (len, first) = (self.0 >> 16, self.0 >> 8 & 0xff);
        1 << ((first + 7 * len) % 64)
    }
}

/// More than the words of any set; the rest is filled up with the shape of the empty word.
const MOST_SHAPES: usize = 72;

/// The shapes of a constant set of words.
#[derive(Debug)]
struct Shapes {
    shapes: [Shape; MOST_SHAPES],
    /// A bit for each shape, so that most words need no comparison.
    bits: u64,
}

impl Shapes {
    /// Returns the shape of each name up to its first space.
    const fn of(names: &[&str]) -> Self {
        let mut shapes = Self { shapes: [Shape(0); MOST_SHAPES], bits: 0 };
        let mut index = 0;
        while index < names.len() {
            let shape = Shape::of_name(first_word(names[index].as_bytes()));
            shapes.shapes[index] = shape;
            shapes.bits |= shape.bit();
            index += 1;
        }
        shapes
    }

    #[inline]
    fn have(&self, shape: Shape) -> bool {
        self.bits & shape.bit() != 0 && self.shapes.contains(&shape)
    }
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

    #[inline]
    fn next(&mut self) -> Option<&'k str> {
        let bytes = self.rest.as_bytes();
        let is_separator = |byte: &u8| byte.is_ascii() && !byte.is_ascii_alphanumeric();
        let start = bytes.iter().position(|byte| !is_separator(byte)).unwrap_or(bytes.len());
        let mut previous_is_upper = true;
        let mut end = start;
        while let Some(byte) = bytes.get(end) {
            if !byte.is_ascii() {
                return self.next_unicode();
            }
            let is_upper = byte.is_ascii_uppercase();
            if !byte.is_ascii_alphanumeric() || (is_upper && !previous_is_upper) {
                break;
            }
            previous_is_upper = is_upper;
            end += 1;
        }
        let word = &self.rest[start..end];
        self.rest = &self.rest[end..];
        (!word.is_empty()).then_some(word)
    }
}

impl<'k> Words<'k> {
    /// Like `next`, for text of any characters.
    #[cold]
    fn next_unicode(&mut self) -> Option<&'k str> {
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

/// A set of names. Names are equal if their letters and digits are, ignoring case: `SAMLResponse` equals
/// `saml_response`.
#[derive(Debug)]
pub(super) struct NameSet {
    pub(super) names: &'static [&'static str],
    shapes: Shapes,
}

impl NameSet {
    /// Creates a set of ASCII names without spaces.
    pub(super) const fn new(names: &'static [&'static str]) -> Self {
        Self { names, shapes: Shapes::of(names) }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.shapes.have(Shape::of_name(name.as_bytes()))
            && self.names.iter().any(|known| letters(known).eq(letters(name)))
    }
}

fn letters(name: &str) -> impl Iterator<Item = char> {
    name.chars().filter(|c| c.is_alphanumeric()).map(|c| c.to_ascii_lowercase())
}

/// A set of phrases of one or more words, in lower case, to be searched for in text.
#[derive(Debug)]
pub struct PhraseSet {
    phrases: &'static [&'static str],
    /// The shapes of the first words of all phrases. Most text has none of them.
    starts: Shapes,
}

impl PhraseSet {
    /// Creates a set of phrases, each of ASCII words separated by one space.
    #[must_use]
    pub const fn new(phrases: &'static [&'static str]) -> Self {
        Self { phrases, starts: Shapes::of(phrases) }
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
            if self.starts.have(Shape::of_word(word.as_bytes())) && self.phrases.iter().any(starts_here) {
                return true;
            }
        }
    }

    /// Returns `true` if the word is part of any phrase.
    pub fn has_word(&self, word: &str) -> bool {
        self.phrases.iter().flat_map(|phrase| phrase.split(' ')).any(|known| known.eq_ignore_ascii_case(word))
    }
}

const fn first_word(phrase: &[u8]) -> &[u8] {
    let mut len = 0;
    while len < phrase.len() && phrase[len] != b' ' {
        len += 1;
    }
    phrase.split_at(len).0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ascii_text_is_split_like_any_other() {
        let alphabet = ["a", "B", "7", "_", "é", "É", "·", ""];
        let count = alphabet.len().pow(6);
        for number in 0..count {
            let digit = |place: u32| alphabet[number / alphabet.len().pow(place) % alphabet.len()];
            let key: String = (0..6).map(digit).collect();
            let mut expected = Words::of(&key);
            let expected: Vec<&str> = std::iter::from_fn(|| expected.next_unicode()).collect();
            assert_eq!(Words::of(&key).collect::<Vec<_>>(), expected, "{key}");
        }
    }

    #[test]
    fn a_name_set_compares_letters_and_digits() {
        const SET: NameSet = NameSet::new(&["X-Amz-Signature", "sid", "pw"]);
        for name in ["x_amz_signature", "XAMZSIGNATURE", "-s.i.d-", "s·i·d", "PW"] {
            assert!(SET.has(name), "{name}");
        }
        for name in ["", "id", "sad", "sidé", "signature", "p", "x-amz-signatured"] {
            assert!(!SET.has(name), "{name}");
        }
    }
}
