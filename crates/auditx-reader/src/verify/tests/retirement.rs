//! Trails whose oldest segments were retired.

use std::fs;

use auditx_core::{Compression, Retention};
use auditx_store::ACTIVE;
use auditx_tlog::SigningKey;

use super::fixture::*;
use super::*;

use FaultKind::{Altered, Missing};

/// Several segments, the oldest of them retired one by one.
fn retired(compression: Compression) -> Trail {
    let signing = SigningKey::generate();
    let trail = Trail::with(
        &signing,
        |config| config.compression(Compression::None).max_file_bytes(65_535),
        |logger| {
            for number in 0..300 {
                record(logger, number, 2_000);
            }
            for count in [5, 4, 3] {
                logger.flush(TIMEOUT).unwrap();
                logger.retire(Retention::BackupCount(count)).unwrap();
                record(logger, 0, 10);
            }
        },
    );
    if compression == Compression::Zstd {
        trail.compress();
    }
    assert_eq!(trail.segments().len(), 4);
    trail
}

#[test]
fn a_trail_with_a_retired_beginning_is_intact() {
    for compression in [Compression::None, Compression::Zstd] {
        let trail = retired(compression);
        let verification = trail.verify();
        assert_eq!(verification.answer, Answer::Intact, "{verification:?}");
        assert!(verification.first_seq > 32);
        // Without the tile cache, the record of the retirement is found in the lines, which are then read
        // again.
        trail.remove_tiles();
        let verification = trail.verify();
        assert_eq!(verification.answer, Answer::Intact, "{verification:?}");
        assert_eq!(
            verification.remarks.iter().map(|remark| remark.kind).collect::<Vec<_>>(),
            [RemarkKind::WrongTiles]
        );
    }
}

#[test]
fn without_genesis_or_a_pinned_key_no_signature_is_checked() {
    let trail = retired(Compression::None);
    let verification = trail.verify_with(VerifyOptions::new);
    assert_eq!(
        verification.reasons,
        [Reason::SignatureUnchecked, Reason::KeyNotPinned, Reason::FreshnessUnknown]
    );
    assert_eq!(verification.keys, []);
}

#[test]
fn a_known_checkpoint_of_retired_lines_is_not_compared() {
    let trail = retired(Compression::None);
    let old = signed(&trail.key, 5, &[9; 32], &[&trail.signing]);
    let options = || VerifyOptions::new().key(trail.key.clone()).known(parsed(&old));
    let verification = trail.verify_with(options);
    assert_eq!(
        (verification.answer, &*verification.reasons),
        (Answer::Unconfirmed, &[Reason::FreshnessUnknown][..])
    );
}

#[test]
fn a_segment_deleted_beyond_the_retired_ones_is_missing() {
    let trail = retired(Compression::None);
    fs::remove_file(trail.file(&trail.segments()[0])).unwrap();
    assert_eq!(trail.found(), (Missing, Some(0)));
    assert_eq!(trail.found_without_tiles(), (Missing, Some(0)));
}

#[test]
fn an_unrecorded_retirement_is_missing() {
    let trail = Trail::of_segments(Compression::None);
    fs::remove_file(trail.file(&trail.segments()[0])).unwrap();
    assert_eq!(trail.found(), (Missing, Some(0)));
}

#[test]
fn an_unsigned_retirement_is_missing() {
    let trail = retired(Compression::None);
    let record = trail.lines().into_iter().rfind(|line| line.contains("\"kind\":\"retired\"")).unwrap();
    let size = auditx_tlog::parse_seq(record.as_bytes()).unwrap();
    for (size, kind) in [(size + 1, None), (size, Some(Missing))] {
        let root = Tiles::open(trail.path()).frontier(size).unwrap().root().unwrap();
        trail.set_checkpoint(&signed(&trail.key, size, &root, &[&trail.signing]));
        trail.remove_history();
        let verification = trail.verify_with(|| VerifyOptions::new().key(trail.key.clone()));
        assert_eq!(verification.fault.map(|fault| fault.kind), kind);
    }
}

#[test]
fn a_trail_left_with_only_its_active_segment_is_intact() {
    let trail = Trail::with(
        &SigningKey::generate(),
        |config| config.compression(Compression::None).max_file_bytes(65_535),
        |logger| {
            (0..100).for_each(|number| record(logger, number, 2_000));
            logger.flush(TIMEOUT).unwrap();
            logger.retire(Retention::BackupCount(0)).unwrap();
        },
    );
    assert_eq!(trail.segments(), [ACTIVE]);
    assert_eq!(trail.verify().answer, Answer::Intact);
    trail.edit(|lines| lines[1] = lines[1].replace("success", "failure"));
    let first = trail.verify().first_seq;
    assert_eq!(trail.found(), (Altered, Some(first + 1)));
}

#[test]
fn an_altered_line_after_the_retired_ones_is_named() {
    let trail = retired(Compression::None);
    let name = &trail.segments()[1];
    let text = fs::read_to_string(trail.file(name)).unwrap();
    let (index, line) = text.lines().enumerate().find(|(_, line)| line.contains("entry")).unwrap();
    let seq = auditx_tlog::parse_seq(line.as_bytes()).unwrap();
    fs::write(trail.file(name), text.replacen("entry", "forge", 1)).unwrap();
    assert_eq!(trail.found(), (Altered, Some(seq)));
    let first = trail.verify().first_seq;
    assert!(index < 40 && seq > first);
    // Only the interval between checkpoints can be named: the segment before it was right at its seal.
    let begin = text.lines().next().and_then(|line| auditx_tlog::parse_seq(line.as_bytes()));
    assert_eq!(trail.found_without_tiles(), (Altered, begin));
}

#[test]
fn an_altered_retirement_record_does_not_lead_to_the_root() {
    let trail = retired(Compression::None);
    trail.edit(|lines| {
        for line in lines.iter_mut().filter(|line| line.contains("\"kind\":\"retired\"")) {
            let at = line.find("\"frontier\":[\"").unwrap() + 13;
            let digit = if &line[at..=at] == "0" { "1" } else { "0" };
            line.replace_range(at..=at, digit);
        }
    });
    let (kind, _) = trail.found_without_tiles();
    assert_eq!(kind, Altered);
}
