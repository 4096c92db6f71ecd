//! Tests of security.jsonl and hooks: no line is lost or blocked, and none is projected twice.

use std::sync::mpsc;

use auditx_store::config::{Durability, JournalKind};
use auditx_store::testing::FaultyDisk;

use super::*;

#[test]
fn security_lines_are_projected_once_across_restarts() {
    let directory = tempfile::tempdir().unwrap();
    for round in 0..3 {
        let logger = AuditLogger::open(Config::new(directory.path())).unwrap();
        logger.log_security(format!("denied {round}")).success(false).record().unwrap();
        logger.log_security("fine").record().unwrap();
        logger.flush(TIMEOUT).unwrap();
        assert!(text(directory.path().join("security.jsonl")).contains(&format!("denied {round}")));
        if round == 1 {
            // As after a kill: a torn last line, and no cursor.
            logger.close(TIMEOUT).unwrap();
            fs::remove_dir_all(directory.path().join(".auditx/cursors")).unwrap();
            let path = directory.path().join("security.jsonl");
            fs::write(&path, text(path.clone()) + "{\"seq\":99,\"to").unwrap();
        }
    }
    let trail: Vec<String> = text(directory.path().join("audit.jsonl"))
        .lines()
        .filter(|line| line.contains("denied"))
        .map(str::to_owned)
        .collect();
    let projected: Vec<String> =
        text(directory.path().join("security.jsonl")).lines().map(str::to_owned).collect();
    assert_eq!(projected, trail);
    assert_eq!(projected.len(), 3);
}

/// Between two of them are fewer lines than the follower reads through, and more than those.
#[test]
fn sensitive_lines_far_apart_are_projected() {
    let directory = tempfile::tempdir().unwrap();
    let config = Config::new(directory.path()).max_file_bytes(300_000);
    let logger = AuditLogger::open(config).unwrap();
    for (round, others) in [0, 3, 2_500, 0, 40, 1_100, 2_500].into_iter().enumerate() {
        for _ in 0..others {
            logger.log("x").record().unwrap();
        }
        logger.log_security(format!("denied {round}")).success(false).record().unwrap();
        if round % 2 == 0 {
            logger.flush(TIMEOUT).unwrap();
        }
    }
    logger.close(TIMEOUT).unwrap();
    let projected = text(directory.path().join("security.jsonl"));
    let rounds: Vec<usize> = projected
        .lines()
        .filter_map(|line| line.split_once("denied ")?.1.split_once('"')?.0.parse().ok())
        .collect();
    assert_eq!(rounds, (0..7).collect::<Vec<_>>());
}

#[test]
fn a_hook_that_fails_or_panics_gets_every_line() {
    let directory = tempfile::tempdir().unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let attempts = Arc::new(AtomicUsize::new(0));
    let config = Config::new(directory.path()).on_audit("copy", {
        let (seen, attempts) = (seen.clone(), attempts.clone());
        move |entry| {
            match attempts.fetch_add(1, Ordering::SeqCst) {
                1 => return Err("database is away".into()),
                2 => panic!("on purpose"),
                _ => seen.lock().unwrap().push(entry.seq()),
            }
            Ok(())
        }
    });
    let logger = AuditLogger::open(config).unwrap();
    for _ in 0..10 {
        logger.log("x").record().unwrap();
    }
    logger.flush_hooks(TIMEOUT).unwrap();
    assert_eq!(*seen.lock().unwrap(), (0..12).collect::<Vec<u64>>());
    assert_eq!(
        logger.metrics().followers.iter().find(|follower| follower.name == "copy").unwrap().failures,
        2
    );
    let troubles = text(directory.path().join("app.log"));
    assert!(troubles.contains("database is away") && troubles.contains("on purpose"), "{troubles}");
}

#[test]
fn a_failing_hook_does_not_delay_close_and_resumes_from_its_cursor() {
    let directory = tempfile::tempdir().unwrap();
    let logger =
        AuditLogger::open(Config::new(directory.path()).on_audit("copy", |_| Err("away".into()))).unwrap();
    logger.log("x").record().unwrap();
    let begin = Instant::now();
    logger.close(TIMEOUT).unwrap();
    assert!(begin.elapsed() < TIMEOUT);

    let seen = Arc::new(Mutex::new(Vec::new()));
    let config = Config::new(directory.path()).on_audit("copy", {
        let seen = seen.clone();
        move |entry| {
            seen.lock().unwrap().push(entry.seq());
            Ok(())
        }
    });
    AuditLogger::open(config).unwrap().close(TIMEOUT).unwrap();
    assert_eq!(
        *seen.lock().unwrap(),
        (0..7).collect::<Vec<u64>>(),
        "the whole first session, then the second"
    );
}

#[test]
fn a_new_hook_begins_at_the_current_line_or_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    AuditLogger::open(Config::new(directory.path())).unwrap().close(TIMEOUT).unwrap();
    let (now, all) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
    let push = |seen: &Arc<Mutex<Vec<u64>>>| {
        let seen = seen.clone();
        move |entry: &RecordedEntry<'_>| {
            seen.lock().unwrap().push(entry.seq());
            Ok(())
        }
    };
    let config =
        Config::new(directory.path()).on_audit("now", push(&now)).on_audit_from_start("all", push(&all));
    AuditLogger::open(config).unwrap().close(TIMEOUT).unwrap();
    assert_eq!(*now.lock().unwrap(), [3, 4, 5]);
    assert_eq!(*all.lock().unwrap(), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn a_hook_does_not_see_a_line_that_was_rolled_back() {
    let (directory, disk) = (tempfile::tempdir().unwrap(), FaultyDisk::default());
    let (seen, sees) = mpsc::channel();
    let (go_on, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let config = Config::new(directory.path())
        .durability(Durability::Os)
        .journal(JournalKind::Direct)
        .on_audit("copy", move |entry| {
            let description = entry.parse()?.description;
            seen.send(description.clone())?;
            if description == "held" {
                gate.lock().unwrap().recv()?;
            }
            Ok(())
        });
    let logger = AuditLogger::open_on(config, Arc::new(disk.clone())).unwrap();
    logger.log("held").record().unwrap();
    while sees.recv_timeout(TIMEOUT).unwrap() != "held" {}
    let sees = Arc::new(Mutex::new(sees));
    logger.log("read together with what is rolled back").record().unwrap();
    disk.0.space.store(0, Ordering::SeqCst);
    logger.log("refused").record().unwrap_err();
    // Room for the record of one refused entry and part of the next line.
    disk.0.space.store(700, Ordering::SeqCst);
    let reads_ahead = sees.clone();
    *disk.0.before_truncate.lock().unwrap() = Some(Box::new(move || {
        go_on.send(()).unwrap();
        let read = reads_ahead.lock().unwrap().recv_timeout(TIMEOUT).unwrap();
        assert_eq!(read, "read together with what is rolled back");
    }));
    logger.log("refused").metadata("text", "x".repeat(900)).record().unwrap_err();
    assert!(disk.0.before_truncate.lock().unwrap().is_none());
    disk.0.space.store(u64::MAX, Ordering::SeqCst);
    logger.log("there is room again").record().unwrap();
    let gap = sees.lock().unwrap().recv_timeout(TIMEOUT).unwrap();
    assert!(gap.starts_with("2 entries could not be recorded"), "{gap}");
    assert_eq!(sees.lock().unwrap().recv_timeout(TIMEOUT).unwrap(), "there is room again");
    logger.close(TIMEOUT).unwrap();
}

/// A signer that records whether it is called as a callback.
#[derive(Debug)]
struct Curious(crate::SigningKey, Arc<Mutex<Vec<bool>>>);

impl crate::Signer for Curious {
    fn public_key(&self) -> [u8; 32] {
        self.1.lock().unwrap().push(crate::in_callback());
        self.0.public_key()
    }

    fn sign(&self, message: &[u8]) -> std::result::Result<[u8; 64], crate::HookError> {
        self.1.lock().unwrap().push(crate::in_callback());
        self.0.sign(message)
    }
}

#[test]
fn in_callback_is_true_in_hooks_and_signers_even_after_a_panic() {
    let directory = tempfile::tempdir().unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let attempts = AtomicUsize::new(0);
    let config = Config::new(directory.path())
        .signer(Curious(crate::SigningKey::generate(), seen.clone()))
        .on_audit("curious", {
            let seen = seen.clone();
            move |_| {
                seen.lock().unwrap().push(crate::in_callback());
                assert!(attempts.fetch_add(1, Ordering::SeqCst) > 0, "on purpose");
                Ok(())
            }
        });
    let logger = AuditLogger::open(config).unwrap();
    logger.log("x").record().unwrap();
    logger.flush_hooks(TIMEOUT).unwrap();
    logger.close(TIMEOUT).unwrap();
    let seen = seen.lock().unwrap();
    assert!(seen.len() > 5 && seen.iter().all(|&inside| inside), "{seen:?}");
    assert!(!crate::in_callback());
    let panicked = std::panic::catch_unwind(|| auditx_store::testing::calling(|| panic!("on purpose")));
    assert!(panicked.is_err() && !crate::in_callback());
}
