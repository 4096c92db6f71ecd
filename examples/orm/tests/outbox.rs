//! Both examples record what committed and what was refused, and nothing that rolled back.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::process::Command;

const PRINTED: &str = "\
What the audit trail has about customer 42:
  thida  customer 42 inserted
  thida  Customer added
  thida  customer 42 updated
  thida  Credit limit raised
  thida  Credit limit refused
";

fn printed(program: &str) -> String {
    let ended = Command::new(program).output().unwrap();
    assert!(ended.status.success(), "{ended:?}");
    String::from_utf8(ended.stdout).unwrap()
}

#[test]
fn the_example_with_sqlx_records_what_committed_and_what_was_refused() {
    assert_eq!(printed(env!("CARGO_BIN_EXE_sqlx_outbox")), PRINTED);
}

#[test]
fn the_example_with_seaorm_records_what_committed_and_what_was_refused() {
    assert_eq!(printed(env!("CARGO_BIN_EXE_seaorm_outbox")), PRINTED);
}
