//! The deployment of several machines, as its one command runs it.

use std::process::Command;

#[test]
fn two_branches_are_queried_together_and_verified_in_one_database() {
    let output = Command::new(env!("CARGO_BIN_EXE_deployment")).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("60 invoices are in the database."), "{said}");
    for branch in ["BR-MDY", "BR-YGN"] {
        let verified = said
            .lines()
            .find(|line| line.trim_start().starts_with(branch) && line.ends_with("lines: Intact"));
        assert!(verified.is_some(), "{said}");
    }
}
