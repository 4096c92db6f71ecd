//! Sigsum as the judge: its library verifies the proof of a log that these witnesses cosigned.

use auditx_tlog::to_hex;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use sigsum::{Hash as Sha256, PolicyBuilder, PublicKey, SigsumSignature, verify};

use super::*;

/// A log of Sigsum with two leaves, of which the second has the signature that is verified.
struct SigsumLog {
    key: SigningKey,
    submitter: SigningKey,
    leaves: [Vec<u8>; 2],
}

/// What was signed: the hash of a message.
fn message() -> Sha256 {
    Sha256::new(b"Period closed")
}

fn key_hash(key: &SigningKey) -> [u8; 32] {
    Sha256::new(key.public_key()).into()
}

impl SigsumLog {
    fn new() -> Self {
        let (key, submitter) = (SigningKey::generate(), SigningKey::generate());
        let leaf = |message: Sha256| {
            let checksum: [u8; 32] = Sha256::new(message).into();
            let signed = [b"sigsum.org/v1/tree-leaf\0", &checksum[..]].concat();
            [&checksum[..], &submitter.sign(&signed).unwrap(), &key_hash(&submitter)].concat()
        };
        let leaves = [leaf(Sha256::new(b"Period opened")), leaf(message())];
        Self { key, submitter, leaves }
    }

    fn verifier(&self) -> VerifierKey {
        let name = format!("sigsum.org/v1/tree/{}", to_hex(&key_hash(&self.key)));
        VerifierKey::new(&name, &self.key.public_key()).unwrap()
    }

    fn checkpoint(&self) -> SignedCheckpoint {
        let [first, second] = self.leaves.each_ref().map(|leaf| leaf_hash(leaf));
        let root = node_hash(&first, &second);
        SignedCheckpoint::sign(self.verifier().name(), 2, &root, &[&self.key]).unwrap()
    }

    /// The proof for the second leaf, in the text form of Sigsum. `cosignatures` are answers of witnesses.
    fn proof(&self, cosignatures: &[(&SigningKey, String)]) -> String {
        let checkpoint = self.checkpoint();
        let leaf_signature = &self.leaves[1][32..96];
        let mut text = format!(
            "version=2\nlog={}\nleaf={} {}\n\nsize=2\nroot_hash={}\nsignature={}\n",
            to_hex(&key_hash(&self.key)),
            to_hex(&key_hash(&self.submitter)),
            to_hex(leaf_signature),
            to_hex(checkpoint.root()),
            to_hex(&signature_bytes(checkpoint.as_str())),
        );
        for (witness, line) in cosignatures {
            let bytes = signature_bytes(line);
            let (time, signature) = bytes.split_first_chunk::<8>().unwrap();
            let (witness, time) = (to_hex(&key_hash(witness)), u64::from_be_bytes(*time));
            text += &format!("cosignature={witness} {time} {}\n", to_hex(signature));
        }
        text + &format!("\nleaf_index=1\nnode_hash={}\n", to_hex(&leaf_hash(&self.leaves[0])))
    }

    fn is_accepted(&self, proof: &str, policy: &sigsum::Policy) -> std::result::Result<(), String> {
        let proof = SigsumSignature::from_ascii(proof).map_err(|error| error.to_string())?;
        let signers = [PublicKey::from(self.submitter.public_key())];
        verify(&message(), &proof, &signers, policy).map_err(|error| error.to_string())
    }
}

/// The bytes after the key id in the last line of a note.
fn signature_bytes(note: &str) -> Vec<u8> {
    let encoded = note.trim_end().rsplit(' ').next().unwrap();
    BASE64_STANDARD.decode(encoded).unwrap().split_off(4)
}

/// A policy that requires `needed` of these witnesses.
fn policy(log: &SigsumLog, witnesses: &[SigningKey], needed: usize) -> sigsum::Policy {
    let mut policy = PolicyBuilder::new();
    policy.add_log(log.key.public_key().into(), None).unwrap();
    let names: Vec<String> = (0..witnesses.len()).map(|number| format!("w{number}")).collect();
    for (name, witness) in names.iter().zip(witnesses) {
        policy.add_witness(name.clone(), witness.public_key().into(), None).unwrap();
    }
    policy.add_group("quorum".to_owned(), needed, names).unwrap().set_quorum("quorum".to_owned()).unwrap();
    policy.build()
}

#[tokio::test]
async fn sigsum_accepts_a_proof_with_a_quorum_of_these_witnesses() {
    let log = SigsumLog::new();
    let signers: Vec<SigningKey> = (0..3).map(|_| SigningKey::generate()).collect();
    let body = format!("old 0\n\n{}", log.checkpoint());
    let mut cosignatures = Vec::new();
    for signer in &signers[..2] {
        let directory = TempDir::new().unwrap();
        Witness::create(directory.path(), "witness.example.com/w", signer).unwrap();
        let signer_of = Arc::new(signer.clone());
        let witness =
            Witness::open(directory.path(), "witness.example.com/w", signer_of, [log.verifier()]).unwrap();
        let Answer::Cosigned(line) = answer(&witness, &body).await else { panic!("a cosignature") };
        cosignatures.push((signer, line));
    }
    let proof = log.proof(&cosignatures);
    assert_eq!(log.is_accepted(&proof, &policy(&log, &signers, 2)), Ok(()));
    let missing = log.is_accepted(&proof, &policy(&log, &signers, 3)).unwrap_err();
    assert!(missing.contains("not enough valid cosignatures"), "{missing}");

    // One digit of a cosignature, and the time in another one.
    let last = proof.rfind("cosignature=").unwrap();
    let end = last + proof[last..].find('\n').unwrap() - 1;
    let digit = if proof.as_bytes()[end] == b'0' { "1" } else { "0" };
    let changed = [&proof[..end], digit, &proof[end + 1..]].concat();
    let later = proof[last..].split(' ').nth(1).unwrap();
    let redated = proof.replacen(&format!(" {later} "), " 1800000000 ", 1);
    for (wrong, what) in [(changed, "a digit"), (redated, "the time")] {
        assert_ne!(wrong, proof, "{what}");
        let refused = log.is_accepted(&wrong, &policy(&log, &signers, 2)).unwrap_err();
        assert!(refused.contains("bad witness cosignature"), "{what}: {refused}");
    }
}
