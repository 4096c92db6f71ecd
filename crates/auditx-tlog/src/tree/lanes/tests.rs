//! Known answers, and the two-lane hashing compared with `sha2`.

use super::*;
use crate::tree::{leaf_hash, node_hash, to_hex};

/// SHA-256 test vectors that NIST publishes with the standard: zero bytes, of which the first serves as the
/// prefix here.
const ZEROS: [(usize, &str); 6] = [
    (55, "02779466cdec163811d078815c633f21901413081449002f24aa3e80f0b88ef7"),
    (56, "d4817aa5497628e7c77e6b606107042bbba3130888c5f47a375e6179be789fbb"),
    (57, "65a16cb7861335d5ace3c60718b5052e44660726da4cd13bb745381b235a1785"),
    (64, "f5a5fd42d16a20302798ef6ed309979b43003d2320d9f0e8ea9831a92759fb4b"),
    (1_000, "541b3e9daa09b20bf85fa273e5cbd3e80185aa4ec298e765db87742b70138a53"),
    (1_000_000, "d29751f2649b32ff572b5e0a9f541ea660a50f94ff0beedfb0b692b924cc8025"),
];

/// The implementation for this processor, and the portable one.
const IMPLEMENTATIONS: [fn(Messages<'_, '_>, &mut Vec<Hash>); 2] = [hash, hash_singly];

/// Returns the hashes of each implementation, appended to a vector that is not empty.
fn leaves(lines: &[&[u8]]) -> [Vec<Hash>; 2] {
    IMPLEMENTATIONS.map(|hash| appended(|hashes| hash(Messages::Leaves(&mut lines.iter().copied()), hashes)))
}

fn appended(append: impl FnOnce(&mut Vec<Hash>)) -> Vec<Hash> {
    let mut hashes = vec![[7; 32]];
    append(&mut hashes);
    assert_eq!(hashes.remove(0), [7; 32]);
    hashes
}

/// Returns pseudo-random bytes.
fn text(len: usize) -> Vec<u8> {
    let mut numbers = numbers();
    (0..len).map(|_| numbers().to_le_bytes()[7]).collect()
}

/// Returns the same numbers in each run (Knuth's MMIX generator).
fn numbers() -> impl FnMut() -> u64 {
    let mut state = 1_u64;
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state
    }
}

#[test]
fn nist_vectors_have_the_published_hashes() {
    let zeros = vec![0; 1_000_000];
    let lines = ZEROS.map(|(len, _)| &zeros[..len - 1]);
    let expected = ZEROS.map(|(_, hash)| hash.to_owned());
    for hashes in leaves(&lines) {
        assert_eq!(hashes.iter().map(|hash| to_hex(hash)).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn two_lines_of_any_lengths_are_hashed_correctly() {
    let text = text(600);
    // Lengths around block boundaries.
    for other in [0, 1, 54, 55, 62, 63, 64, 118, 119, 126, 127, 128, 182, 183, 299] {
        let other = &text[300..300 + other];
        for len in 0..300 {
            let line = &text[..len];
            for lines in [&[line][..], &[line, other], &[other, line], &[line, other, line]] {
                let expected: Vec<Hash> = lines.iter().map(|line| leaf_hash(line)).collect();
                for hashes in leaves(lines) {
                    assert_eq!(hashes, expected, "{len} bytes, {} bytes", other.len());
                }
            }
        }
    }
}

#[test]
fn many_lines_are_hashed_in_order() {
    let (text, mut numbers) = (text(70_000), numbers());
    let mut below = |end: usize| usize::try_from(numbers() >> 40).unwrap() % end;
    for most in [10, 300, 2_000, 70_000] {
        for count in [0, 1, 2, 3, 20, 21] {
            let mut lines: Vec<&[u8]> = Vec::new();
            lines.resize_with(count, || {
                let begin = below(text.len() + 1);
                &text[begin..][..below(most).min(text.len() - begin)]
            });
            let expected: Vec<Hash> = lines.iter().map(|line| leaf_hash(line)).collect();
            for hashes in leaves(&lines) {
                assert_eq!(hashes, expected, "{:?} bytes", lines.iter().map(|line| line.len()));
            }
        }
    }
}

#[test]
fn any_number_of_nodes_is_hashed_in_order() {
    let text = text(64 * 40);
    let hashes = text.as_chunks::<32>().0;
    for count in 0..=40 {
        let pairs = &hashes.as_chunks::<2>().0[..count];
        let expected: Vec<Hash> = pairs.iter().map(|[left, right]| node_hash(left, right)).collect();
        for hash in IMPLEMENTATIONS {
            assert_eq!(appended(|hashes| hash(Messages::Nodes(pairs), hashes)), expected, "{count} nodes");
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn sha_instructions_are_used_if_available() {
    let is_supported = ["sha_ni", "ssse3", "sse4_1"].map(|flag| {
        let flags = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        flags.split_whitespace().any(|known| known == flag)
    });
    let mut hashes = Vec::new();
    let outcome = hash_in_pairs(Messages::Nodes(&[[[0; 32]; 2]]), &mut hashes);
    if is_supported == [true; 3] {
        assert_eq!((outcome.is_ok(), hashes.len()), (true, 1));
    }
}
