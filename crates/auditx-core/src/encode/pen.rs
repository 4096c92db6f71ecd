//! Writing a line's pieces one behind the other, without formatting machinery and without a check for room at each byte.
//!
//! Comes in: a [`Buffer`] with room for all that is to be written at once. Goes out: the bytes written. A [`Pen`] goes from
//! call to call by value, so that the place it writes at stays in a register.

use super::json;
use crate::digits;

/// The most bytes one byte of text can become: `\u001b`.
const WIDEST: usize = 6;

/// What is written into; its room is kept from line to line and never cleared.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    /// The written ones, then room: bytes of whatever value.
    bytes: Vec<u8>,
    written: usize,
}

/// Room that is kept from line to line at most: a thread that once recorded something huge gives the memory back.
const KEPT: usize = 8 * super::MAX_LINE;

impl Buffer {
    pub(super) fn clear(&mut self) {
        self.written = 0;
        if self.bytes.len() > KEPT {
            self.bytes = Vec::new();
        }
    }

    #[inline]
    pub(crate) fn written(&self) -> &[u8] {
        &self.bytes[..self.written]
    }

    /// A pen with at least `room`. What it wrote counts once it was [`Buffer::put_down`].
    #[inline]
    pub(super) fn pen(&mut self, room: usize) -> Pen<'_> {
        if self.bytes.len() - self.written < room {
            self.grow(room);
        }
        Pen { rest: &mut self.bytes[self.written..] }
    }

    #[cold]
    fn grow(&mut self, room: usize) {
        let needed = self.written + room;
        self.bytes.resize(needed.max(2 * self.bytes.len()), 0);
    }

    /// Takes over what a pen wrote that had `left` bytes of room when it ended.
    #[inline]
    pub(super) fn put_down(&mut self, left: usize) {
        self.written = self.bytes.len() - left;
    }

    /// For what is written rarely, or is of unknown size.
    pub(super) fn append<T>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.truncate(self.written);
        let done = write(&mut bytes);
        self.written = bytes.len();
        self.bytes = bytes;
        done
    }
}

/// Room for `texts` as JSON strings, however many escapes they take; the quotes not included.
#[inline]
pub(super) fn room_for<const N: usize>(texts: [&str; N]) -> usize {
    let len = texts.into_iter().fold(0, |len: usize, text| len.saturating_add(text.len()));
    len.saturating_mul(WIDEST)
}

/// Where the next byte goes. Each method needs room, which was made for the whole of what is written; without it they panic.
pub(super) struct Pen<'r> {
    rest: &'r mut [u8],
}

impl<'r> Pen<'r> {
    #[inline]
    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }

    #[inline(always)]
    fn past(self, written: usize) -> Self {
        Self { rest: &mut self.rest[written..] }
    }

    /// Of a size the compiler knows: a few stores.
    #[inline(always)]
    pub(super) fn put<const N: usize>(self, bytes: &[u8; N]) -> Self {
        let (place, rest) = self.rest.split_first_chunk_mut().expect("room was made for all that is written");
        *place = *bytes;
        Self { rest }
    }

    /// As it is, of any size.
    #[inline]
    pub(super) fn raw(self, bytes: &[u8]) -> Self {
        self.rest[..bytes.len()].copy_from_slice(bytes);
        self.past(bytes.len())
    }

    /// As it is, mostly of 4 to 16 bytes.
    #[inline(always)]
    pub(super) fn word(self, bytes: &[u8]) -> Self {
        let (place, rest) = self.rest.split_at_mut(bytes.len());
        match bytes.len() {
            4..8 => drop(both_ends::<4>(place, bytes)),
            8..=16 => drop(both_ends::<8>(place, bytes)),
            _ => place.copy_from_slice(bytes),
        }
        Self { rest }
    }

    /// Escaped as JSON strings are, without quotes.
    #[inline]
    pub(super) fn text(self, text: &str) -> Self {
        let bytes = text.as_bytes();
        if copied(self.rest, bytes) { self.past(bytes.len()) } else { self.escaped(text) }
    }

    /// `start`, which ends with a quote, `text`, a quote; nothing at all where the text is empty.
    #[inline]
    pub(super) fn field<const N: usize>(self, start: &[u8; N], text: &str) -> Self {
        if text.is_empty() { self } else { self.put(start).text(text).put(b"\"") }
    }

    #[cold]
    #[inline(never)]
    fn escaped(self, text: &str) -> Self {
        let mut pen = self;
        let mut rest = text;
        while let Some(stop) = json::first_stop(rest) {
            let (run, tail) = rest.split_at(stop);
            let mut chars = tail.chars();
            let Some(c) = chars.next() else { break };
            pen = pen.raw(run.as_bytes()).raw(json::escape(c, &mut [0; WIDEST]));
            rest = chars.as_str();
        }
        pen.raw(rest.as_bytes())
    }

    #[inline]
    pub(super) fn unsigned(self, value: u64) -> Self {
        let (place, rest) = self.rest.split_at_mut(digits::count(value));
        digits::write(place, value);
        Self { rest }
    }

    #[inline]
    pub(super) fn signed(self, value: i64) -> Self {
        let pen = if value < 0 { self.put(b"-") } else { self };
        pen.unsigned(value.unsigned_abs())
    }

    /// What `write` writes, of a size the compiler knows.
    #[inline(always)]
    pub(super) fn filled<const N: usize>(self, write: impl FnOnce(&mut [u8; N])) -> Self {
        let (place, rest) = self.rest.split_first_chunk_mut().expect("room was made for all that is written");
        write(place);
        Self { rest }
    }
}

const fn all(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// Eight bytes, of which one has its highest bit set if one is no printable ASCII character, or a quote or a backslash.
///
/// Carries and borrows cross into a neighbour only from a byte that is reported itself.
#[inline(always)]
fn hazards(word: u64) -> u64 {
    // A quote becomes 0x20 here, and what is below 0x20 stays there.
    let control_or_quote = (word ^ all(2)).wrapping_sub(all(0x21));
    let delete = word.wrapping_add(all(1));
    let backslash = (word ^ all(b'\\')).wrapping_sub(all(1));
    word | control_or_quote | delete | backslash
}

/// Two words, since that is what a vector register holds.
#[inline(always)]
fn hazards_of_16(sixteen: &[u8; 16]) -> [u64; 2] {
    let [a, b, c, d, e, f, g, h, rest @ ..] = *sixteen;
    [hazards(u64::from_ne_bytes([a, b, c, d, e, f, g, h])), hazards(u64::from_ne_bytes(rest))]
}

/// Copies and looks at the same bytes: whether all of them may stand in a JSON string as they are. Lengths that are no
/// multiple of a step have their last step overlap the one before.
#[inline(never)]
fn copied(target: &mut [u8], source: &[u8]) -> bool {
    let target = &mut target[..source.len()];
    let found = if let (Some(last), Some(place)) = (source.last_chunk(), target.last_chunk_mut()) {
        *place = *last;
        let mut found = hazards_of_16(last);
        for (place, step) in target.as_chunks_mut::<16>().0.iter_mut().zip(source.as_chunks::<16>().0) {
            *place = *step;
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
