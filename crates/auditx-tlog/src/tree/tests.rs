//! Known answers from RFC 6962, and joined ranges compared with whole ones.

use super::*;

/// The test tree of RFC 6962 as Certificate Transparency publishes it.
const LEAVES: [&str; 8] =
    ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];

const ROOTS: [(usize, &str); 5] = [
    (0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    (1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
    (2, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
    (3, "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"),
    (8, "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"),
];

pub(crate) fn published_leaves() -> Vec<Hash> {
    let bytes = |hex: &str| -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    };
    LEAVES.iter().map(|hex| leaf_hash(&bytes(hex))).collect()
}

fn range(begin: u64, leaves: &[Hash]) -> CompactRange {
    let mut range = CompactRange::new(begin);
    leaves.iter().for_each(|leaf| range.push(*leaf));
    range
}

#[test]
fn the_rfc_test_tree_has_the_published_roots() {
    let leaves = published_leaves();
    for (size, root) in ROOTS {
        assert_eq!(to_hex(&range(0, &leaves[..size]).root().unwrap()), root, "size {size}");
    }
}

#[test]
fn ranges_split_anywhere_join_to_the_same_tree() {
    let leaves: Vec<Hash> = (0..40_u32).map(|number| leaf_hash(&number.to_le_bytes())).collect();
    for end in 0..leaves.len() {
        let whole = range(0, &leaves[..end]);
        assert_eq!(
            whole,
            CompactRange::frontier(end as u64, &whole.hashes().copied().collect::<Vec<_>>()).unwrap()
        );
        for first in 0..=end {
            for second in first..=end {
                let mut joined = range(0, &leaves[..first]);
                let mut rest = range(first as u64, &leaves[first..second]);
                rest.join(&range(second as u64, &leaves[second..end])).unwrap();
                assert_eq!(rest.root().is_some(), first == 0);
                joined.join(&rest).unwrap();
                assert_eq!(joined, whole, "{first} {second} {end}");
            }
        }
    }
    assert!(range(0, &leaves[..3]).join(&range(4, &leaves[4..])).unwrap_err().is_invalid());
    assert!(CompactRange::frontier(3, &leaves[..3]).unwrap_err().is_corrupt());
}

/// Returns the grown range and the nodes it reported, sorted by level.
fn grown(
    mut range: CompactRange,
    grow: impl FnOnce(&mut CompactRange, &mut dyn FnMut(u8, u64, &Hash)),
) -> (CompactRange, Vec<(u8, u64, Hash)>) {
    let mut nodes = Vec::new();
    grow(&mut range, &mut |level, index, hash| nodes.push((level, index, *hash)));
    nodes.sort_by_key(|(level, ..)| *level);
    (range, nodes)
}

#[test]
fn extend_makes_the_same_nodes_as_single_pushes() {
    let leaves: Vec<Hash> = (0..700_u32).map(|number| leaf_hash(&number.to_le_bytes())).collect();
    let counts = (0..=33).chain([64, 65, 257, 600]);
    for (start, count) in (0..70).flat_map(|start| counts.clone().map(move |count| (start, count))) {
        let added = &leaves[start..start + count];
        // A range from the first leaf, one from the middle, and an empty one.
        for begin in [0, start / 2, start] {
            let before = range(begin as u64, &leaves[begin..start]);
            let singly = grown(before.clone(), |range, mut on_node| {
                added.iter().for_each(|leaf| range.push_node(0, *leaf, &mut on_node));
            });
            let together = grown(before, |range, mut on_node| range.extend(added, &mut on_node));
            assert!(together == singly, "{count} leaves after {begin}..{start}");
        }
    }
}

#[test]
fn extend_computes_the_published_roots() {
    let leaves = published_leaves();
    for (size, root) in ROOTS {
        let mut whole = CompactRange::new(0);
        whole.extend(&leaves[..size], &mut |_, _, _| ());
        assert_eq!(to_hex(&whole.root().unwrap()), root, "size {size}");
    }
}

#[test]
fn a_hash_has_one_hexadecimal_form() {
    let hash = leaf_hash(b"x");
    let text = to_hex(&hash);
    assert_eq!(hash_from_hex(&text), Some(hash));
    for other in
        [text.to_uppercase(), text[1..].to_owned(), format!("{text}0"), format!("{text}00"), "é".repeat(32)]
    {
        assert_eq!(hash_from_hex(&other), None, "{other}");
    }
}
