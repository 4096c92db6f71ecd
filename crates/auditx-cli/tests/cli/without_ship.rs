//! The command built without the feature `ship`.

use crate::program::{auditx, ended, without_trail};
use crate::trail::directory;

#[test]
fn every_option_that_names_an_engine_says_how_to_get_them() {
    let url = "postgres://auditor@db/audit";
    for arguments in [
        &["query", "--from", url][..],
        &["verify", "--from", url],
        &["ui", "--from", url],
        &["ship", "--to", url],
        &["capture", "status", "--to", url],
        &["capture", "run", "--from", url],
    ] {
        let refused = ended(&mut without_trail(arguments));
        assert_eq!(refused.status, Some(2), "{arguments:?}");
        assert!(refused.err.contains("--features ship"), "{}", refused.err);
    }
}

#[test]
fn time_stamps_say_how_to_get_them() {
    let empty = directory();
    for arguments in
        [&["timestamp", "--tsa", "https://tsa.example.org/"][..], &["verify", "--tsa-roots", "tsa.pem"]]
    {
        let refused = auditx(arguments, empty.path());
        assert_eq!(refused.status, Some(2), "{arguments:?}");
        assert!(refused.err.contains("--features ship"), "{}", refused.err);
    }
}
