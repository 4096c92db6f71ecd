//! Tests of `auditx recover` after a crash and on a broken trail.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use auditx_store::ACTIVE;

use crate::program::auditx;
use crate::trail::{active_lines, closed, logger, tamper};

#[test]
fn an_unfinished_line_is_moved_to_a_separate_file() {
    let trail = closed(3);
    let fine = auditx(&["recover"], trail.path());
    assert_eq!((fine.status, fine.err.as_str()), (Some(0), ""));
    assert!(fine.out.starts_with("There was nothing to repair.\n"), "{}", fine.out);

    let mut active = fs::OpenOptions::new().append(true).open(trail.path().join(ACTIVE)).unwrap();
    active.write_all(b"{\"seq\":11,\"half a l").unwrap();
    drop(active);
    let torn = auditx(&["recover"], trail.path());
    assert_eq!((torn.status, torn.err.as_str()), (Some(0), ""));
    assert!(torn.out.contains("19 bytes of an unfinished line moved to audit.torn-"), "{}", torn.out);
    let again = auditx(&["recover"], trail.path());
    assert!(again.out.starts_with("There was nothing to repair.\n"), "{}", again.out);
}

#[test]
fn a_broken_trail_is_replaced_only_with_accept_loss() {
    let trail = closed(3);
    let sealed_off = trail.path().join(ACTIVE);
    tamper(&sealed_off, 3);
    let before = fs::read(&sealed_off).unwrap();
    let refused = auditx(&["recover"], trail.path());
    assert_eq!((refused.status, refused.out.as_str()), (Some(1), ""));
    assert!(refused.err.contains("auditx recover --accept-loss"), "{}", refused.err);
    assert_eq!(fs::read(&sealed_off).unwrap(), before);

    let accepted = auditx(&["recover", "--accept-loss"], trail.path());
    assert_eq!((accepted.status, accepted.err.as_str()), (Some(0), ""));
    let set_aside: PathBuf = fs::read_dir(trail.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_string_lossy().contains("audit.set-aside-"))
        .unwrap();
    assert!(accepted.out.contains(set_aside.to_str().unwrap()), "{}", accepted.out);
    assert_eq!(fs::read(set_aside.join(ACTIVE)).unwrap(), before, "the evidence is unchanged");
    let old_note = fs::read_to_string(auditx_store::checkpoint_path(&set_aside)).unwrap();
    let genesis = &active_lines(trail.path())[0]["auditx"];
    assert_eq!((&genesis["kind"], &genesis["previous"]["note"]), (&"genesis".into(), &old_note.into()));

    assert_eq!(auditx(&["doctor"], trail.path()).status, Some(0));
    assert_eq!(auditx(&["recover"], trail.path()).status, Some(0));
    let unneeded = auditx(&["recover", "--accept-loss"], trail.path());
    assert_eq!(unneeded.status, Some(2));
    assert!(unneeded.err.contains("nothing to recover"), "{}", unneeded.err);
    drop(logger(trail.path()));
}
