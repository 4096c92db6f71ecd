//! Lines erased with a record, and stubs without one.

use std::fs;

use auditx_core::Compression;
use auditx_tlog::{SigningKey, leaf_hash, to_hex};

use super::fixture::*;
use super::*;

use FaultKind::BadErasure;

fn stub(seq: u64, line: &str) -> String {
    format!("{{\"seq\":{seq},\"erased\":\"{}\"}}", to_hex(&leaf_hash(line.as_bytes())))
}

/// A trail whose line 4 of 13 the logger erased, and the original line.
fn erased() -> (Trail, String) {
    let mut line = String::new();
    let trail = Trail::with(
        &SigningKey::generate(),
        |config| config.compression(Compression::None),
        |logger| {
            (0..10).for_each(|number| record(logger, number, 10));
            logger.flush(TIMEOUT).unwrap();
            let text = fs::read_to_string(logger.trail_dir().unwrap().join("audit.jsonl")).unwrap();
            line = text.lines().nth(4).unwrap().to_owned();
            logger.erase(4, "asked for by the customer").unwrap();
        },
    );
    (trail, line)
}

/// Changes the lines of the sealed segment that holds line 4.
fn edit(trail: &Trail, edit: impl FnOnce(&mut Vec<String>)) {
    let path = trail.file(&trail.segments()[0]);
    let text = fs::read_to_string(&path).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    edit(&mut lines);
    fs::write(path, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
}

#[track_caller]
fn both(trail: &Trail, seq: u64) {
    assert_eq!(trail.found(), (BadErasure, Some(seq)), "with the tile cache");
    assert_eq!(trail.found_without_tiles(), (BadErasure, Some(seq)), "without the tile cache");
}

#[test]
fn a_recorded_erasure_leaves_the_trail_intact() {
    let (trail, line) = erased();
    let verification = trail.verify();
    assert_eq!((verification.answer, verification.erased), (Answer::Intact, 1));
    assert_eq!(verification.remarks, []);
    let sealed = fs::read_to_string(trail.file(&trail.segments()[0])).unwrap();
    assert!(sealed.contains(&stub(4, &line)));
    trail.compress();
    assert_eq!(trail.verify().answer, Answer::Intact);
}

#[test]
fn an_unfinished_erasure_is_a_remark() {
    let (trail, line) = erased();
    edit(&trail, |lines| lines[4] = line);
    let verification = trail.verify();
    assert_eq!((verification.answer, verification.erased), (Answer::Intact, 0));
    let [remark] = &*verification.remarks else { panic!("{verification:?}") };
    assert_eq!((remark.kind, remark.seq), (RemarkKind::UnfinishedErasure, Some(4)));
}

#[test]
fn a_stub_without_a_record_is_a_bad_erasure() {
    let trail = Trail::of(10);
    trail.edit(|lines| lines[4] = stub(4, &lines[4]));
    both(&trail, 4);
    let fault = trail.fault();
    assert_eq!(fault.segment.as_deref(), Some("audit.jsonl"));
    // The record of another erasure does not help.
    let (trail, _) = erased();
    edit(&trail, |lines| lines[6] = stub(6, &lines[6]));
    both(&trail, 6);
}

#[test]
fn a_stub_with_another_hash_is_a_bad_erasure() {
    let (trail, _) = erased();
    edit(&trail, |lines| lines[4] = stub(4, "another line"));
    both(&trail, 4);
}

#[test]
fn a_stub_next_to_its_line_is_a_bad_erasure() {
    for at in [4, 5] {
        let (trail, line) = erased();
        edit(&trail, |lines| lines.insert(at, line));
        both(&trail, 4);
    }
    let trail = Trail::of(10);
    trail.edit(|lines| lines.insert(4, stub(4, &lines[4])));
    both(&trail, 4);
}

#[test]
fn a_stub_of_an_unsigned_line_is_a_bad_erasure() {
    let trail = Trail::of(10);
    trail.edit(|lines| lines.push(stub(13, "a line")));
    both(&trail, 13);
    assert_eq!(trail.fault().message, "line 13 was erased before it was signed");
}

#[test]
fn an_unsigned_record_does_not_excuse_a_stub() {
    let (trail, _) = erased();
    let lines = trail.lines();
    let record = lines.iter().position(|line| line.contains("\"kind\":\"erased\"")).unwrap();
    let first = auditx_tlog::parse_seq(lines[0].as_bytes()).unwrap();
    // Only the lines before the record are signed, by the checkpoint of the seal.
    let kept = auditx_store::checkpoint_history(trail.path()).join(first.to_string());
    let note = fs::read_to_string(kept).unwrap();
    trail.set_checkpoint(&note);
    trail.remove_history();
    assert!(record > 0);
    let options = || VerifyOptions::new().key(trail.key.clone());
    let fault = trail.verify_with(options).fault.unwrap();
    assert_eq!((fault.kind, fault.seq), (BadErasure, Some(4)));
}
