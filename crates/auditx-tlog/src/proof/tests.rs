//! Proofs in trees of many sizes, and altered proofs that must be rejected.

use super::*;
use crate::key::SigningKey;
use crate::tree::{CompactRange, NodeIndex, leaf_hash};

const ORIGIN: &str = "erp.example.com/auditx/9f0c";

struct Log {
    key: SigningKey,
    verifier: VerifierKey,
    lines: Vec<String>,
}

fn to_usize(index: u64) -> usize {
    usize::try_from(index).unwrap()
}

impl Log {
    fn of(size: u64) -> Self {
        let key = SigningKey::generate();
        let verifier = VerifierKey::new(ORIGIN, &crate::key::Signer::public_key(&key)).unwrap();
        let lines =
            (0..size).map(|seq| format!("{{\"seq\":{seq},\"description\":\"line {seq}\"}}")).collect();
        Self { key, verifier, lines }
    }

    fn hash(&self, from: u64, to: u64) -> Hash {
        let mut range = CompactRange::new(0);
        self.lines[to_usize(from)..to_usize(to)]
            .iter()
            .for_each(|line| range.push(leaf_hash(line.as_bytes())));
        range.root().unwrap()
    }

    fn checkpoint(&self, size: u64) -> SignedCheckpoint {
        SignedCheckpoint::sign(ORIGIN, size, &self.hash(0, size), &[&self.key]).unwrap()
    }

    fn nodes(&self, wanted: &[NodeIndex]) -> Result<Vec<Hash>> {
        Ok(wanted.iter().map(|(level, index)| self.hash(index << level, (index + 1) << level)).collect())
    }

    fn proof(&self, index: u64) -> InclusionProof {
        let size = self.lines.len() as u64;
        let line = self.lines[to_usize(index)].as_bytes();
        InclusionProof::make(line, index, self.checkpoint(size), &mut |wanted| self.nodes(wanted)).unwrap()
    }
}

#[test]
fn every_line_and_prefix_of_small_trails_is_proved() {
    for size in 1..=20 {
        let log = Log::of(size);
        let keys = std::slice::from_ref(&log.verifier);
        for index in 0..size {
            let proof = InclusionProof::parse(log.proof(index).to_string().as_bytes()).unwrap();
            assert_eq!((proof.index(), proof.line()), (index, log.lines[to_usize(index)].as_bytes()));
            proof.check(keys).unwrap();
        }
        for old in 1..=size {
            let proof = ConsistencyProof::make(log.checkpoint(old), log.checkpoint(size), &mut |wanted| {
                log.nodes(wanted)
            })
            .unwrap();
            let proof = ConsistencyProof::parse(proof.to_string().as_bytes()).unwrap();
            assert_eq!((proof.older().size(), proof.newer().size()), (old, size));
            proof.check(keys).unwrap();
        }
    }
}

/// Returns an altered copy of the proof.
fn altered(proof: &InclusionProof, alter: impl FnOnce(&mut InclusionProof)) -> InclusionProof {
    let mut copy = InclusionProof::parse(proof.to_string().as_bytes()).unwrap();
    alter(&mut copy);
    copy
}

#[test]
fn a_proof_with_any_altered_part_is_invalid() {
    let log = Log::of(13);
    let keys = std::slice::from_ref(&log.verifier);
    let proof = log.proof(5);
    proof.check(keys).unwrap();
    let fault = |alter: &dyn Fn(&mut InclusionProof)| altered(&proof, alter).check(keys).unwrap_err();

    // An adjacent index, alone and with the line at that index.
    for index in [4, 6] {
        assert_eq!(fault(&|proof| proof.index = index), ProofFault::WrongIndex);
        assert_eq!(
            fault(&|proof| {
                proof.index = index;
                proof.line = log.lines[to_usize(index)].clone().into_bytes();
            }),
            ProofFault::WrongPath
        );
    }
    // Another size in the note, and another size that was signed. (Sizes whose paths have the same shape lead
    // to the same root, RFC 6962; only the signature distinguishes them.)
    let text = proof.to_string();
    for size in [12, 14, 26, 6, 0] {
        let resized = text.replace("\n13\n", &format!("\n{size}\n"));
        let fault = InclusionProof::parse(resized.as_bytes()).unwrap().check(keys).unwrap_err();
        assert_eq!(fault, ProofFault::Signature(SignatureFault::BadSignature), "size {size}");
    }
    for size in [26, 8, 6, 5, 1] {
        let signed = SignedCheckpoint::sign(ORIGIN, size, &log.hash(0, 13), &[&log.key]).unwrap();
        assert_eq!(fault(&|proof| proof.checkpoint = signed.clone()), ProofFault::WrongPath, "size {size}");
    }
    assert_eq!(fault(&|proof| proof.path.truncate(proof.path.len() - 1)), ProofFault::WrongPath);
    assert_eq!(fault(&|proof| proof.path.rotate_left(1)), ProofFault::WrongPath);
    assert_eq!(fault(&|proof| proof.path.push([0; 32])), ProofFault::WrongPath);
    assert_eq!(fault(&|proof| proof.path.insert(0, [0; 32])), ProofFault::WrongPath);
    assert_eq!(fault(&|proof| proof.path.swap(0, 1)), ProofFault::WrongPath);
    assert_eq!(fault(&|proof| proof.path[1][0] ^= 1), ProofFault::WrongPath);
    assert_eq!(fault(&|proof| proof.path.clear()), ProofFault::WrongPath);
    assert_eq!(fault(&|proof| proof.line.push(b' ')), ProofFault::WrongPath);
    // An interior node instead of a leaf: a stub may name any hash, but the path is then too short.
    let interior = log.hash(4, 6);
    assert_eq!(
        fault(&|proof| {
            proof.line = crate::leaf::erased_line(5, &interior).into_bytes();
            proof.path.remove(0);
        }),
        ProofFault::WrongPath
    );
    // An empty tree has no lines, whatever root its checkpoint states.
    let leaf = leaf_hash(log.lines[0].as_bytes());
    let empty = SignedCheckpoint::sign(ORIGIN, 0, &leaf, &[&log.key]).unwrap();
    let forged = InclusionProof {
        line: log.lines[0].clone().into_bytes(),
        index: 0,
        path: Vec::new(),
        checkpoint: empty,
    };
    assert_eq!(forged.check(keys).unwrap_err(), ProofFault::WrongPath);

    let stranger = Log::of(13);
    assert_eq!(
        proof.check(std::slice::from_ref(&stranger.verifier)).unwrap_err(),
        ProofFault::Signature(SignatureFault::WrongKey)
    );
}

#[test]
fn an_erased_line_is_proved_by_its_hash() {
    let log = Log::of(9);
    let hash = leaf_hash(log.lines[4].as_bytes());
    let stub = crate::leaf::erased_line(4, &hash);
    let proof =
        InclusionProof::make(stub.as_bytes(), 4, log.checkpoint(9), &mut |wanted| log.nodes(wanted)).unwrap();
    assert!(proof.is_erased() && !log.proof(4).is_erased());
    proof.check(std::slice::from_ref(&log.verifier)).unwrap();
    let wrong = crate::leaf::erased_line(4, &[1; 32]);
    let error = InclusionProof::make(wrong.as_bytes(), 4, log.checkpoint(9), &mut |wanted| log.nodes(wanted))
        .unwrap_err();
    assert!(error.is_corrupt() && error.seq() == Some(4));
}

#[test]
fn text_that_is_not_a_proof_is_refused_with_a_reason() {
    let log = Log::of(3);
    let text = log.proof(1).to_string();
    for (wrong, reason) in [
        (text.replace("@v1", "@v2"), "does not begin"),
        (text.replace("index 1", "index 01"), "no index"),
        (text.replace("index 1", "index +1"), "no index"),
        (text.replace("index 1", "index 18446744073709551616"), "no index"),
        (text.replace("extra ", "extras "), "not in it"),
        (text.replace("extra ", "extra !"), "base64"),
        (text.split("\n\n").next().unwrap().to_owned(), "no checkpoint"),
        (text.replace("\nindex 1\n", "\nindex 1\nAAAA\n"), "32 bytes"),
        (format!("{text}\n"), "not a signed checkpoint"),
        (String::new(), "no checkpoint"),
    ] {
        let error = InclusionProof::parse(wrong.as_bytes()).unwrap_err();
        assert!(error.is_corrupt() && error.to_string().contains(reason), "{error}: {wrong}");
    }
    let proof = ConsistencyProof::make(log.checkpoint(2), log.checkpoint(3), &mut |wanted| log.nodes(wanted))
        .unwrap();
    let text = proof.to_string();
    for (wrong, reason) in [
        (text.replace("@v1", "@v2"), "does not begin"),
        (text.split("\n\n").take(3).collect::<Vec<_>>().join("\n\n"), "two checkpoints"),
        (format!("{text}\n"), "two checkpoints"),
    ] {
        let error = ConsistencyProof::parse(wrong.as_bytes()).unwrap_err();
        assert!(error.is_corrupt() && error.to_string().contains(reason), "{error}: {wrong}");
    }
}

#[test]
fn a_rewritten_history_is_not_consistent() {
    let (log, mut other) = (Log::of(9), Log::of(9));
    other.key = log.key.clone();
    other.lines[2] = other.lines[2].replace("line", "lie");
    let error =
        ConsistencyProof::make(log.checkpoint(4), other.checkpoint(9), &mut |wanted| other.nodes(wanted))
            .unwrap_err();
    assert!(error.is_corrupt(), "{error}");
    let honest =
        ConsistencyProof::make(log.checkpoint(4), log.checkpoint(9), &mut |wanted| log.nodes(wanted))
            .unwrap();
    let keys = std::slice::from_ref(&log.verifier);
    honest.check(keys).unwrap();
    let mixed =
        ConsistencyProof { path: honest.path.clone(), older: other.checkpoint(4), newer: log.checkpoint(9) };
    assert_eq!(mixed.check(keys).unwrap_err(), ProofFault::WrongPath);
    for (older, newer) in [(9, 4), (0, 4)] {
        let error = ConsistencyProof::make(log.checkpoint(older), log.checkpoint(newer), &mut |wanted| {
            log.nodes(wanted)
        })
        .unwrap_err();
        assert!(error.is_invalid(), "{error}");
    }
}
