//! Files that are checked once a second: restored, created again, or refused.

use auditx_store::config::JournalKind;

use super::interference::{ACTIVE, app_log, config, error_of, numbers, record, trail};
use super::*;

#[test]
fn a_missing_auditx_directory_is_noticed() {
    let (directory, logger) = trail(JournalKind::Ring);
    fs::rename(directory.path().join(".auditx"), directory.path().join("auditx.old")).unwrap();
    let error = error_of(&logger);
    assert!(error.is_storage() && error.to_string().contains("`.auditx` was moved"), "{error}");
    drop(logger);
    assert!(app_log(directory.path()).contains("`.auditx` was moved"));
    fs::rename(directory.path().join("auditx.old"), directory.path().join(".auditx")).unwrap();
    let logger = AuditLogger::open(config(directory.path())).unwrap();
    assert!(numbers(directory.path(), &logger).starts_with(&(0..30).collect::<Vec<_>>()));
}

#[test]
fn small_files_are_restored_under_their_names() {
    for name in ["lock", "checkpoint", "trail.json", "keys/signing.pem", "ring"] {
        for (case, interfere) in [
            |path: &Path| fs::remove_file(path).unwrap(),
            |path: &Path| fs::rename(path, path.with_extension("moved")).unwrap(),
            |path: &Path| {
                fs::remove_file(path).unwrap();
                fs::create_dir(path).unwrap();
            },
        ]
        .into_iter()
        .enumerate()
        {
            let (directory, logger) = trail(JournalKind::Ring);
            let path = directory.path().join(".auditx").join(name);
            let before = fs::read(&path).unwrap();
            interfere(&path);
            wait_until(|| logger.metrics().restored == 1 || (name == "checkpoint" && path.is_file()));
            let is_same = fs::read(&path).unwrap().len() == before.len();
            assert!(is_same || name == "checkpoint", "{name} {case}");
            record(&logger, 30..60);
            let second = AuditLogger::open(config(directory.path()).exclusive(true));
            assert!(second.unwrap_err().is_locked(), "{name} {case}");
            assert_eq!(numbers(directory.path(), &logger), (0..60).collect::<Vec<_>>(), "{name} {case}");
            assert!(
                name == "checkpoint" || app_log(directory.path()).contains(&format!("`.auditx/{name}` was")),
                "{name} {case}: {}",
                app_log(directory.path())
            );
            drop(AuditLogger::open(config(directory.path())).unwrap());
        }
    }
}

#[test]
fn recording_continues_while_the_ring_file_is_restored() {
    let (directory, logger) = trail(JournalKind::Ring);
    let ring = directory.path().join(".auditx/ring");
    std::thread::scope(|scope| {
        let recording: Vec<_> = (1..=3_u32)
            .map(|thread| {
                let logger = &logger;
                scope.spawn(move || {
                    let mut count = 0;
                    while logger.metrics().restored < 3 {
                        logger.log(format!("entry {}", thread * 10_000_000 + count)).record().unwrap();
                        count += 1;
                    }
                    count
                })
            })
            .collect();
        for restored in 1..=3 {
            fs::remove_file(&ring).unwrap();
            wait_until(|| logger.metrics().restored == restored);
        }
        let counts: Vec<u32> = recording.into_iter().map(|thread| thread.join().unwrap()).collect();
        // If the process were killed now, its entries would be in the restored file.
        logger.log("entry 1").record().unwrap();
        let mut found = numbers(directory.path(), &logger);
        found.sort_unstable();
        let expected = (1..=3_u32)
            .zip(counts)
            .flat_map(|(thread, count)| (0..count).map(move |number| thread * 10_000_000 + number));
        let mut expected: Vec<u32> = (0..30).chain([1]).chain(expected).collect();
        expected.sort_unstable();
        assert!(found == expected, "{} entries instead of {}", found.len(), expected.len());
    });
}

#[test]
fn projections_and_app_log_are_created_again() {
    let (directory, logger) = trail(JournalKind::Ring);
    for name in ["security.jsonl", "app.log"] {
        let path = directory.path().join(name);
        logger.log_security("before").success(false).record().unwrap();
        logger.flush(TIMEOUT).unwrap();
        // Wait until the watch has seen the current file.
        let start = Instant::now();
        wait_until(|| start.elapsed() > auditx_store::testing::WATCH_INTERVAL * 2);
        fs::rename(&path, path.with_extension("old")).unwrap();
        wait_until(|| path.is_file() && app_log(directory.path()).contains(name));
        assert!(app_log(directory.path()).contains("by another program"), "{name}");
        logger.log_security("after").success(false).record().unwrap();
        logger.flush(TIMEOUT).unwrap();
        if name == "security.jsonl" {
            assert!(text(path.clone()).contains("after") && !text(path).contains("before"));
        }
    }
}

#[test]
fn an_erasure_is_not_mistaken_for_interference() {
    let (directory, logger) = trail(JournalKind::Ring);
    let receipt = logger.log_security("refused").success(false).record().unwrap();
    let seq = receipt.wait_durable().unwrap().seq;
    logger.flush(TIMEOUT).unwrap();
    for is_erased in [false, true] {
        if is_erased {
            logger.erase(seq, "request of the person").unwrap();
        }
        let start = Instant::now();
        wait_until(|| start.elapsed() > auditx_store::testing::WATCH_INTERVAL * 2);
    }
    assert_eq!(app_log(directory.path()), "");
}

#[test]
fn a_removed_sealed_segment_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let logger = AuditLogger::open(config(directory.path()).max_file_bytes(65_535)).unwrap();
    record(&logger, 0..800);
    wait_until(|| logger.metrics().compressed >= 2);
    let first = &auditx_store::sealed_segments(directory.path()).unwrap()[0];
    fs::remove_file(&first.path).unwrap();
    wait_until(|| logger.metrics().missing_segments == 1);
    assert!(app_log(directory.path()).contains("begins with line 0 was renamed or removed"));
    record(&logger, 800..801);
}

#[test]
fn a_relative_directory_is_resolved_once() {
    // The current directory belongs to the whole process, so a child that runs only this test changes its
    // own.
    let name = "logger::tests::watched::a_relative_directory_is_resolved_once";
    let Some(root) = std::env::var_os("AUDITX_TEST_CHDIR") else {
        let root = tempfile::tempdir().unwrap();
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args([name, "--exact"])
            .env("AUDITX_TEST_CHDIR", root.path())
            .status()
            .unwrap();
        assert!(status.success());
        return;
    };
    std::env::set_current_dir(&root).unwrap();
    let logger = AuditLogger::open(config(Path::new("logs")).max_file_bytes(65_535)).unwrap();
    std::env::set_current_dir("/").unwrap();
    record(&logger, 0..800);
    wait_until(|| logger.metrics().compressed >= 2);
    let logs = Path::new(&root).join("logs");
    assert_eq!(logger.trail_dir().unwrap(), logs.canonicalize().unwrap());
    assert_eq!(numbers(&logs, &logger), (0..800).collect::<Vec<_>>());
    assert_eq!(logger.metrics().seal_failures, 0);
}

#[test]
fn an_idle_new_trail_has_its_three_files_and_logs_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let logger = AuditLogger::open(config(directory.path())).unwrap();
    for name in [ACTIVE, "security.jsonl", "app.log"] {
        assert!(directory.path().join(name).is_file(), "{name}");
    }
    let opened = Instant::now();
    wait_until(|| opened.elapsed() > Duration::from_secs(3));
    drop(logger);
    assert_eq!(app_log(directory.path()), "");
}
