//! Proofs of a log that no application recorded, shown on the page of an entry: whole ones, and altered ones
//! that must fail.

use auditx_tlog::{
    CompactRange, Hash, InclusionProof, SignedCheckpoint, Signer, SigningKey, VerifierKey, erased_line,
    leaf_hash,
};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::json;

use crate::proof::{CONFIRMED, Shown};

/// Shows another line and proof on the page, checks them with a key, and returns the steps and the outcome.
const CHECK: &str = "
const [line, proof, seq, key] = arguments;
const at = id => document.getElementById(id);
at('line').textContent = line;
at('proof').textContent = proof;
at('check').dataset.seq = seq;
at('check-key').value = key;
const done = new Promise(resolve => {
    const observer = new MutationObserver(() => {
        if (!at('check-outcome').textContent) return;
        observer.disconnect();
        const steps = Array.from(at('check-steps').children, step => step.textContent);
        resolve([steps, at('check-outcome').textContent]);
    });
    observer.observe(at('check-outcome'), { childList: true, characterData: true, subtree: true });
});
at('check').requestSubmit();
return done;";

/// Checks what another page would show.
fn check(shown: &Shown, line: &str, proof: &str, seq: u64, key: &str) -> Found {
    let arguments = [json!(line), json!(proof), json!(seq.to_string()), json!(key)];
    let answer = shown.browser.execute(CHECK, &arguments);
    let steps = answer[0].as_array().unwrap().iter().map(|step| step.as_str().unwrap().to_owned());
    Found { steps: steps.collect(), outcome: answer[1].as_str().unwrap().to_owned() }
}

#[derive(Debug)]
struct Found {
    steps: Vec<String>,
    outcome: String,
}

impl Found {
    fn is_confirmed(&self) -> bool {
        self.steps.iter().all(|step| step.starts_with("Passed: ")) && self.outcome == CONFIRMED
    }

    /// Asserts that exactly this step, counted from 1, failed, and that its reason contains this text.
    fn assert_fails(&self, step: usize, reason: &str) {
        let state = |step: &String| step.split(": ").next().unwrap().to_owned();
        let states: Vec<String> = self.steps.iter().map(state).collect();
        let expected =
            [&["Passed"].repeat(step - 1)[..], &["Failed"], &["Not checked"].repeat(4 - step)].concat();
        assert_eq!(states, expected, "{self:?}");
        assert!(self.steps[step - 1].contains(reason), "{reason:?}: {self:?}");
        assert_eq!(self.outcome, format!("Step {step} failed: the proof is not confirmed."));
    }
}

/// A log of lines that no application recorded.
struct Log {
    lines: Vec<String>,
    keys: Vec<SigningKey>,
}

const ORIGIN: &str = "erp.example.com/auditx/9f0c";

impl Log {
    fn of(size: u64) -> Self {
        let line = |seq| format!("{{\"seq\":{seq},\"description\":\"line {seq}\",\"success\":true}}");
        Self { lines: (0..size).map(line).collect(), keys: vec![SigningKey::generate()] }
    }

    fn key(&self, number: usize) -> String {
        VerifierKey::new(ORIGIN, &self.keys[number].public_key()).unwrap().to_string()
    }

    fn hash(&self, from: u64, to: u64) -> Hash {
        let mut range = CompactRange::new(0);
        for line in &self.lines[usize::try_from(from).unwrap()..usize::try_from(to).unwrap()] {
            range.push(leaf_hash(line.as_bytes()));
        }
        range.root().unwrap()
    }

    /// Proves that this text is the line with this number.
    fn proof(&self, seq: u64, line: &str) -> String {
        let size = self.lines.len() as u64;
        let signers: Vec<&dyn Signer> = self.keys.iter().map(|key| key as _).collect();
        let checkpoint = SignedCheckpoint::sign(ORIGIN, size, &self.hash(0, size), &signers).unwrap();
        let proof = InclusionProof::make(line.as_bytes(), seq, checkpoint, &mut |wanted| {
            let node = |(level, index): &(u8, u64)| self.hash(index << level, (index + 1) << level);
            Ok::<_, auditx_tlog::Error>(wanted.iter().map(node).collect())
        });
        proof.unwrap().to_string()
    }
}

#[test]
fn every_line_of_trees_of_many_sizes_is_confirmed() {
    let shown = Shown::new();
    shown.open(3);
    for size in [1, 2, 3, 5, 7, 8, 9, 13] {
        let log = Log::of(size);
        for (seq, line) in (0..).zip(&log.lines) {
            let found = check(&shown, line, &log.proof(seq, line), seq, &log.key(0));
            assert!(found.is_confirmed(), "line {seq} of {size}: {found:?}");
        }
    }
}

#[test]
fn an_altered_line_or_proof_fails_at_its_step() {
    let shown = Shown::new();
    shown.open(3);
    let log = Log::of(13);
    let (line, key) = (log.lines[5].as_str(), log.key(0));
    let proof = log.proof(5, line);
    let found = |line: &str, proof: &str| check(&shown, line, proof, 5, &key);
    assert!(found(line, &proof).is_confirmed());

    let parts: Vec<&str> = proof.lines().collect();
    let altered = |number: usize, part: &str| {
        let mut parts = parts.clone();
        parts[number] = part;
        parts.join("\n") + "\n"
    };
    let other = line.replace("line 5", "line 6");
    let with_other = altered(1, &format!("extra {}", BASE64_STANDARD.encode(&other)));
    found(&other, &proof).assert_fails(2, "another one");
    found(line, &with_other).assert_fails(2, "another one");
    found(line, &altered(2, "index 4")).assert_fails(2, "the proof of entry 4");
    check(&shown, line, &altered(2, "index 4"), 4, &key).assert_fails(2, "the number in the line is not 4");
    // Both are altered in the same way.
    found(&other, &with_other).assert_fails(3, "another root");
    found(line, &altered(3, parts[4])).assert_fails(3, "another root");
    found(line, &(parts[..3].join("\n") + "\n" + &parts[4..].join("\n") + "\n")).assert_fails(3, "too few");
    found(line, &proof.replacen(parts[3], &format!("{0}\n{0}", parts[3]), 1)).assert_fails(3, "too many");
    found(line, &proof.replacen("\n13\n", "\n5\n", 1)).assert_fails(3, "only 5 lines");
    let root = parts.iter().position(|part| *part == "13").unwrap() + 1;
    found(line, &altered(root, parts[3])).assert_fails(3, "another root");
    // Sizes whose paths have the same shape lead to the same root; only the signature distinguishes them.
    found(line, &proof.replacen("\n13\n", "\n14\n", 1)).assert_fails(4, "not valid");
    let signature = parts[parts.len() - 1];
    let digit = if signature.ends_with("A=") { "B" } else { "A" };
    let begin = &signature[..signature.len() - 20];
    let forged = format!("{begin}{digit}{}", &signature[begin.len() + 1..]);
    found(line, &altered(parts.len() - 1, &forged)).assert_fails(4, "not valid");
    found(line, &altered(root - 2, "another.example/auditx/9f0c")).assert_fails(4, "the key is of the log");
    for (number, part, reason) in
        [(0, "c2sp.org/tlog-proof@v2", "as a proof does"), (1, "extra !", "its line"), (2, "index 05", "05")]
    {
        found(line, &altered(number, part)).assert_fails(1, reason);
    }
    found(line, &altered(3, "AAAA")).assert_fails(1, "32 bytes");
    assert_eq!(shown.browser.messages(), []);
}

#[test]
fn the_signature_of_the_entered_key_is_checked_among_several() {
    let shown = Shown::new();
    shown.open(3);
    let mut log = Log::of(6);
    log.keys.push(SigningKey::generate());
    let (line, proof) = (&log.lines[5], log.proof(5, &log.lines[5]));
    for key in [log.key(0), log.key(1)] {
        assert!(check(&shown, line, &proof, 5, &key).is_confirmed());
    }
    log.keys.push(SigningKey::generate());
    check(&shown, line, &proof, 5, &log.key(2)).assert_fails(4, "none of its signatures is of this key");
}

#[test]
fn the_stub_of_an_erased_line_is_confirmed_by_its_hash() {
    let shown = Shown::new();
    shown.open(3);
    let log = Log::of(7);
    let stub = erased_line(6, &leaf_hash(log.lines[6].as_bytes()));
    let proof = log.proof(6, &stub);
    assert!(check(&shown, &stub, &proof, 6, &log.key(0)).is_confirmed());
    let other = erased_line(6, &leaf_hash(b"another line"));
    let extra = |line: &str| format!("extra {}", BASE64_STANDARD.encode(line));
    let altered = proof.replace(&extra(&stub), &extra(&other));
    check(&shown, &other, &altered, 6, &log.key(0)).assert_fails(3, "another root");
}
