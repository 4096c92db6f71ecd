//! Checks docs/FORMAT.md: computes its test vectors, and runs its Python program on real trails.
//!
//! `AUDITX_BLESS=1` writes the vectors into the document.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use auditx_core::{AuditLogger, Compression, Config, JournalKind, Signer, SigningKey, VerifierKey};
use auditx_store::{SegmentIndex, checkpoint_path};
use auditx_tests::deadline::TIMEOUT;
use auditx_tlog::{
    CompactRange, ConsistencyProof, Hash, InclusionProof, NodeIndex, SignedCheckpoint, Submission,
    WitnessKey, leaf_hash, to_hex,
};

const BEGIN: &str = "## Test vectors\n\n";
const END: &str = "## Golden lines\n";

const ORIGIN: &str = "erp.example.com/auditx/0123456789abcdef0123456789abcdef";

/// The published key of RFC 8410, section 10.3.
const KEY: &str = "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC";

const LINES: [&str; 5] = [
    r#"{"seq":0,"description":"Audit trail begun","success":true}"#,
    r#"{"seq":1,"description":"Sales invoice posted","amount":1250000.10,"currency":"MMK","success":true}"#,
    r#"{"seq":2,"description":"Stock issued","user":"ဒေါ်ခင်","success":true}"#,
    r#"{"seq":3,"description":"Login failed","user":"attacker","success":false}"#,
    concat!(
        r#"{"seq":4,"description":"Customer updated","old_values":{"limit":1},"#,
        r#""new_values":{"limit":2},"success":true}"#,
    ),
];

const TIME: &str = r#","timestamp":"2026-11-24T15:24:54.123456Z","#;

/// Returns the skip index of the lines in hex, 32 bytes per line.
fn index_of(lines: [String; 5]) -> String {
    let encoded = SegmentIndex::of((lines.join("\n") + "\n").as_bytes()).unwrap().encode();
    let row = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    encoded.chunks(32).map(row).collect::<Vec<_>>().join("\n")
}

fn document() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/FORMAT.md")
}

fn range(begin: u64, end: u64) -> CompactRange {
    let mut range = CompactRange::new(begin);
    let leaves = LINES.iter().map(|line| leaf_hash(line.as_bytes()));
    leaves
        .skip(begin.try_into().unwrap())
        .take((end - begin).try_into().unwrap())
        .for_each(|leaf| range.push(leaf));
    range
}

fn nodes(wanted: &[NodeIndex]) -> Result<Vec<Hash>, auditx_core::Error> {
    let node =
        |(level, number): &NodeIndex| *range(number << level, (number + 1) << level).hashes().next().unwrap();
    Ok(wanted.iter().map(node).collect())
}

fn checkpoint(size: u64) -> SignedCheckpoint {
    let key = SigningKey::from_pem(KEY).unwrap();
    SignedCheckpoint::sign(ORIGIN, size, &range(0, size).root().unwrap(), &[&key]).unwrap()
}

fn vectors() -> String {
    let mut text = String::from(
        "All vectors are computed from five lines and the private key of RFC 8410, section 10.3. A test\n\
         computes them and compares each byte.\n\n",
    );
    let mut block = |what: &str, lines: &str| write!(text, "{what}:\n\n```text\n{lines}\n```\n\n").unwrap();
    let verifier = VerifierKey::new(ORIGIN, &SigningKey::from_pem(KEY).unwrap().public_key()).unwrap();
    block("The private key in PKCS #8, and its verifier key", &format!("{KEY}\n{verifier}"));
    block("The lines", &LINES.join("\n"));
    let leaves: Vec<String> = LINES.iter().map(|line| to_hex(&leaf_hash(line.as_bytes()))).collect();
    block("Their leaf hashes", &leaves.join("\n"));
    let roots: Vec<String> =
        (0..=5).map(|size| format!("{size} {}", to_hex(&range(0, size).root().unwrap()))).collect();
    block("The root for each number of lines", &roots.join("\n"));
    let frontier: Vec<String> = range(0, 5).hashes().map(|hash| to_hex(hash)).collect();
    block("The frontier of all five lines", &frontier.join("\n"));
    block("The checkpoint of all five lines", checkpoint(5).as_str().trim_end());
    let proof = InclusionProof::make(LINES[2].as_bytes(), 2, checkpoint(5), &mut nodes).unwrap();
    proof.check(std::slice::from_ref(&verifier)).unwrap();
    block("The inclusion proof of line 2", proof.to_string().trim_end());
    let consistency = ConsistencyProof::make(checkpoint(3), checkpoint(5), &mut nodes).unwrap();
    consistency.check(std::slice::from_ref(&verifier)).unwrap();
    block("The consistency proof from three to five lines", consistency.to_string().trim_end());
    let signer = SigningKey::from_pem(KEY).unwrap();
    let witness = WitnessKey::new("witness.example.com/w1", &signer.public_key()).unwrap();
    let submission = Submission::make(3, checkpoint(5), &mut nodes).unwrap();
    block("The submission to a witness that knows three lines", submission.to_string().trim_end());
    let line = checkpoint(5).cosign(witness.name(), &signer, 1_800_000_000).unwrap();
    let cosigned = checkpoint(5).with_cosignature(&line, &witness).unwrap();
    assert_eq!(cosigned.cosigned_at(&witness), Some(1_800_000_000));
    block("The verifier key of a witness with the same private key", &witness.to_string());
    block("The checkpoint that it cosigned at 1800000000", cosigned.as_str().trim_end());
    block(
        "The skip index of a segment with these five lines, which have no timestamp, in hex",
        &index_of(LINES.map(str::to_owned)),
    );
    let what = format!("The same with `{}` after the seq of each line", TIME.trim_matches(','));
    block(&what, &index_of(LINES.map(|line| line.replacen(',', TIME, 1))));
    block("Line 3, erased", &format!("{{\"seq\":3,\"erased\":\"{}\"}}", leaves[3]));
    text
}

#[test]
fn the_vectors_in_the_document_are_current() {
    let text = fs::read_to_string(document()).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (found, after) = rest.split_once(END).unwrap();
    let computed = vectors();
    if std::env::var_os("AUDITX_BLESS").is_some_and(|value| value == "1") {
        fs::write(document(), format!("{before}{BEGIN}{computed}{END}{after}")).unwrap();
        return;
    }
    assert_eq!(found, computed, "docs/FORMAT.md is not current: run this test with AUDITX_BLESS=1");
}

/// Returns the Python program in the document.
fn program() -> String {
    let text = fs::read_to_string(document()).unwrap();
    let (_, rest) = text.split_once("```python\n").unwrap();
    rest.split_once("```\n").unwrap().0.to_owned()
}

fn python(arguments: &[&Path], key: &VerifierKey) -> Output {
    let mut command = Command::new("python3");
    command.arg("-c").arg(program()).arg(arguments[0]).arg(key.to_string()).args(&arguments[1..]);
    command.output().expect("python3 starts (`cargo xtask setup` installs it)")
}

fn assert_accepts(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn assert_rejects(output: &Output, what: &str) {
    let printed = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && printed.contains(what), "{what}: {printed}");
}

#[test]
fn the_python_program_has_at_most_64_lines() {
    let count = program().lines().filter(|line| !line.trim().is_empty()).count();
    assert!(count <= 64, "{count} lines");
}

#[test]
fn the_python_program_counts_recorded_losses() {
    let directory = tempfile::tempdir().unwrap();
    let trail = directory.path();
    let logger = AuditLogger::open(Config::new(trail).journal(JournalKind::Direct)).unwrap();
    logger.log("lost").record().unwrap().wait_durable().unwrap();
    drop(fs::File::create(trail.join("audit.jsonl")).unwrap());
    logger.log("kept").record().unwrap().wait_durable().unwrap();
    let key = logger.verifier_key().unwrap();
    logger.close(TIMEOUT).unwrap();
    let output = python(&[trail], &key);
    assert_accepts(&output);
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(printed.contains(&format!(", {} of them lost", logger.metrics().lost)), "{printed}");
}

#[test]
fn the_python_program_verifies_trails_and_detects_damage() {
    let directory = tempfile::tempdir().unwrap();
    let trail = directory.path().join("trail");
    let config = Config::new(&trail).max_file_bytes(65_535).compression(Compression::None);
    let logger = AuditLogger::open(config).unwrap();
    let key = logger.verifier_key().unwrap();
    for number in 0..100 {
        logger.log(format!("entry {number} {}", "x".repeat(2_000))).record().unwrap();
    }
    logger.flush(TIMEOUT).unwrap();
    logger.close(TIMEOUT).unwrap();
    let known = directory.path().join("known");
    fs::copy(checkpoint_path(&trail), &known).unwrap();
    assert_accepts(&python(&[&trail], &key));

    let logger = AuditLogger::open(Config::new(&trail).compression(Compression::None)).unwrap();
    let erased = logger.log("by Daw Khin").record().unwrap().wait_durable().unwrap();
    logger.erase(erased.seq, "request of the person").unwrap();
    logger.close(TIMEOUT).unwrap();
    assert_accepts(&python(&[&trail, &known], &key));
    let latest = directory.path().join("latest");
    fs::copy(checkpoint_path(&trail), &latest).unwrap();
    assert_accepts(&python(&[&trail, &latest], &key));

    let other = VerifierKey::new(key.name(), &SigningKey::generate().public_key()).unwrap();
    assert_rejects(&python(&[&trail], &other), "not signed");
    let elsewhere = VerifierKey::new("crm/auditx/1", &key.public_key()).unwrap();
    assert_rejects(&python(&[&trail], &elsewhere), "another log");

    let active = trail.join("audit.jsonl");
    let whole = fs::read(&active).unwrap();
    let tamper = |bytes: Vec<u8>, known: &Path, what: &str| {
        fs::write(&active, bytes).unwrap();
        assert_rejects(&python(&[&trail, known], &key), what);
    };
    let mut altered = whole.clone();
    *altered.last_mut().unwrap() = b'\n';
    let at = altered.len() - 10;
    altered[at] ^= 1;
    tamper(altered, &latest, "not those that were signed");
    let lines: Vec<&[u8]> = whole.split_inclusive(|byte| *byte == b'\n').collect();
    tamper(lines[..lines.len() - 1].concat(), &latest, "are missing");
    tamper([&lines[..1], &lines[2..]].concat().concat(), &latest, "is not in its place");
    // Rolled back to an older checkpoint, with the newer ones removed.
    fs::copy(&known, checkpoint_path(&trail)).unwrap();
    fs::write(&active, &whole).unwrap();
    assert_accepts(&python(&[&trail], &key));
    fs::write(&active, b"").unwrap();
    assert_rejects(&python(&[&trail, &latest], &key), "are missing");
}
