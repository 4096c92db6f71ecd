//! Tests of `auditx ui --from`: copies in a database in a browser.

use std::fs;

use crate::program::{auditx, ended, without_trail};
use crate::ship::server;
use crate::ui::{get, shown};

#[test]
fn a_copy_is_shown_and_reads_are_recorded_in_another_trail() {
    let (server, original, reads) = (server(), crate::trail::directory(), crate::trail::directory());
    assert_eq!(auditx(&["demo"], original.path()).status, Some(0));
    let shipped = auditx(&["ship", "--once", "--to", &server.url("erp", server.port())], original.path());
    assert_eq!(shipped.status, Some(0), "{}", shipped.err);
    let from = server.url("auditor", server.port());

    let refused = auditx(&["ui", "--listen", "127.0.0.1:0", "--from", &from], reads.path());
    assert_eq!(refused.status, Some(2));
    assert!(refused.err.contains("give --dir with a trail in which reads are recorded"), "{}", refused.err);
    assert_eq!(fs::read_dir(reads.path()).map_or(0, Iterator::count), 0, "nothing was created");

    assert_eq!(auditx(&["record", "--create", "Audit begun"], reads.path()).status, Some(0));
    let (child, port) = shown(&["--from", &from, "--as", "mya"], reads.path());
    assert!(get(port, "/?q=credit", "").contains("Customer credit limit updated"));
    child.signal(rustix::process::Signal::INT);
    child.end();
    let read = auditx(&["query", "module:audit", "-o", "raw"], reads.path()).out;
    assert!(read.contains("\"user\":\"mya\"") && read.contains("\"query\":\"credit\""), "{read}");
    let copied = auditx(&["query", "--from", &from, "module:audit", "--count"], reads.path());
    assert_eq!(copied.out, "0\n", "{}", copied.err);
}

#[test]
fn an_unrecorded_copy_needs_no_trail_but_a_database() {
    let server = server();
    let from = server.url("auditor", server.port());
    let nowhere = tempfile::tempdir().unwrap();
    let (child, port) = shown(&["--from", &from, "--unrecorded"], nowhere.path());
    assert!(get(port, "/", "").contains("No entries found"));
    child.signal(rustix::process::Signal::INT);
    child.end();
    assert_eq!(fs::read_dir(nowhere.path()).unwrap().count(), 0);
    let wrong = from.replace("secret", "wrong");
    let refused =
        ended(&mut without_trail(&["ui", "--listen", "127.0.0.1:0", "--unrecorded", "--from", &wrong]));
    assert_eq!(refused.status, Some(2));
    assert!(refused.err.contains("password authentication failed"), "{}", refused.err);
    let bucket = ended(&mut without_trail(&["ui", "--unrecorded", "--from", "s3://bucket/prefix"]));
    assert!(bucket.status == Some(2) && bucket.err.contains("only a database copy"), "{}", bucket.err);
}
