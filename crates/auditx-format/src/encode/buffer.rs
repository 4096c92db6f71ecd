//! Writes the pieces of a line without formatting machinery and without a bounds check per byte.
//!
//! The caller first reserves enough space for everything it is about to write. A [`Reserved`] is passed by
//! value from call to call, so that the address it writes to stays in a register.

use super::json;
use crate::digits;

/// The most bytes that one byte of text can become: `\u001b`.
const MAX_ESCAPE_LEN: usize = 6;

/// A byte buffer whose memory is reused from line to line and never cleared.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    /// The written bytes, then unused ones with arbitrary values.
    bytes: Vec<u8>,
    written: usize,
}

/// The most memory that is kept from line to line. A thread that recorded one huge entry gives the memory
/// back.
const MAX_RETAINED: usize = 8 * auditx_tlog::MAX_LINE;

impl Buffer {
    pub(super) fn clear(&mut self) {
        self.written = 0;
        if self.bytes.len() > MAX_RETAINED {
            self.bytes = Vec::new();
        }
    }

    #[inline]
    pub(crate) fn written(&self) -> &[u8] {
        &self.bytes[..self.written]
    }

    /// Reserves at least `len` bytes. What is written there takes effect with [`Buffer::commit`].
    #[inline]
    pub(super) fn reserve(&mut self, len: usize) -> Reserved<'_> {
        if self.bytes.len() - self.written < len {
            self.grow(len);
        }
        Reserved { rest: &mut self.bytes[self.written..] }
    }

    #[cold]
    fn grow(&mut self, len: usize) {
        let needed = self.written + len;
        self.bytes.resize(needed.max(2 * self.bytes.len()), 0);
    }

    /// Commits what was written to a reservation that has `remaining` unused bytes.
    #[inline]
    pub(super) fn commit(&mut self, remaining: usize) {
        self.written = self.bytes.len() - remaining;
    }

    /// Writes through a `Vec`, for values that are rare or of unknown size.
    pub(super) fn append<T>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.truncate(self.written);
        let done = write(&mut bytes);
        self.written = bytes.len();
        self.bytes = bytes;
        done
    }
}

/// Returns an upper bound for the length of `texts` as JSON strings, with escapes but without quotes.
#[inline]
pub(super) fn max_escaped_len<const N: usize>(texts: [&str; N]) -> usize {
    let len = texts.into_iter().fold(0, |len: usize, text| len.saturating_add(text.len()));
    len.saturating_mul(MAX_ESCAPE_LEN)
}

/// Reserved space for the next bytes. Each method panics if the remaining space is too small for what it
/// writes.
pub(super) struct Reserved<'r> {
    rest: &'r mut [u8],
}

impl<'r> Reserved<'r> {
    #[inline]
    pub(super) fn remaining(&self) -> usize {
        self.rest.len()
    }

    #[inline(always)]
    fn advance(self, written: usize) -> Self {
        Self { rest: &mut self.rest[written..] }
    }

    /// Writes bytes whose number is known at compile time: a few stores.
    #[inline(always)]
    pub(super) fn put<const N: usize>(self, bytes: &[u8; N]) -> Self {
        let (slot, rest) = self.rest.split_first_chunk_mut().expect("enough space is reserved");
        *slot = *bytes;
        Self { rest }
    }

    /// Writes bytes unchanged.
    #[inline]
    pub(super) fn raw(self, bytes: &[u8]) -> Self {
        self.rest[..bytes.len()].copy_from_slice(bytes);
        self.advance(bytes.len())
    }

    /// Writes bytes unchanged. Tuned for 4 to 16 bytes.
    #[inline(always)]
    pub(super) fn word(self, bytes: &[u8]) -> Self {
        let (slot, rest) = self.rest.split_at_mut(bytes.len());
        match bytes.len() {
            4..8 => drop(both_ends::<4>(slot, bytes)),
            8..=16 => drop(both_ends::<8>(slot, bytes)),
            _ => slot.copy_from_slice(bytes),
        }
        Self { rest }
    }

    /// Writes text with JSON escapes, without quotes.
    #[inline]
    pub(super) fn text(self, text: &str) -> Self {
        let bytes = text.as_bytes();
        if copied(self.rest, bytes) { self.advance(bytes.len()) } else { self.escaped(text) }
    }

    /// Writes `start`, which ends with a quote, `text` and a quote; nothing if the text is empty.
    #[inline]
    pub(super) fn field<const N: usize>(self, start: &[u8; N], text: &str) -> Self {
        if text.is_empty() { self } else { self.put(start).text(text).put(b"\"") }
    }

    #[cold]
    #[inline(never)]
    fn escaped(self, text: &str) -> Self {
        let mut out = self;
        let mut rest = text;
        while let Some(stop) = json::first_special(rest) {
            let (run, tail) = rest.split_at(stop);
            let mut chars = tail.chars();
            let Some(c) = chars.next() else { break };
            out = out.raw(run.as_bytes()).raw(json::escape(c, &mut [0; MAX_ESCAPE_LEN]));
            rest = chars.as_str();
        }
        out.raw(rest.as_bytes())
    }

    #[inline]
    pub(super) fn unsigned(self, value: u64) -> Self {
        let (slot, rest) = self.rest.split_at_mut(digits::count(value));
        digits::write(slot, value);
        Self { rest }
    }

    #[inline]
    pub(super) fn signed(self, value: i64) -> Self {
        let out = if value < 0 { self.put(b"-") } else { self };
        out.unsigned(value.unsigned_abs())
    }

    /// Lets `write` fill bytes whose number is known at compile time.
    #[inline(always)]
    pub(super) fn filled<const N: usize>(self, write: impl FnOnce(&mut [u8; N])) -> Self {
        let (slot, rest) = self.rest.split_first_chunk_mut().expect("enough space is reserved");
        write(slot);
        Self { rest }
    }
}

const fn all(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// Returns a word that has the highest bit of a byte set if some byte is not printable ASCII, or is a quote
/// or a backslash.
///
/// Carries and borrows cross into a neighbouring byte only from a byte that is reported itself.
#[inline(always)]
fn hazards(word: u64) -> u64 {
    // A quote becomes 0x20 here, and bytes below 0x20 stay below it.
    let control_or_quote = (word ^ all(2)).wrapping_sub(all(0x21));
    let delete = word.wrapping_add(all(1));
    let backslash = (word ^ all(b'\\')).wrapping_sub(all(1));
    word | control_or_quote | delete | backslash
}

/// Returns two words, the size of a vector register.
#[inline(always)]
fn hazards_of_16(sixteen: &[u8; 16]) -> [u64; 2] {
    let [a, b, c, d, e, f, g, h, rest @ ..] = *sixteen;
    [hazards(u64::from_ne_bytes([a, b, c, d, e, f, g, h])), hazards(u64::from_ne_bytes(rest))]
}

/// Copies `source` and returns whether all of it may appear in a JSON string unescaped. If the length is not
/// a multiple of a step, the last step overlaps the previous one.
#[inline(never)]
fn copied(target: &mut [u8], source: &[u8]) -> bool {
    let target = &mut target[..source.len()];
    let found = if let (Some(last), Some(slot)) = (source.last_chunk(), target.last_chunk_mut()) {
        *slot = *last;
        let mut found = hazards_of_16(last);
        for (slot, step) in target.as_chunks_mut::<16>().0.iter_mut().zip(source.as_chunks::<16>().0) {
            *slot = *step;
            let [a, b] = hazards_of_16(step);
            found = [found[0] | a, found[1] | b];
        }
        found[0] | found[1]
    } else if let Some([first, last]) = both_ends(target, source) {
        hazards(u64::from_ne_bytes(first)) | hazards(u64::from_ne_bytes(last))
    } else if let Some([first, last]) = both_ends(target, source) {
        let word = |four| u64::from(u32::from_ne_bytes(four));
        hazards(word(first) << 32 | word(last))
    } else if let Some([first, middle, last]) = up_to_three(target, source) {
        hazards(u64::from_ne_bytes([first, middle, last, b' ', b' ', b' ', b' ', b' ']))
    } else {
        0
    };
    found & all(0x80) == 0
}

#[inline(always)]
fn both_ends<const N: usize>(target: &mut [u8], source: &[u8]) -> Option<[[u8; N]; 2]> {
    let (first, last) = (source.first_chunk()?, source.last_chunk()?);
    *target.first_chunk_mut()? = *first;
    *target.last_chunk_mut()? = *last;
    Some([*first, *last])
}

#[inline(always)]
fn up_to_three(target: &mut [u8], source: &[u8]) -> Option<[u8; 3]> {
    let middle = source.len() / 2;
    let three = [*source.first()?, *source.get(middle)?, *source.last()?];
    [*target.first_mut()?, _, _] = three;
    [_, *target.get_mut(middle)?, _] = three;
    [_, _, *target.last_mut()?] = three;
    Some(three)
}
