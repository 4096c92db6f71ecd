//! Checkpoints that the trail itself records.

use auditx_format::row::Row;
use auditx_tlog::{SigningKey, VerifierKey, parse_seq};

use super::fixture::*;
use super::*;

use FaultKind::{Altered, FalseRecord};

/// A trail with recorded checkpoints, and the index of one of them in the lines.
fn with_records() -> (Trail, usize) {
    let trail = Trail::of(5);
    for _ in 0..2 {
        let logger = trail.reopen();
        (0..3).for_each(|number| record(&logger, number, 10));
        logger.close(TIMEOUT).unwrap();
    }
    let lines = trail.lines();
    let at = lines.iter().rposition(|line| line.contains("\"kind\":\"checkpoint\"")).unwrap();
    (trail, at)
}

fn checkpoint_in(line: &str) -> String {
    let entry = Row::read_text(line).unwrap().entry();
    entry.control_record.unwrap()["note"].as_str().unwrap().to_owned()
}

fn quoted(note: &str) -> String {
    serde_json::to_string(note).unwrap()
}

/// The trail with the recorded checkpoint replaced by `note`, and signed again with its key.
fn forged(trail: &Trail, at: usize, size: u64, note: &str) -> Trail {
    let forged = trail.copy();
    forged.edit(|lines| {
        let old = checkpoint_in(&lines[at]);
        let old_size = parsed(&old).size();
        lines[at] = lines[at]
            .replace(&quoted(&old), &quoted(note))
            .replace(&format!("\"size\":{old_size}"), &format!("\"size\":{size}"));
    });
    forged.sign_again();
    forged
}

fn fault(trail: &Trail) -> Found {
    let verification = trail.verify_with(|| VerifyOptions::new().key(trail.key.clone()));
    assert_eq!(verification.answer, Answer::Broken, "{verification:?}");
    let fault = verification.fault.unwrap();
    (fault.kind, fault.seq)
}

#[test]
fn an_altered_recorded_checkpoint_is_an_altered_line() {
    let (trail, at) = with_records();
    assert_eq!(trail.verify().answer, Answer::Intact);
    trail.edit(|lines| lines[at] = lines[at].replacen("\"size\":", "\"size\":1", 1));
    assert_eq!(trail.found(), (Altered, Some(at as u64)));
}

#[test]
fn an_untrue_recorded_checkpoint_is_a_false_record() {
    let (trail, at) = with_records();
    let lines = trail.lines();
    let note = parsed(&checkpoint_in(&lines[at]));
    let sign = |size: usize, lines: &[String], signing: &SigningKey| {
        signed(&trail.key, size as u64, &root_of(lines), &[signing])
    };
    let seq = Some(at as u64);
    let (mine, stranger) = (&trail.signing, SigningKey::generate());
    // The same tree, signed again, is true.
    let same = forged(&trail, at, note.size(), &sign(at - 3, &lines[..at - 3], mine));
    assert_eq!(fault(&same), (FalseRecord, seq), "its two sizes differ");
    let true_one = forged(&trail, at, at as u64 - 3, &sign(at - 3, &lines[..at - 3], mine));
    let options = || VerifyOptions::new().key(trail.key.clone());
    assert_eq!(true_one.verify_with(options).answer, Answer::Unconfirmed);
    // As many lines as there are before it, and one more.
    let largest = forged(&trail, at, at as u64, &sign(at, &lines[..at], mine));
    assert_eq!(largest.verify_with(options).answer, Answer::Unconfirmed);
    let larger = forged(&trail, at, at as u64 + 1, &sign(at + 1, &lines[..=at], mine));
    assert_eq!(fault(&larger), (FalseRecord, seq));
    let other_root = forged(&trail, at, 5, &sign(5, &lines[1..6], mine));
    assert_eq!(fault(&other_root), (FalseRecord, seq));
    let other_key =
        forged(&trail, at, note.size(), &signed(&trail.key, note.size(), note.root(), &[&stranger]));
    assert_eq!(fault(&other_key), (FalseRecord, seq));
    let other_log = VerifierKey::new("crm.example.com", &trail.key.public_key()).unwrap();
    let other_log = forged(&trail, at, note.size(), &signed(&other_log, note.size(), note.root(), &[mine]));
    assert_eq!(fault(&other_log), (FalseRecord, seq));
    let unreadable = forged(&trail, at, note.size(), "nonsense");
    assert_eq!(fault(&unreadable), (FalseRecord, seq));
}

#[test]
fn a_false_record_among_unsigned_lines_is_found() {
    let (trail, at) = with_records();
    let lines = trail.lines();
    let false_note = signed(&trail.key, 5, &[3; 32], &[&trail.signing]);
    let old = checkpoint_in(&lines[at]);
    let line = renumbered(&lines[at], lines.len())
        .replace(&quoted(&old), &quoted(&false_note))
        .replace(&format!("\"size\":{}", parsed(&old).size()), "\"size\":5");
    assert_eq!(parse_seq(line.as_bytes()), Some(lines.len() as u64));
    trail.edit(|lines| lines.push(line));
    assert_eq!(trail.found(), (FalseRecord, Some(lines.len() as u64)));
}

#[test]
fn a_checkpoint_recorded_late_is_compared_in_another_pass() {
    let trail = Trail::with(
        &SigningKey::generate(),
        |config| config.compression(auditx_core::Compression::None),
        |logger| record(logger, 0, 10),
    );
    // More short lines than the fold keeps, then a record of the first checkpoint.
    let mut lines = trail.lines();
    let (size, first) = (lines.len(), parsed(&trail.checkpoint()));
    lines.extend((size..size + 140_000).map(|seq| format!("{{\"seq\":{seq},\"d\":0}}")));
    let template = {
        let (other, at) = with_records();
        other.lines().remove(at)
    };
    let note = parsed(&checkpoint_in(&template));
    let record = |at: usize, first: &str| {
        renumbered(&template, at)
            .replace(&quoted(note.as_str()), &quoted(first))
            .replace(&format!("\"size\":{}", note.size()), &format!("\"size\":{size}"))
    };
    lines.push(record(lines.len(), first.as_str()));
    trail.set_lines(&lines);
    trail.sign_again();
    let options = || VerifyOptions::new().key(trail.key.clone()).chunk(64 * 1024);
    let check = || verify(trail.path(), &options(), &mut |_, _| {}).unwrap();
    assert_eq!(check().fault, None);
    let last = lines.len() - 1;
    lines[last] = record(last, &signed(&trail.key, size as u64, &[3; 32], &[&trail.signing]));
    trail.set_lines(&lines);
    trail.sign_again();
    let fault = check().fault.unwrap();
    assert_eq!((fault.kind, fault.seq), (FalseRecord, Some(last as u64)));
}
