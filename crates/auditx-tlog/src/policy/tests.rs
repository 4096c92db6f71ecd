//! Quorums that are met, those that are not, and files that must be refused.

use super::*;
use crate::key::{Signer, SigningKey};

const LOG: &str = "erp.example.com/auditx/1";

const NOW: u64 = 1_000;

struct Cast {
    log: SigningKey,
    witnesses: Vec<(SigningKey, WitnessKey)>,
}

impl Cast {
    fn new(witnesses: usize) -> Self {
        let witness = |number: usize| {
            let key = SigningKey::generate();
            let public = WitnessKey::new(&format!("witness.example.com/w{number}"), &key.public_key());
            (key, public.unwrap())
        };
        Self { log: SigningKey::generate(), witnesses: (0..witnesses).map(witness).collect() }
    }

    fn policy(&self, rest: &str) -> Result<Policy> {
        let mut text = format!("log {}\n", VerifierKey::new(LOG, &self.log.public_key()).unwrap());
        for (number, (_, key)) in self.witnesses.iter().enumerate() {
            text += &format!("witness w{number} {key} https://w{number}.example.com/\n");
        }
        Policy::parse(format!("# The policy.\n\n{text}{rest}").as_bytes())
    }

    /// A checkpoint that these witnesses cosigned at these times.
    fn cosigned(&self, cosigners: &[(usize, u64)]) -> SignedCheckpoint {
        let mut checkpoint = SignedCheckpoint::sign(LOG, 7, &[9; 32], &[&self.log]).unwrap();
        for (number, time) in cosigners {
            let (signer, key) = &self.witnesses[*number];
            let line = checkpoint.cosign(key.name(), signer, *time).unwrap();
            checkpoint = checkpoint.with_cosignature(&line, key).unwrap();
        }
        checkpoint
    }
}

#[test]
fn a_quorum_of_groups_is_met_at_the_latest_time_possible() {
    let cast = Cast::new(6);
    let policy = cast
        .policy("group X 2 w0 w1 w2\ngroup Y any w3 w4 w5\n\tgroup  both all X\tY\nquorum both\n")
        .unwrap();
    for (cosigners, outcome) in [
        (&[(0, 10), (1, 20), (3, 5)][..], Some(5)),
        (&[(0, 10), (1, 20), (2, 30), (3, 50)], Some(20)),
        (&[(0, 10), (1, 20), (2, 30), (3, 15), (4, 25)], Some(20)),
        // One clock that is ahead does not count.
        (&[(0, 10), (1, 5_000), (2, 30), (3, 15)], Some(10)),
        (&[(0, 10), (1, 20), (2, 30)], None),
        (&[(0, 10), (3, 20), (4, 30), (5, 40)], None),
        (&[], None),
    ] {
        let found = policy.witnessed_at(&cast.cosigned(cosigners), NOW);
        assert_eq!(found.clone().ok(), outcome.map(Some), "{cosigners:?}: {found:?}");
    }
    let missing = policy.witnessed_at(&cast.cosigned(&[(0, 10), (3, 20)]), NOW).unwrap_err().to_string();
    assert!(missing.contains("group X needs 2 of 3, has 1; missing: w1, w2"), "{missing}");
    assert!(!missing.contains('Y'), "{missing}");
}

#[test]
fn cosignatures_of_others_or_of_other_checkpoints_do_not_count() {
    let cast = Cast::new(2);
    let policy = cast.policy("quorum w0\n").unwrap();
    assert_eq!(policy.witnesses()[0].url.as_deref(), Some("https://w0.example.com/"));
    let missing = policy.witnessed_at(&cast.cosigned(&[(1, 10)]), NOW).unwrap_err().to_string();
    assert_eq!(missing, "no valid cosignature of w0");
    // The cosignature of another checkpoint, and one whose time was changed.
    let (_, key) = &cast.witnesses[0];
    let checkpoint = cast.cosigned(&[(0, 10)]);
    let line = checkpoint.as_str().lines().last().unwrap().to_owned() + "\n";
    let other = SignedCheckpoint::sign(LOG, 8, &[9; 32], &[&cast.log]).unwrap();
    assert!(other.with_cosignature(&line, key).unwrap_err().is_corrupt());
    let forged = SignedCheckpoint::parse((other.as_str().to_owned() + &line).as_bytes()).unwrap();
    assert!(policy.witnessed_at(&forged, NOW).is_err());
    // A newer cosignature replaces the older one.
    let newer = checkpoint.cosign(key.name(), &cast.witnesses[0].0, 99).unwrap();
    let renewed = checkpoint.with_cosignature(&newer, key).unwrap();
    assert_eq!(policy.witnessed_at(&renewed, NOW), Ok(Some(99)));
    assert_eq!(renewed.cosignature_count(), checkpoint.cosignature_count());
    // An older answer, or one of many lines, does not replace it.
    let older: String =
        (1..50).map(|time| checkpoint.cosign(key.name(), &cast.witnesses[0].0, time).unwrap()).collect();
    assert_eq!(renewed.with_cosignature(&older, key).unwrap().as_str(), renewed.as_str());
    // Copies are merged, also with those of keys that are not known here.
    let both = cast.cosigned(&[(1, 7)]).merged(&checkpoint).unwrap();
    assert_eq!((both.cosignature_count(), both.cosigned_at(key)), (2, Some(10)));
    assert!(both.has_signers_of(&checkpoint) && !checkpoint.has_signers_of(&both));
    assert!(other.merged(&checkpoint).unwrap_err().is_invalid());
}

#[test]
fn a_policy_may_require_no_cosignature() {
    let cast = Cast::new(1);
    let policy = cast.policy("quorum none\n").unwrap();
    assert_eq!(policy.witnessed_at(&cast.cosigned(&[]), NOW), Ok(None));
    assert_eq!(policy.logs()[0].name(), LOG);
}

#[test]
fn wrong_policies_are_refused_with_the_line() {
    let cast = Cast::new(3);
    let log = VerifierKey::new(LOG, &cast.log.public_key()).unwrap();
    let nested: String = (0..65)
        .map(|depth| {
            format!(
                "group g{depth} all {}\n",
                if depth == 0 { "w0".into() } else { format!("g{}", depth - 1) }
            )
        })
        .collect();
    let again = WitnessKey::new("elsewhere", &cast.witnesses[0].0.public_key()).unwrap();
    for (rest, why) in [
        ("", "no line `quorum"),
        ("quorum w9\n", "line 7 of the policy: no witness or group \"w9\""),
        ("group g all w0 w1\ngroup h all w1 w2\nquorum h\n", "already a member"),
        ("group g 0 w0\nquorum g\n", "expected `all`, `any`, or 1 to 1"),
        ("group g 2 w0\nquorum g\n", "expected `all`, `any`, or 1 to 1"),
        ("group g all\nquorum g\n", "a group needs members"),
        ("group g all h\ngroup h all w0\nquorum g\n", "no witness or group \"h\""),
        ("group w0 all w1\nquorum w0\n", "already in use"),
        ("group none all w1\nquorum none\n", "is reserved"),
        ("group g any none\nquorum g\n", "no witness or group \"none\""),
        ("quorum w0\nquorum w1\n", "this is the second"),
        ("group g +1 w0\nquorum g\n", "expected `all`, `any`, or 1 to 1"),
        (&nested, "nested more than 64 deep"),
        ("quorum w0 w1\n", "expected `log VKEY"),
        ("quorum\u{b}w0\n", "control character 0x0b"),
        ("quorum w0\r\n", "control character 0x0d"),
        (&format!("log {log}\nquorum none\n"), "the public key of an earlier one"),
        (&format!("witness w9 {again}\nquorum none\n"), "the public key of an earlier one"),
        (&format!("witness w9 {log}\nquorum none\n"), "key of a log"),
        (&format!("log {again}\nquorum none\n"), "invalid verifier key"),
    ] {
        let error = cast.policy(rest).unwrap_err();
        assert!(error.is_invalid() && error.to_string().contains(why), "{rest:?}: {error}");
    }
}
