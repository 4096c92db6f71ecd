//! Two-lane SHA-256 with the SHA extensions of x86-64.
//!
//! `sha256rnds2` does two rounds. It keeps the eight variables of the compression function in two registers:
//! A, B, E and F in one, C, D, G and H in the other, from the highest word down. `sha256msg1` and
//! `sha256msg2` do most of the message schedule, four words at a time (Gulley and others, *Intel SHA
//! Extensions*, 2013).

use std::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_cvtsi32_si128, _mm_extract_epi64, _mm_or_si128,
    _mm_set_epi32, _mm_set_epi64x, _mm_sha256msg1_epu32, _mm_sha256msg2_epu32, _mm_sha256rnds2_epu32,
    _mm_shuffle_epi8, _mm_shuffle_epi32, _mm_slli_si128,
};

use super::Messages;
use crate::tree::{Hash, LEAF_PREFIX, NODE_PREFIX};

const BLOCK: usize = 64;

type Block = [u8; BLOCK];

/// The number of message bytes in the first block, after the prefix.
const FIRST: usize = BLOCK - 1;

/// The offset of the length in bits in the last block.
const LENGTH: usize = BLOCK - 8;

/// The byte that follows the message (padding).
const END: u8 = 0x80;

/// The length of the message of a node in bits: the prefix and two hashes.
const NODE_BITS: i32 = 8 * (1 + 32 + 32);

/// FIPS 180-4, section 5.3.3: A to H.
const INITIAL: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// FIPS 180-4, section 4.2.2, grouped by four rounds.
const CONSTANTS: [[[u32; 4]; 4]; 4] = [
    [
        [0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5],
        [0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5],
        [0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3],
        [0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174],
    ],
    [
        [0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc],
        [0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da],
        [0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7],
        [0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967],
    ],
    [
        [0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13],
        [0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85],
        [0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3],
        [0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070],
    ],
    [
        [0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5],
        [0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3],
        [0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208],
        [0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2],
    ],
];

/// Appends the hash of each message.
#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
pub(super) fn hash(messages: Messages<'_, '_>, hashes: &mut Vec<Hash>) {
    match messages {
        Messages::Leaves(lines) => leaves(lines, hashes),
        Messages::Nodes(pairs) => nodes(pairs, hashes),
    }
}

#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
fn leaves<'l>(lines: &mut dyn Iterator<Item = &'l [u8]>, hashes: &mut Vec<Hash>) {
    let mut next = |hashes: &mut Vec<Hash>| {
        let line = lines.next()?;
        hashes.push(Hash::default());
        Some(Lane::new(line, hashes.len() - 1))
    };
    let Some(mut last) = next(hashes) else { return };
    let mut state = State::initial();
    if let Some(second) = next(hashes) {
        let (mut lanes, mut states) = ([last, second], [state, state]);
        let unfinished = 'lanes: loop {
            let words = [lanes[0].words(), lanes[1].words()];
            states = compress(states, words);
            for which in 0..2 {
                if lanes[which].is_done() {
                    hashes[lanes[which].output] = states[which].hash();
                    states[which] = State::initial();
                    match next(hashes) {
                        Some(lane) => lanes[which] = lane,
                        None => break 'lanes 1 - which,
                    }
                }
            }
        };
        let ([first, second], [first_state, second_state]) = (lanes, states);
        (last, state) = if unfinished == 0 { (first, first_state) } else { (second, second_state) };
    }
    while !last.is_done() {
        let words = [last.words()];
        [state] = compress([state], words);
    }
    hashes[last.output] = state.hash();
}

#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
fn nodes(pairs: &[[Hash; 2]], hashes: &mut Vec<Hash>) {
    let (twos, rest) = pairs.as_chunks::<2>();
    for two in twos {
        hashes.extend(nodes_together(two));
    }
    for one in rest {
        hashes.extend(nodes_together(&[*one]));
    }
}

#[inline]
#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
fn nodes_together<const N: usize>(pairs: &[[Hash; 2]; N]) -> [Hash; N] {
    let zero = _mm_set_epi64x(0, 0);
    let length = _mm_set_epi32(NODE_BITS, 0, 0, 0);
    let (mut first, mut second) = ([[zero; 4]; N], [[zero; 4]; N]);
    for lane in 0..N {
        let children = pairs[lane].as_flattened();
        first[lane] = first_words(NODE_PREFIX, children);
        let end = u32::from_be_bytes([children[FIRST], END, 0, 0]);
        second[lane] = [_mm_cvtsi32_si128(end.cast_signed()), zero, zero, length];
    }
    let states = compress(compress([State::initial(); N], first), second);
    let mut hashes = [Hash::default(); N];
    for lane in 0..N {
        hashes[lane] = states[lane].hash();
    }
    hashes
}

/// The message of a leaf while it is being hashed.
struct Lane<'l> {
    /// The line, until its first block has been read.
    first: Option<&'l [u8]>,
    /// The whole blocks that remain.
    blocks: &'l [Block],
    /// The last one or two blocks, with the padding.
    end: [Block; 2],
    /// The blocks of `end` that remain.
    remaining: std::ops::Range<usize>,
    /// The index of its hash in the output.
    output: usize,
}

impl<'l> Lane<'l> {
    fn new(line: &'l [u8], output: usize) -> Self {
        let mut end = [[0; BLOCK]; 2];
        let bytes = end.as_flattened_mut();
        let (first, blocks, used) = match line.split_at_checked(FIRST) {
            Some((_, after)) => {
                let (blocks, rest) = after.as_chunks::<BLOCK>();
                bytes[..rest.len()].copy_from_slice(rest);
                (Some(line), blocks, rest.len())
            }
            None => {
                bytes[0] = LEAF_PREFIX;
                bytes[1..=line.len()].copy_from_slice(line);
                (None, &[][..], 1 + line.len())
            }
        };
        bytes[used] = END;
        let count = if used < LENGTH { 1 } else { 2 };
        let bits = 8 * (1 + line.len() as u64);
        end[count - 1][LENGTH..].copy_from_slice(&bits.to_be_bytes());
        Self { first, blocks, end, remaining: 0..count, output }
    }

    fn is_done(&self) -> bool {
        self.remaining.is_empty()
    }

    /// Returns the words of the next block.
    #[inline]
    #[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
    fn words(&mut self) -> [__m128i; 4] {
        if let Some(line) = self.first.take() {
            return first_words(LEAF_PREFIX, line);
        }
        let block = match self.blocks.split_first() {
            Some((block, rest)) => {
                self.blocks = rest;
                block
            }
            None => self.remaining.next().map_or(&self.end[0], |block| &self.end[block]),
        };
        let [a, b, c, d] = block.as_chunks::<16>().0 else { unreachable!("a block has 64 bytes") };
        [big_endian(load(a)), big_endian(load(b)), big_endian(load(c)), big_endian(load(d))]
    }
}

/// Returns the words of a full first block: the prefix, then the first bytes of `rest`.
#[inline]
#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
fn first_words(prefix: u8, rest: &[u8]) -> [__m128i; 4] {
    let part = |begin: usize| {
        let bytes = rest[begin..].first_chunk().expect("the block is full");
        load(bytes)
    };
    let beginning = _mm_or_si128(_mm_slli_si128::<1>(part(0)), _mm_cvtsi32_si128(i32::from(prefix)));
    [big_endian(beginning), big_endian(part(15)), big_endian(part(31)), big_endian(part(47))]
}

#[inline]
#[target_feature(enable = "sse2")]
#[expect(clippy::cast_possible_truncation, reason = "splits the number into halves")]
fn load(bytes: &[u8; 16]) -> __m128i {
    // Reading one number lets the compiler emit a single load.
    let value = i128::from_le_bytes(*bytes);
    _mm_set_epi64x((value >> 64) as i64, value as i64)
}

/// Converts four words from the byte order of the message to native order.
#[inline]
#[target_feature(enable = "ssse3")]
fn big_endian(words: __m128i) -> __m128i {
    _mm_shuffle_epi8(words, _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203))
}

#[derive(Clone, Copy)]
struct State {
    abef: __m128i,
    cdgh: __m128i,
}

impl State {
    #[inline]
    #[target_feature(enable = "sse2")]
    fn initial() -> Self {
        let [a, b, c, d, e, f, g, h] = INITIAL.map(u32::cast_signed);
        Self { abef: _mm_set_epi32(a, b, e, f), cdgh: _mm_set_epi32(c, d, g, h) }
    }

    #[inline]
    #[target_feature(enable = "sha,sse2")]
    fn four_rounds(&mut self, words: __m128i, constants: [u32; 4]) {
        let [a, b, c, d] = constants.map(u32::cast_signed);
        let sum = _mm_add_epi32(words, _mm_set_epi32(d, c, b, a));
        // After two rounds, C, D, G and H are the former A, B, E and F.
        self.cdgh = _mm_sha256rnds2_epu32(self.cdgh, self.abef, sum);
        self.abef = _mm_sha256rnds2_epu32(self.abef, self.cdgh, _mm_shuffle_epi32::<0b1110>(sum));
    }

    #[inline]
    #[target_feature(enable = "sse2,sse4.1")]
    fn hash(self) -> Hash {
        let (ab, ef) = (_mm_extract_epi64::<1>(self.abef), _mm_extract_epi64::<0>(self.abef));
        let (cd, gh) = (_mm_extract_epi64::<1>(self.cdgh), _mm_extract_epi64::<0>(self.cdgh));
        let mut hash = Hash::default();
        for (bytes, two) in hash.as_chunks_mut::<8>().0.iter_mut().zip([ab, cd, ef, gh]) {
            *bytes = two.to_be_bytes();
        }
        hash
    }
}

/// Compresses one block per lane. Takes and returns the states by value, which keeps them in registers.
#[inline]
#[target_feature(enable = "sha,sse2,ssse3,sse4.1")]
fn compress<const N: usize>(before: [State; N], mut words: [[__m128i; 4]; N]) -> [State; N] {
    let mut states = before;
    let [earlier @ .., last] = &CONSTANTS;
    for four in earlier {
        for part in 0..4 {
            for (state, words) in states.iter_mut().zip(&mut words) {
                state.four_rounds(words[part], four[part]);
                words[part] = schedule(std::array::from_fn(|next| words[(part + next) % 4]));
            }
        }
    }
    for part in 0..4 {
        for (state, words) in states.iter_mut().zip(&words) {
            state.four_rounds(words[part], last[part]);
        }
    }
    for (state, before) in states.iter_mut().zip(before) {
        state.abef = _mm_add_epi32(state.abef, before.abef);
        state.cdgh = _mm_add_epi32(state.cdgh, before.cdgh);
    }
    states
}

/// Computes the four words of the message schedule that follow these sixteen.
#[inline]
#[target_feature(enable = "sha,sse2,ssse3")]
fn schedule([a, b, c, d]: [__m128i; 4]) -> __m128i {
    let sum = _mm_add_epi32(_mm_sha256msg1_epu32(a, b), _mm_alignr_epi8::<4>(d, c));
    _mm_sha256msg2_epu32(sum, d)
}
