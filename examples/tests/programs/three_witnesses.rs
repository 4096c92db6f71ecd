//! `three_witnesses`: what the auditor finds in each step.

use std::process::Command;

#[test]
fn a_trail_that_was_rolled_back_is_not_fresh_for_an_auditor() {
    let ended = Command::new(env!("CARGO_BIN_EXE_three_witnesses")).output().unwrap();
    let printed = String::from_utf8(ended.stdout).unwrap();
    assert!(ended.status.success(), "{printed} {}", String::from_utf8_lossy(&ended.stderr));
    let found: Vec<&str> = printed.lines().filter(|line| line.contains("The auditor: ")).collect();
    let [first, second, third] = found[..] else { panic!("{printed}") };
    assert!(first.contains("Intact") && second.contains("Intact"), "{printed}");
    assert!(third.contains("Unconfirmed [NotFresh, TailNotWitnessed]"), "{printed}");
    assert!(printed.contains("auditor.example.com/witness: "), "{printed}");
    let refused = "the trail was rolled back, or another copy of it was continued";
    assert_eq!(printed.lines().filter(|line| line.contains(refused)).count(), 2, "{printed}");
}
