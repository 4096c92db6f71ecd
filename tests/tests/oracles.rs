//! Compares our trees, proofs and notes with independent implementations of RFC 6962 and RFC 9162:
//! `ct-merkle`, Sigsum's verifier, and `signed_note`.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use auditx_core::{Signer as _, SigningKey, VerifierKey};
use auditx_tests::log::{CheckpointSigner, Log, Nodes, inclusion_text, path_of};
use auditx_tests::random::Random;
use auditx_tlog::{CompactRange, Hash, InclusionProof, ProofFault, SignedCheckpoint, leaf_hash, to_hex};
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use ct_merkle::{ConsistencyProof as TheirConsistency, InclusionProof as TheirInclusion, RootHash};
use sha2_011::Sha256;
use signed_note::{Note, StandardVerifier, VerifierList};

type TheirTree = MemoryBackedTree<Sha256, Vec<u8>>;
type TheirRoot = RootHash<Sha256>;

const LARGEST: u64 = 5_000;

/// Trees per test, and proofs per tree.
const TREES: usize = 12;
const PROOFS: usize = 25;

fn lines(count: u64, random: &mut Random) -> Vec<Vec<u8>> {
    (0..count)
        .map(|seq| {
            let long = usize::try_from(random.below(200)).unwrap();
            format!("{{\"seq\":{seq},\"description\":\"{}\"}}", "é".repeat(long)).into_bytes()
        })
        .collect()
}

/// Returns a log of this size, and the tree of `ct-merkle` over its lines.
fn log_and_tree(size: u64, random: &mut Random) -> (Log, TheirTree) {
    let lines = lines(size, random);
    let mut tree = TheirTree::new();
    lines.iter().for_each(|line| tree.push(line.clone()));
    (Log::of(lines), tree)
}

/// Returns a random size: small trees have all shapes, large ones have long paths.
fn random_size(random: &mut Random) -> u64 {
    let largest = [9, 70, LARGEST][usize::try_from(random.below(3)).unwrap()];
    1 + random.below(largest)
}

fn hash_of(root: &TheirRoot) -> Hash {
    (*root.as_bytes()).into()
}

/// Returns the root of `ct-merkle` over the first lines.
fn root_of_first(count: u64, tree: &TheirTree) -> TheirRoot {
    let mut first = TheirTree::new();
    tree.items()[..usize::try_from(count).unwrap()].iter().for_each(|line| first.push(line.clone()));
    first.root()
}

#[test]
fn roots_of_every_size_match_ct_merkle() {
    let mut random = Random::seeded();
    let (mut ours, mut theirs) = (CompactRange::new(0), TheirTree::new());
    assert_eq!(ours.root().unwrap(), hash_of(&theirs.root()));
    for line in lines(LARGEST - random.below(1_000), &mut random) {
        ours.push(leaf_hash(&line));
        theirs.push(line);
        assert_eq!(ours.root().unwrap(), hash_of(&theirs.root()), "size {}", ours.end());
    }
}

#[test]
fn roots_of_joined_ranges_match_ct_merkle() {
    let mut random = Random::seeded();
    for _ in 0..TREES {
        let size = random_size(&mut random);
        let (log, tree) = log_and_tree(size, &mut random);
        let cut = random.below(size + 1);
        let (mut left, mut right) = (CompactRange::new(0), CompactRange::new(cut));
        for (seq, line) in (0..).zip(&log.lines) {
            if seq < cut { &mut left } else { &mut right }.push(leaf_hash(line));
        }
        left.join(&right).unwrap();
        assert_eq!(left.root().unwrap(), hash_of(&tree.root()), "{size} lines, cut at {cut}");
    }
}

#[test]
fn inclusion_proofs_match_ct_merkle() {
    let mut random = Random::seeded();
    for _ in 0..TREES {
        let size = random_size(&mut random);
        let (log, tree) = log_and_tree(size, &mut random);
        let root = tree.root();
        let mut indexes = vec![0, size - 1];
        indexes.extend((0..PROOFS).map(|_| random.below(size)));
        for index in indexes {
            let proof = log.inclusion(index, size, &hash_of(&root));
            proof.check(std::slice::from_ref(log.checkpoint_signer.verifier())).unwrap();
            let ours = path_of(&proof).concat();
            let theirs = tree.prove_inclusion(usize::try_from(index).unwrap());
            assert_eq!(ours, theirs.as_bytes(), "line {index} of {size}");
            let line = &tree.items()[usize::try_from(index).unwrap()];
            root.verify_inclusion(line, index, &TheirInclusion::from_bytes(ours)).unwrap();
        }
    }
}

#[test]
fn consistency_proofs_match_ct_merkle() {
    let mut random = Random::seeded();
    for _ in 0..TREES {
        let size = random_size(&mut random);
        let (log, tree) = log_and_tree(size, &mut random);
        let root = tree.root();
        let mut older_sizes = vec![1, size];
        older_sizes.extend((0..PROOFS / 5).map(|_| 1 + random.below(size)));
        for older in older_sizes {
            let older_root = root_of_first(older, &tree);
            let proof = log.consistency((older, &hash_of(&older_root)), (size, &hash_of(&root)));
            proof.check(std::slice::from_ref(log.checkpoint_signer.verifier())).unwrap();
            let mut ours = path_of(&proof).concat();
            let theirs = tree.prove_consistency(usize::try_from(size - older).unwrap());
            assert_eq!(ours, theirs.as_bytes(), "from {older} to {size}");
            root.verify_consistency(&older_root, &TheirConsistency::try_from_bytes(ours.clone()).unwrap())
                .unwrap();
            if let Some(byte) = ours.first_mut() {
                *byte ^= 1;
                let altered = TheirConsistency::try_from_bytes(ours).unwrap();
                assert!(root.verify_consistency(&older_root, &altered).is_err());
            }
        }
    }
}

/// Returns whether `signed_note` accepts a note.
fn they_accept(note: &[u8], key: &VerifierKey) -> bool {
    let verifiers = VerifierList::new(vec![Box::new(StandardVerifier::new(&key.to_string()).unwrap())]);
    Note::from_bytes(note).is_ok_and(|note| note.verify(&verifiers).is_ok())
}

#[test]
fn signed_note_accepts_every_note_that_we_accept() {
    let keys = [SigningKey::generate(), SigningKey::generate()];
    let [first, second] = &keys;
    let signed =
        SignedCheckpoint::sign("erp.example.com/auditx/9f0c", 7, &[9; 32], &[first, second]).unwrap();
    let key = VerifierKey::new(signed.origin(), &first.public_key()).unwrap();
    let note = signed.as_str().as_bytes();
    assert!(they_accept(note, &key));
    let mut accepted = 0;
    for bit in 0..note.len() * 8 {
        let mut altered = note.to_vec();
        altered[bit / 8] ^= 1 << (bit % 8);
        let read = SignedCheckpoint::parse(&altered);
        if read.is_ok_and(|read| read.verify(std::slice::from_ref(&key)).is_ok()) {
            assert!(they_accept(&altered, &key), "bit {bit}");
            accepted += 1;
        }
    }
    assert!(accepted > 0, "changes to the signature of the other key are accepted");
}

/// The parts of an inclusion proof, to be altered.
#[derive(Debug, Clone)]
struct Claim {
    index: u64,
    size: u64,
    path: Vec<Hash>,
}

/// Alters a part of a proof. RFC 6962 accepts some changes of the size: paths of the same shape have the same
/// root.
fn alter(claim: &mut Claim, random: &mut Random) {
    let count = claim.path.len() as u64;
    let mut any = || usize::try_from(random.below(count.max(1))).unwrap();
    let (some, other) = (any(), any());
    match random.below(9) {
        0 => claim.index ^= 1,
        1 => claim.index += 1,
        2 => claim.size += 1,
        3 => claim.size -= 1,
        4 => claim.size *= 2,
        5 => claim.size /= 2,
        6 => claim.path.push(Hash::default()),
        7 if count > 0 => claim.path.swap(some, other),
        8 if count > 0 => drop(claim.path.remove(some)),
        _ => claim.path.iter_mut().take(1).for_each(|hash| hash[31] ^= 0x80),
    }
}

#[test]
fn ct_merkle_agrees_on_altered_inclusion_proofs() {
    let mut random = Random::seeded();
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..TREES {
        let size = random_size(&mut random);
        let (log, tree) = log_and_tree(size, &mut random);
        let root = tree.root();
        for _ in 0..PROOFS * 2 {
            let index = random.below(size);
            let line = &log.lines[usize::try_from(index).unwrap()];
            let path = path_of(&log.inclusion(index, size, &hash_of(&root)));
            let mut claim = Claim { index, size, path };
            alter(&mut claim, &mut random);

            // A stub has the hash of its line and is valid at any index; the checkpoint is signed with the
            // altered size.
            let stub = format!("{{\"seq\":{},\"erased\":\"{}\"}}", claim.index, to_hex(&leaf_hash(line)));
            let note = log.checkpoint_signer.note(claim.size, &hash_of(&root));
            let text = inclusion_text(stub.as_bytes(), claim.index, &claim.path, &note);
            let ours = InclusionProof::parse(text.as_bytes())
                .unwrap()
                .check(std::slice::from_ref(log.checkpoint_signer.verifier()));
            assert!(matches!(ours, Ok(()) | Err(ProofFault::WrongPath)), "{ours:?}");

            let theirs = TheirRoot::new(*root.as_bytes(), claim.size).verify_inclusion(
                line,
                claim.index,
                &TheirInclusion::from_bytes(claim.path.concat()),
            );
            assert_eq!(ours.is_ok(), theirs.is_ok(), "{index} of {size} as {claim:?}: {ours:?}, {theirs:?}");
            if ours.is_ok() { accepted += 1 } else { refused += 1 }
        }
    }
    assert!(refused > accepted, "{refused} refused, {accepted} accepted");
}

/// A Sigsum log: its leaves are hashes of signed checksums, and its tree heads have the text of our
/// checkpoints.
struct SigsumLog {
    checkpoint_signer: CheckpointSigner,
    submitter: SigningKey,
    messages: Vec<sigsum::Hash>,
}

/// The input of Sigsum's verifier.
#[derive(Clone)]
struct SigsumProof {
    message: sigsum::Hash,
    keyhash: String,
    leaf: String,
    size: u64,
    root: Hash,
    signature: [u8; 64],
    index: u64,
    path: Vec<Hash>,
}

impl SigsumLog {
    fn of(size: u64) -> Self {
        let key = SigningKey::generate();
        let origin = format!("sigsum.org/v1/tree/{:x}", sigsum::Hash::new(key.public_key()));
        let messages = (0..size).map(|number| sigsum::Hash::new(number.to_le_bytes())).collect();
        Self {
            checkpoint_signer: CheckpointSigner::named(key, &origin).unwrap(),
            submitter: SigningKey::generate(),
            messages,
        }
    }

    fn leaf_signature(&self, index: u64) -> [u8; 64] {
        let checksum = sigsum::Hash::new(&self.messages[usize::try_from(index).unwrap()]);
        self.submitter.sign(&[b"sigsum.org/v1/tree-leaf\0", checksum.as_ref()].concat()).unwrap()
    }

    fn leaf(&self, index: u64) -> Hash {
        let checksum = sigsum::Hash::new(&self.messages[usize::try_from(index).unwrap()]);
        let keyhash = sigsum::Hash::new(self.submitter.public_key());
        leaf_hash(&[checksum.as_ref(), self.leaf_signature(index).as_slice(), keyhash.as_ref()].concat())
    }

    /// Returns a Sigsum proof with the path and the signed tree head of our proof.
    fn prove(&self, index: u64, leaves: &[Hash], nodes: &Nodes) -> SigsumProof {
        let mut range = CompactRange::new(0);
        leaves.iter().for_each(|leaf| range.push(*leaf));
        let (size, root) = (range.end(), range.root().unwrap());
        let leaf = leaves[usize::try_from(index).unwrap()];
        let stub = format!("{{\"seq\":{index},\"erased\":\"{}\"}}", to_hex(&leaf));
        let checkpoint = self.checkpoint_signer.checkpoint(size, &root);
        let (head, _) = checkpoint.as_str().split_once("\n\n").unwrap();
        let signature = self.checkpoint_signer.sign(format!("{head}\n").as_bytes());
        let proof =
            InclusionProof::make(stub.as_bytes(), index, checkpoint, &mut |wanted| nodes.read(wanted));
        SigsumProof {
            message: self.messages[usize::try_from(index).unwrap()].clone(),
            keyhash: self.checkpoint_signer.verifier().name().rsplit('/').next().unwrap().to_owned(),
            leaf: format!(
                "{:x} {}",
                sigsum::Hash::new(self.submitter.public_key()),
                to_hex(&self.leaf_signature(index))
            ),
            size,
            root,
            signature,
            index,
            path: path_of(&proof.unwrap()),
        }
    }

    fn is_accepted(&self, proof: &SigsumProof) -> bool {
        let path: String = proof.path.iter().map(|hash| format!("node_hash={}\n", to_hex(hash))).collect();
        let text = format!(
            "version=2\nlog={}\nleaf={}\n\nsize={}\nroot_hash={}\nsignature={}\n\nleaf_index={}\n{path}",
            proof.keyhash,
            proof.leaf,
            proof.size,
            to_hex(&proof.root),
            to_hex(&proof.signature),
            proof.index,
        );
        let signature = sigsum::SigsumSignature::from_ascii(&text).unwrap();
        let mut policy = sigsum::PolicyBuilder::new();
        policy.add_log(self.checkpoint_signer.verifier().public_key().into(), None).unwrap();
        let submitters = [self.submitter.public_key().into()];
        sigsum::verify(&proof.message, &signature, &submitters, &policy.build()).is_ok()
    }

    /// Returns the proof with a correctly signed tree head of the same root and another size.
    fn resized(&self, proof: &SigsumProof, size: u64) -> SigsumProof {
        let note = self.checkpoint_signer.note(size, &proof.root);
        let (head, _) = note.split_once("\n\n").unwrap();
        let signature = self.checkpoint_signer.sign(format!("{head}\n").as_bytes());
        SigsumProof { size, signature, ..proof.clone() }
    }
}

#[test]
fn sigsum_accepts_our_proofs_and_no_altered_ones() {
    let mut random = Random::seeded();
    for size in [1, 2, 1 + random.below(60), 1 + random.below(1_000)] {
        let log = SigsumLog::of(size);
        let leaves: Vec<Hash> = (0..size).map(|index| log.leaf(index)).collect();
        let nodes = Nodes::over(leaves.clone());
        for index in [0, size - 1, random.below(size), random.below(size), random.below(size)] {
            let proof = log.prove(index, &leaves, &nodes);
            let refuses = |alter: &dyn Fn(&mut SigsumProof)| {
                let mut altered = proof.clone();
                alter(&mut altered);
                !log.is_accepted(&altered)
            };
            assert!(log.is_accepted(&proof), "leaf {index} of {size}");
            assert!(refuses(&|proof| proof.root[0] ^= 1));
            assert!(refuses(&|proof| proof.signature[40] ^= 1));
            assert!(refuses(&|proof| proof.size += 1), "the tree head has another size");
            assert!(refuses(&|proof| proof.index += 1));
            assert!(refuses(&|proof| proof.path.push(Hash::default())));
            assert!(refuses(&|proof| proof.message = sigsum::Hash::new("another")));
            assert!(!log.is_accepted(&log.resized(&proof, size * 2)), "leaf {index} of {size}");
            if size > 1 {
                assert!(refuses(&|proof| proof.path[0][7] ^= 1));
                assert!(refuses(&|proof| proof.path.truncate(proof.path.len() - 1)));
                assert!(refuses(&|proof| proof.index ^= 1));
            }
        }
    }
}
