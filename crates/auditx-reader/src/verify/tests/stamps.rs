//! Time-stamped checkpoints: forks, and lines whose times do not agree.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use auditx_core::Clock;
use auditx_tlog::SigningKey;

use super::fixture::*;
use super::*;

use RemarkKind::{EarlierThanStamp, LaterThanStamp};

const BEGIN: u64 = 1_700_000_000;

/// A clock that does not move by itself.
#[derive(Debug, Clone)]
struct ManualClock(Arc<AtomicU64>);

impl Clock for ManualClock {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.0.load(Ordering::SeqCst))
    }
}

/// A trail that begins with two lines at second 0 and then has a line at each of these seconds.
fn trail(seconds: &[u64]) -> Trail {
    let clock = ManualClock(Arc::new(AtomicU64::new(BEGIN)));
    Trail::with(
        &SigningKey::generate(),
        |config| config.clock(clock.clone()),
        |logger| {
            for second in seconds {
                clock.0.store(BEGIN + second, Ordering::SeqCst);
                record(logger, 0, 10);
            }
        },
    )
}

/// The checkpoint of the first lines of a trail, with a stamp of this second.
fn dated(trail: &Trail, size: usize, second: u64) -> StampedCheckpoint {
    let root = root_of(&trail.lines()[..size]);
    let note = parsed(&signed(&trail.key, size as u64, &root, &[&trail.signing]));
    StampedCheckpoint::new(note, BEGIN + second, Duration::ZERO, "TSA")
}

fn verified(trail: &Trail, stamps: &[StampedCheckpoint]) -> Verification {
    trail.verify_with(|| trail.options().time_stamps(stamps.to_vec(), Vec::new()))
}

/// The remark of this kind, with stamps of these sizes and seconds: count, first line, last line.
fn remarked(
    trail: &Trail,
    kind: RemarkKind,
    stamps: &[(usize, u64)],
) -> Option<(u64, Option<u64>, Option<u64>)> {
    let stamps: Vec<_> = stamps.iter().map(|(size, second)| dated(trail, *size, *second)).collect();
    let found = verified(trail, &stamps);
    assert_eq!(found.answer, Answer::Intact, "{found:?}");
    let remark = found.remarks.into_iter().find(|remark| remark.kind == kind);
    remark.map(|remark| (remark.count, remark.seq, remark.last_seq))
}

#[test]
fn stamps_that_agree_are_counted() {
    let trail = trail(&[10, 20, 30]);
    let found = verified(&trail, &[dated(&trail, 5, 31), dated(&trail, 3, 12)]);
    assert_eq!((found.answer, &*found.reasons, &*found.remarks), (Answer::Intact, &[][..], &[][..]));
    let stamps = found.time_stamps.unwrap();
    let of = |stamp: &TimeStamp| (stamp.size, stamp.at - BEGIN);
    assert_eq!((stamps.count, of(&stamps.first), of(&stamps.last)), (2, (3, 12), (5, 31)));
}

#[test]
fn without_a_stamp_or_with_an_unusable_one_the_answer_is_open() {
    let trail = trail(&[10]);
    let reasons = |stamps: &[StampedCheckpoint], unusable: &[&str]| {
        let unusable: Vec<String> = unusable.iter().map(|&text| text.to_owned()).collect();
        trail.verify_with(|| trail.options().time_stamps(stamps.to_vec(), unusable.clone())).reasons
    };
    assert_eq!(reasons(&[], &[]), [Reason::NotStamped]);
    assert_eq!(reasons(&[], &["x"]), [Reason::NotStamped, Reason::UnusableStamp]);
    assert_eq!(reasons(&[dated(&trail, 2, 1)], &["x"]), [Reason::UnusableStamp]);
    assert_eq!(trail.verify().reasons, [], "not asked for");
}

#[test]
fn a_stamped_checkpoint_of_another_history_is_a_fork() {
    let (trail, other) = (trail(&[10]), trail(&[11]));
    let lines = other.lines();
    let fork = |size: usize, lines: &[String]| {
        let note = signed(&trail.key, size as u64, &root_of(lines), &[&trail.signing]);
        let stamp = StampedCheckpoint::new(parsed(&note), BEGIN + 100, Duration::ZERO, "TSA");
        verified(&trail, &[stamp]).fault.unwrap()
    };
    let found = fork(3, &lines[..3]);
    assert_eq!(found.kind, FaultKind::Forked);
    assert!(found.message.starts_with("a checkpoint that was time-stamped signs a different history"));
    assert_eq!(fork(9, &lines[..3]).kind, FaultKind::Truncated, "more lines than there are");
}

#[test]
fn a_stamp_that_the_log_did_not_sign_is_unusable_and_not_compared_with_the_times() {
    let trail = trail(&[1_000]);
    let root = root_of(&trail.lines()[..3]);
    let stranger = SigningKey::generate();
    let note = parsed(&signed(&trail.key, 3, &root, &[&stranger]));
    let forged = StampedCheckpoint::new(note, BEGIN, Duration::ZERO, "TSA");
    let found = verified(&trail, &[forged, dated(&trail, 2, 5)]);
    assert_eq!((&*found.reasons, &*found.remarks), (&[Reason::UnusableStamp][..], &[][..]));
    let why = "the stamped checkpoint of 3 lines is not signed with a key of the trail";
    assert_eq!(found.unusable_stamps, [why]);
}

#[test]
fn lines_dated_later_than_a_stamp_that_covers_them_are_a_remark() {
    let trail = trail(&[10, 20, 500, 510, 30, 520]);
    let later = |stamps: &[(usize, u64)]| remarked(&trail, LaterThanStamp, stamps);
    assert_eq!(later(&[(3, 5), (7, 505)]), None, "within the tolerance");
    assert_eq!(later(&[(7, 504)]), Some((1, Some(5), None)));
    assert_eq!(later(&[(7, 400)]), Some((1, Some(4), Some(5))));
    assert_eq!(later(&[(5, 400)]), Some((1, Some(4), None)), "others are not covered");
    assert_eq!(later(&[(4, 400)]), None);
    // The earliest one of the stamps that cover a line says most.
    assert_eq!(later(&[(3, 10), (6, 100), (7, 600)]), Some((1, Some(4), Some(5))));
    assert_eq!(later(&[(6, 600), (7, 100)]), Some((1, Some(4), Some(5))));
    let note = dated(&trail, 7, 400).checkpoint;
    let inaccurate = StampedCheckpoint::new(note, BEGIN + 400, Duration::from_millis(104_001), "TSA");
    let remarks = verified(&trail, &[inaccurate]).remarks;
    assert!(remarks.iter().all(|remark| remark.kind != LaterThanStamp), "{remarks:?}");
}

#[test]
fn lines_dated_before_the_stamp_of_the_checkpoint_before_them_are_a_remark() {
    let trail = trail(&[1_000, 1_010, 100, 200, 1_020]);
    let earlier = |stamps: &[(usize, u64)]| remarked(&trail, EarlierThanStamp, stamps);
    assert_eq!(earlier(&[(2, 160)]), None, "within the tolerance");
    assert_eq!(earlier(&[(2, 161)]), Some((1, Some(4), None)));
    assert_eq!(earlier(&[(4, 1_011)]), Some((1, Some(4), Some(5))));
    assert_eq!(earlier(&[(6, 1_011)]), None, "those that the checkpoint names may be older");
    // A larger checkpoint was stamped before, so that one was not the latest.
    assert_eq!(earlier(&[(4, 5_000), (7, 1_021)]), None);
    assert_eq!(earlier(&[(4, 1_011), (5, 1_012)]), Some((2, Some(4), Some(5))));
}

#[test]
fn a_run_of_lines_of_one_second_is_divided_at_the_stamp() {
    let trail = trail(&[1_000; 6]);
    assert_eq!(remarked(&trail, LaterThanStamp, &[(5, 100)]), Some((1, Some(2), Some(4))));
    let message = verified(&trail, &[dated(&trail, 5, 5_000)]).remarks[0].examples[0].message.clone();
    let expected = "line 5 is dated 2023-11-14T22:30:00.000000Z, but the checkpoint of the 5 lines before \
                    was stamped at 2023-11-14T23:36:40.000000Z";
    assert!(message.starts_with(expected), "{message}");
}
