//! Lines that another program removed: excused only by the record that the trail signed.

use std::fs;

use auditx_core::{Config, JournalKind};
use auditx_store::ACTIVE;
use auditx_tlog::SigningKey;

use super::fixture::*;
use super::*;

/// A trail that lost some lines for good.
fn with_loss() -> Trail {
    // Without a ring, the removed lines are held nowhere.
    let direct = |config: Config| config.journal(JournalKind::Direct);
    Trail::with(&SigningKey::generate(), direct, |logger| {
        (0..10).for_each(|number| record(logger, number, 40));
        logger.flush(TIMEOUT).unwrap();
        drop(fs::File::create(logger.trail_dir().unwrap().join(ACTIVE)).unwrap());
        record(logger, 10, 40);
        logger.flush(TIMEOUT).unwrap();
        assert!(logger.metrics().lost > 0);
    })
}

#[test]
fn a_recorded_loss_makes_the_answer_unconfirmed() {
    let trail = with_loss();
    let verification = trail.verify();
    assert_eq!((verification.answer, &verification.fault), (Answer::Unconfirmed, &None));
    assert_eq!(
        (verification.lost, verification.erased, &*verification.reasons),
        (10, 0, &[Reason::LinesLost][..])
    );
}

#[test]
fn a_recorded_loss_excuses_no_other_stub() {
    let trail = with_loss();
    let lines = trail.lines();
    let (seq, line) =
        lines.iter().find_map(|line| Some((auditx_tlog::parse_seq(line.as_bytes())?, line))).unwrap();
    let stub = format!(
        "{{\"seq\":{seq},\"erased\":\"{}\"}}",
        auditx_tlog::to_hex(&auditx_tlog::leaf_hash(line.as_bytes()))
    );
    trail.edit(|lines| lines[0] = stub);
    assert_eq!(trail.found(), (FaultKind::BadErasure, Some(seq)));
}
