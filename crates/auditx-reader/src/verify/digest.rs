//! Hashes leaves of the tree without copying them: a leaf's prefix byte lies in memory just before the line.
//!
//! The hashes are those of [`leaf_hash`](auditx_tlog::leaf_hash), which the tests compare with.

use auditx_tlog::Hash;
use sha2::compress256;
use sha2::digest::block_buffer::EagerBuffer;
use sha2::digest::consts::U64;
use sha2::digest::generic_array::GenericArray;

type Block = GenericArray<u8, U64>;

const BLOCK: usize = 64;

/// The offset of the length in the last block.
const LENGTH: usize = BLOCK - 8;

/// The padding byte after the message.
const END: u8 = 0x80;

/// The first byte of a leaf's message.
pub(super) const LEAF_PREFIX: u8 = 0;

/// FIPS 180-4, section 5.3.3.
const INITIAL: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// SHA-256 of a message in memory; for a leaf, the prefix and the line. Whole blocks are hashed in place.
pub(super) fn sha256(message: &[u8]) -> Hash {
    let mut state = INITIAL;
    let (whole, rest) = message.split_at(message.len() / BLOCK * BLOCK);
    EagerBuffer::<U64>::default().digest_blocks(whole, |blocks| compress256(&mut state, blocks));
    let mut last = [Block::default(), Block::default()];
    last[0][..rest.len()].copy_from_slice(rest);
    last[0][rest.len()] = END;
    // The length needs eight bytes after the padding byte.
    let used = if rest.len() < LENGTH { 1 } else { 2 };
    last[used - 1][LENGTH..].copy_from_slice(&bit_length(message.len()));
    compress256(&mut state, &last[..used]);
    hash_of(state)
}

fn bit_length(bytes: usize) -> [u8; 8] {
    (bytes as u64 * 8).to_be_bytes()
}

fn hash_of(state: [u32; 8]) -> Hash {
    let mut hash = Hash::default();
    for (bytes, word) in hash.as_chunks_mut::<4>().0.iter_mut().zip(state) {
        *bytes = word.to_be_bytes();
    }
    hash
}

#[cfg(test)]
mod tests {
    use auditx_tlog::leaf_hash;

    use super::*;

    #[test]
    fn leaf_hashes_of_all_lengths_match_the_core() {
        let line: Vec<u8> = (0..=255).cycle().take(2_000).collect();
        for len in (0..400).chain([1_000, 1_983, 1_984, 2_000]) {
            let message = [&[LEAF_PREFIX], &line[..len]].concat();
            assert_eq!(sha256(&message), leaf_hash(&line[..len]), "{len} bytes");
        }
    }
}
