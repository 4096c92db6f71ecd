//! Stamps for trails that are in use.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use auditx_core::{AuditLogger, Config};
use auditx_reader::{Answer, Reason, RemarkKind, latest_checkpoint, stamp_sizes};
use auditx_tests::deadline::{TIMEOUT, wait_until};
use auditx_tests::tsa::{Authority, P256, RSA, serve};
use auditx_timestamp::{Progress, TimeStamps};

use crate::trail::{SetClock, closed, extend, record, roots, verification};

const OPTIONS: &str = "digests = sha256\nsigner_digest = sha256\n";

/// Serves stamps of this authority.
fn served(authority: &Arc<Authority>) -> String {
    let authority = authority.clone();
    serve(move |request| Some(authority.answer(request, OPTIONS)))
}

fn sizes(directory: &Path) -> Vec<u64> {
    stamp_sizes(directory).unwrap()
}

#[test]
fn a_stamped_trail_is_verified_here_and_by_openssl() {
    for key in [RSA, P256] {
        let (trail, authority) = (closed(5), Arc::new(Authority::new(key)));
        let before = verification(trail.path(), &authority);
        assert_eq!((before.answer, before.reasons), (Answer::Unconfirmed, vec![Reason::NotStamped]));

        let stamps = TimeStamps::of(&served(&authority)).unwrap().roots(roots(&authority));
        let (checkpoint, stamped, is_new) = stamps.clone().stamp_once(trail.path()).unwrap();
        assert!(is_new);
        let (_, again, is_new) = stamps.stamp_once(trail.path()).unwrap();
        assert_eq!((again, is_new), (stamped, false), "it is not stamped twice");

        let found = verification(trail.path(), &authority);
        assert_eq!((found.answer, found.reasons.as_slice()), (Answer::Intact, &[][..]));
        let stamps = found.time_stamps.unwrap();
        let last = (stamps.last.size, stamps.last.authority.as_str());
        assert_eq!((stamps.count, last), (1, (checkpoint.size(), "Test signer")));

        let kept = trail.path().join(".auditx/timestamps");
        let path =
            |extension: &str| kept.join(format!("{}.{extension}", checkpoint.size())).display().to_string();
        let arguments = ["ts", "-verify", "-data", &path("checkpoint"), "-in", &path("tsr")];
        let said = authority.openssl(&[&arguments[..], &["-CAfile", "root.pem"]].concat());
        assert!(said.contains("Verification: OK"), "{said}");
    }
}

#[test]
fn a_changed_stamp_or_one_of_another_root_leaves_the_answer_open() {
    let (trail, authority) = (closed(5), Arc::new(Authority::new(P256)));
    let (checkpoint, ..) = TimeStamps::of(&served(&authority)).unwrap().stamp_once(trail.path()).unwrap();
    let stranger = Authority::new(P256);
    let found = verification(trail.path(), &stranger);
    let open = vec![Reason::NotStamped, Reason::UnusableStamp];
    assert_eq!((found.answer, &found.reasons), (Answer::Unconfirmed, &open));
    assert!(found.unusable_stamps[0].contains(".tsr: no chain of certificates"), "{found:?}");

    let kept = trail.path().join(format!(".auditx/timestamps/{}.checkpoint", checkpoint.size()));
    fs::remove_file(kept).unwrap();
    let found = verification(trail.path(), &authority);
    assert_eq!((found.answer, &found.reasons), (Answer::Unconfirmed, &open));
    assert!(found.unusable_stamps[0].contains("the checkpoint beside it cannot be read"), "{found:?}");
}

#[test]
fn each_segment_and_each_session_is_stamped_at_its_end() {
    let (trail, authority) = (closed(1), Arc::new(Authority::new(P256)));
    let logger = AuditLogger::open(Config::new(trail.path()).max_file_bytes(65_536)).unwrap();
    let stamps = TimeStamps::of(&served(&authority)).unwrap().spacing(Duration::ZERO);
    let stamper = stamps.spawn(&logger).unwrap();
    // The end of the session before.
    let are = |count| move |progress: &Progress| progress.stamps >= count;
    assert!(stamper.wait_until(TIMEOUT, are(1)), "{:?}", stamper.progress());
    // Far from the interval of a day, and in the same segment: nothing to stamp.
    record(&logger, 1);
    let large = "x".repeat(2_000);
    (0..40).for_each(|_| drop(logger.log(large.as_str()).record().unwrap()));
    logger.flush(TIMEOUT).unwrap();
    assert!(stamper.wait_until(TIMEOUT, are(2)), "{:?}", stamper.progress());
    record(&logger, 1);
    logger.close(TIMEOUT).unwrap();
    let progress = stamper.close();
    let last = latest_checkpoint(trail.path()).unwrap().size();
    assert_eq!((progress.stamps, progress.failure), (3, None));
    assert_eq!(progress.stamped.unwrap().0, last);
    assert_eq!(sizes(trail.path()).last(), Some(&last));
    let found = verification(trail.path(), &authority);
    assert_eq!((found.answer, found.time_stamps.unwrap().count), (Answer::Intact, 3), "{:?}", found.remarks);
    assert_eq!(found.remarks, []);
}

#[test]
fn a_trail_in_use_is_stamped_in_each_interval() {
    let (trail, authority) = (closed(1), Arc::new(Authority::new(P256)));
    let stamps = TimeStamps::of(&served(&authority)).unwrap().spacing(Duration::ZERO);
    let (checkpoint, ..) = stamps.clone().stamp_once(trail.path()).unwrap();
    let logger = AuditLogger::open(Config::new(trail.path())).unwrap();
    let stamper = stamps.interval(Duration::from_millis(1)).spawn(&logger).unwrap();
    record(&logger, 1);
    let is_newer =
        |progress: &Progress| progress.stamped.as_ref().is_some_and(|(size, _)| *size > checkpoint.size());
    assert!(stamper.wait_until(TIMEOUT, is_newer), "{:?}", stamper.progress());
    drop(stamper);
}

#[test]
fn an_authority_that_does_not_answer_never_delays_recording() {
    let (trail, authority) = (closed(1), Arc::new(Authority::new(P256)));
    let (is_silent, (asked, requests)) = (Arc::new(AtomicBool::new(true)), channel());
    let url = serve({
        let (authority, is_silent) = (authority.clone(), is_silent.clone());
        move |request| {
            asked.send(()).unwrap();
            (!is_silent.load(Ordering::SeqCst)).then(|| authority.answer(request, OPTIONS))
        }
    });
    let logger = AuditLogger::open(Config::new(trail.path())).unwrap();
    let stamper = TimeStamps::of(&url).unwrap().spawn(&logger).unwrap();
    requests.recv_timeout(TIMEOUT).unwrap();
    // Durable, while a thread of its own waits for the answer.
    record(&logger, 1);
    assert_eq!((stamper.progress().stamps, stamper.progress().failure), (0, None), "the request is open");
    is_silent.store(false, Ordering::SeqCst);
    let has_failed = |progress: &Progress| progress.failure.is_some() || progress.stamps > 0;
    assert!(stamper.wait_until(TIMEOUT, has_failed));
    let failure = stamper.progress().failure.unwrap_or_default();
    assert!(failure.contains("the authority did not answer within 5s"), "{failure}");
    assert!(stamper.wait_until(TIMEOUT, |progress| progress.stamps == 1), "{:?}", stamper.progress());
    assert_eq!(stamper.progress().failure, None);
    logger.close(TIMEOUT).unwrap();
    drop(stamper);
}

#[test]
fn what_does_not_answer_the_request_is_not_stored() {
    let (trail, authority) = (closed(1), Arc::new(Authority::new(P256)));
    let mut first = None;
    let replay = {
        let authority = authority.clone();
        serve(move |request| Some(first.get_or_insert_with(|| authority.answer(request, OPTIONS)).clone()))
    };
    let refused = |url: &str, words: &str| {
        let error = TimeStamps::of(url).unwrap().stamp_once(trail.path()).unwrap_err().to_string();
        assert!(error.contains(words), "expected {words:?}: {error}");
    };
    TimeStamps::of(&replay).unwrap().stamp_once(closed(1).path()).unwrap();
    refused(&replay, "its nonce is not the one sent");
    refused(&serve(|_| Some(vec![0x30; 70_000])), "more than 65536 bytes");
    refused(&serve(|_| Some(b"<html>".to_vec())), "cannot be read");
    refused("http://127.0.0.1:1/", "error sending request");
    let stranger = Authority::new(P256);
    let strict = TimeStamps::of(&served(&authority)).unwrap().roots(roots(&stranger));
    let error = strict.stamp_once(trail.path()).unwrap_err().to_string();
    assert!(error.contains("no chain of certificates"), "{error}");
    assert!(sizes(trail.path()).is_empty());
    let invalid = TimeStamps::of("ftp://tsa.example.org/").unwrap_err().to_string();
    assert!(invalid.contains("expected http:// or https://, not ftp:"), "{invalid}");
}

#[test]
fn lines_that_contradict_a_stamp_are_remarked_on() {
    let (trail, authority, clock) = (closed(5), Arc::new(Authority::new(P256)), SetClock::default());
    let stamps = TimeStamps::of(&served(&authority)).unwrap();
    let (first, stamped, _) = stamps.clone().stamp_once(trail.path()).unwrap();
    let kinds = || {
        let found = verification(trail.path(), &authority);
        assert_eq!(found.answer, Answer::Intact, "{found:?}");
        let of_stamps = |kind| matches!(kind, RemarkKind::LaterThanStamp | RemarkKind::EarlierThanStamp);
        let remarks = found.remarks.iter().filter(|remark| of_stamps(remark.kind));
        remarks.map(|remark| (remark.kind, remark.seq)).collect::<Vec<_>>()
    };
    extend(trail.path(), &clock, 1);
    assert_eq!(kinds(), []);
    let next = latest_checkpoint(trail.path()).unwrap().size();
    clock.set(-3_600);
    extend(trail.path(), &clock, 1);
    assert!(next > first.size());
    assert_eq!(kinds(), [(RemarkKind::EarlierThanStamp, Some(next))], "recorded with a clock set back");

    clock.set(7_200);
    let ahead = latest_checkpoint(trail.path()).unwrap().size();
    extend(trail.path(), &clock, 1);
    // Of two stamps of one second, it is not known which one was the first.
    wait_until("the next second", || SystemTime::now() >= UNIX_EPOCH + Duration::from_secs(stamped.at + 1));
    stamps.stamp_once(trail.path()).unwrap();
    let both = [(RemarkKind::LaterThanStamp, Some(ahead)), (RemarkKind::EarlierThanStamp, Some(next))];
    assert_eq!(kinds(), both, "stamped before the time that the lines have");
}
