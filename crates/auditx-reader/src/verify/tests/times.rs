//! Gaps without heartbeats, and clocks that were wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use auditx_core::{Cadence, Clock};
use auditx_tlog::SigningKey;

use super::fixture::*;
use super::*;

/// A clock that does not move by itself.
#[derive(Debug, Clone)]
struct ManualClock(Arc<AtomicU64>);

impl Clock for ManualClock {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.0.load(Ordering::SeqCst))
    }
}

/// The remarks on a trail with an entry at each of these seconds: kind, count and first line.
fn remarked(seconds: &[u64]) -> Vec<(RemarkKind, u64, Option<u64>)> {
    verified(seconds).remarks.into_iter().map(|remark| (remark.kind, remark.count, remark.seq)).collect()
}

fn verified(seconds: &[u64]) -> Verification {
    let clock = ManualClock(Arc::new(AtomicU64::new(1_700_000_000)));
    let trail = Trail::with(
        &SigningKey::generate(),
        |config| {
            let cadence = Cadence::default().heartbeat(Duration::from_secs(600));
            config.clock(clock.clone()).checkpoints(cadence)
        },
        |logger| {
            for second in seconds {
                clock.0.store(1_700_000_000 + second, Ordering::SeqCst);
                record(logger, 0, 10);
            }
        },
    );
    let verification = trail.verify();
    assert_eq!(verification.answer, Answer::Intact);
    verification
}

#[test]
fn a_gap_of_more_than_two_heartbeats_is_a_remark() {
    assert_eq!(remarked(&[0, 1_200, 2_400, 3_600]), []);
    assert_eq!(remarked(&[0, 1_201, 1_300, 2_502]), [(RemarkKind::MissingHeartbeat, 2, Some(3))]);
}

#[test]
fn a_clock_set_back_is_a_remark() {
    assert_eq!(remarked(&[100, 50, 40, 100]), [], "threads and clock corrections may cause that much");
    assert_eq!(remarked(&[100, 39, 30, 100]), [(RemarkKind::TimeBackwards, 1, Some(3))]);
    assert_eq!(remarked(&[1_000, 10, 11, 1_001]), [(RemarkKind::TimeBackwards, 1, Some(3))]);
}

#[test]
fn a_clock_ahead_is_one_remark_with_first_and_last_line() {
    let year = 365 * 86_400;
    let remarks = verified(&[10, 20 * year, 20 * year + 1, 20 * year + 2, 11, 12]).remarks;
    assert_eq!(remarks.len(), 1, "{remarks:?}");
    let remark = &remarks[0];
    assert_eq!((remark.kind, remark.seq, remark.last_seq), (RemarkKind::TimeAhead, Some(3), Some(5)));
    assert!(remark.examples[0].message.contains("lines 3 to 5 are dated up to 2043-"), "{remark:?}");
    assert_eq!(remarked(&[10, 20 * year]), [(RemarkKind::TimeAhead, 1, Some(3))], "to the end of the trail");
}

#[test]
fn a_step_back_is_not_hidden_by_hundreds_of_gaps() {
    let mut seconds: Vec<u64> = (0..=299).map(|number| number * 2_000).collect();
    seconds.push(10);
    let expected = [(RemarkKind::TimeBackwards, 1, Some(302)), (RemarkKind::MissingHeartbeat, 299, Some(3))];
    assert_eq!(remarked(&seconds), expected);
}

#[test]
fn no_heartbeat_is_due_between_sessions() {
    let trail = Trail::of(2);
    trail.edit(|lines| {
        for line in lines {
            *line = line.replacen("\"timestamp\":\"20", "\"timestamp\":\"19", 1);
            *line = line.replacen("\"timestamp\":\"192", "\"timestamp\":\"198", 1);
        }
    });
    trail.sign_again();
    let logger = trail.reopen();
    record(&logger, 0, 10);
    logger.close(TIMEOUT).unwrap();
    trail.remove_tiles();
    let verification = trail.verify_with(|| VerifyOptions::new().key(trail.key.clone()));
    let kinds: Vec<RemarkKind> = verification.remarks.iter().map(|remark| remark.kind).collect();
    assert_eq!((verification.fault, kinds), (None, vec![RemarkKind::WrongTiles]));
}
