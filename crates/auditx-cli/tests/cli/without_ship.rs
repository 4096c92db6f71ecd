//! The command built without the feature `ship`.

use crate::program::auditx;
use crate::trail::directory;

#[test]
fn every_option_that_needs_a_client_says_how_to_get_it() {
    let empty = directory();
    let url = "postgres://auditor@db/audit";
    for arguments in [
        &["query", "--from", url][..],
        &["verify", "--from", url],
        &["ui", "--from", url],
        &["ship", "--to", url],
        &["capture", "status", "--to", url],
        &["capture", "run", "--from", url],
        &["timestamp", "--tsa", "https://tsa.example.org/"],
        &["verify", "--tsa-roots", "tsa.pem"],
    ] {
        let refused = auditx(arguments, empty.path());
        assert_eq!(refused.status, Some(2), "{arguments:?}");
        assert!(refused.err.contains("--features ship"), "{}", refused.err);
    }
}
