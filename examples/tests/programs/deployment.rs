//! The program `deployment`.

use std::process::Command;

#[test]
fn two_branches_are_queried_and_verified_in_one_database() {
    let output = Command::new(env!("CARGO_BIN_EXE_deployment")).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    assert!(printed.contains("60 invoices are in the database."), "{printed}");
    for branch in ["BR-MDY", "BR-YGN"] {
        let verified = printed
            .lines()
            .find(|line| line.trim_start().starts_with(branch) && line.ends_with("lines: Intact"));
        assert!(verified.is_some(), "{printed}");
    }
}
