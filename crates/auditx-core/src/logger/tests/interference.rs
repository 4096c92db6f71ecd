//! What other programs do to the directory while a logger has it open: noticed, restored or refused, never silent.

use std::os::unix::fs::symlink;

use super::checkpoints::checked;
use super::*;
use crate::config::{Durability, JournalKind};

const ACTIVE: &str = "audit.jsonl";

/// A trail with some entries of which the last is durable.
fn trail(journal: JournalKind) -> (tempfile::TempDir, AuditLogger) {
    let directory = tempfile::tempdir().unwrap();
    let logger = AuditLogger::open(config(directory.path()).journal(journal)).unwrap();
    record(&logger, 0..30);
    (directory, logger)
}

fn config(directory: &Path) -> Config {
    Config::new(directory).durability(Durability::Interval(Duration::from_millis(10)))
}

fn record(logger: &AuditLogger, numbers: std::ops::Range<u32>) {
    let receipts: Vec<_> =
        numbers.map(|number| logger.log(format!("entry {number}")).record().unwrap()).collect();
    for receipt in receipts {
        receipt.wait_durable().unwrap();
    }
}

/// Records until that fails.
fn error_of(logger: &AuditLogger) -> crate::Error {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let outcome = logger.log("late").record().and_then(|receipt| receipt.wait_durable());
        if let Err(error) = outcome {
            return error;
        }
        assert!(Instant::now() < deadline, "no entry was refused");
    }
}

/// The numbers of the entries, in order; none is missing, and the trail is what was signed.
fn numbers(directory: &Path, logger: &AuditLogger) -> Vec<u32> {
    logger.close(PATIENCE).unwrap();
    assert_eq!(checked(logger).size(), entries(directory).len() as u64);
    entries(directory)
        .iter()
        .filter_map(|entry| entry.description.strip_prefix("entry ")?.parse().ok())
        .collect()
}

fn app_log(directory: &Path) -> String {
    text(directory.join("app.log"))
}

/// A way to take the active segment's name away.
type Interference = fn(&Path);

const REPLACEMENTS: [(&str, Interference); 8] = [
    ("renamed", |active| fs::rename(active, active.with_extension("jsonl.1")).unwrap()),
    ("removed", |active| fs::remove_file(active).unwrap()),
    ("replaced", |active| {
        // logrotate's `create`
        fs::rename(active, active.with_extension("jsonl.1")).unwrap();
        fs::write(active, b"").unwrap();
    }),
    ("replaced", |active| {
        // sed -i
        let altered = text(active.to_path_buf()).replace("entry 7", "entry 8");
        fs::write(active.with_extension("new"), altered).unwrap();
        fs::rename(active.with_extension("new"), active).unwrap();
    }),
    ("replaced", |active| {
        fs::rename(active, active.with_extension("jsonl.1")).unwrap();
        symlink(active.with_extension("jsonl.1"), active).unwrap();
    }),
    ("replaced", |active| {
        fs::remove_file(active).unwrap();
        fs::create_dir(active).unwrap();
    }),
    // copytruncate
    ("truncated", |active| drop(fs::File::create(active).unwrap())),
    ("wrote into", |active| {
        let mut active = fs::OpenOptions::new().append(true).open(active).unwrap();
        std::io::Write::write_all(&mut active, b"half a line of somebody else").unwrap();
    }),
];

#[test]
fn an_active_segment_that_lost_its_name_or_bytes_is_restored_without_losing_a_line() {
    for (place, (cause, interfere)) in REPLACEMENTS.into_iter().enumerate() {
        let (directory, logger) = trail(JournalKind::Ring);
        let active = directory.path().join(ACTIVE);
        interfere(&active);
        record(&logger, 30..60);
        let metrics = logger.metrics();
        assert_eq!((metrics.restored, metrics.lost), (1, 0), "{place}");
        assert!(active.symlink_metadata().unwrap().is_file(), "{place}");
        interfere(&active);
        wait_until(|| logger.metrics().restored == 2);
        assert_eq!(numbers(directory.path(), &logger), (0..60).collect::<Vec<_>>(), "{place}");
        let recovered: Vec<_> = entries(directory.path())
            .into_iter()
            .filter(|entry| entry.description.starts_with("Audit trail recovered"))
            .collect();
        assert_eq!(recovered.len(), 2, "{place}");
        let own = recovered[0].own_record.as_ref().unwrap();
        assert!(own["cause"].as_str().unwrap().contains(cause), "{place}: {own:?}");
        assert!(app_log(directory.path()).contains("no line is lost"), "{place}");
        let logger = AuditLogger::open(config(directory.path())).unwrap();
        assert_eq!(logger.metrics().restored, 0);
    }
}

#[test]
fn a_stub_that_another_program_wrote_does_not_pass_for_its_line() {
    let (directory, logger) = trail(JournalKind::Ring);
    let active = directory.path().join(ACTIVE);
    let lines = text(active.clone());
    let forged: String = lines
        .lines()
        .map(|line| {
            let leaf = crate::leaf_of(line.as_bytes()).unwrap();
            if line.contains("entry 7") {
                crate::line::erased_line(leaf.seq, &leaf.hash)
            } else {
                line.to_owned()
            }
        })
        .map(|line| line + "\n")
        .collect();
    fs::write(&active, forged).unwrap();
    record(&logger, 30..60);
    assert_eq!(logger.metrics().lost, 0);
    assert_eq!(numbers(directory.path(), &logger), (0..60).collect::<Vec<_>>());
}

#[test]
fn what_another_program_put_in_the_place_of_a_segment_is_kept() {
    let (directory, logger) = trail(JournalKind::Ring);
    let active = directory.path().join(ACTIVE);
    fs::remove_file(&active).unwrap();
    fs::write(&active, "somebody's notes\n").unwrap();
    record(&logger, 30..31);
    assert_eq!(text(directory.path().join("audit.jsonl.aside")), "somebody's notes\n");
    let own = entries(directory.path()).into_iter().rev().find_map(|entry| entry.own_record).unwrap();
    assert_eq!(own["aside"], "audit.jsonl.aside");
}

#[test]
fn without_a_ring_a_renamed_segment_is_restored_from_its_descriptor() {
    let (directory, logger) = trail(JournalKind::Direct);
    fs::remove_file(directory.path().join(ACTIVE)).unwrap();
    record(&logger, 30..60);
    assert_eq!(numbers(directory.path(), &logger), (0..60).collect::<Vec<_>>());
}

#[test]
fn lines_that_nothing_holds_any_more_are_named_and_the_trail_goes_on() {
    for (journal, lost_bytes) in [(JournalKind::Direct, 0), (JournalKind::Ring, 1_000_000)] {
        let directory = tempfile::tempdir().unwrap();
        let logger =
            AuditLogger::open(config(directory.path()).journal(journal).journal_bytes(256 * 1024)).unwrap();
        let mut number = 0;
        while number == 0 || directory.path().join(ACTIVE).metadata().unwrap().len() < lost_bytes {
            record(&logger, number..number + 100);
            number += 100;
        }
        drop(fs::File::create(directory.path().join(ACTIVE)).unwrap());
        record(&logger, number..number + 10);
        let found = numbers(directory.path(), &logger);
        let lost = logger.metrics().lost;
        assert!(lost > 0, "{journal:?}");
        let all = entries(directory.path());
        assert_eq!(
            all.iter().filter(|entry| !entry.erased.is_empty()).count() as u64,
            lost,
            "each as a stub"
        );
        let recovered =
            all.iter().find(|entry| entry.description.starts_with("Audit trail recovered")).unwrap();
        assert!(recovered.level == "CRITICAL" && !recovered.success, "{recovered:?}");
        let ranges = recovered.own_record.as_ref().unwrap()["lost"].clone();
        let ranges: Vec<(u64, u64)> = serde_json::from_value(ranges).unwrap();
        assert_eq!(ranges.iter().map(|(first, last)| last - first + 1).sum::<u64>(), lost);
        let is_lost = |seq| ranges.iter().any(|(first, last)| (*first..=*last).contains(&seq));
        assert!(all.iter().all(|entry| is_lost(entry.seq) != entry.erased.is_empty()));
        assert!(found.ends_with(&(number..number + 10).collect::<Vec<_>>()), "what came later is there");
        let kept_of_ring = found.len() > 10;
        assert_eq!(kept_of_ring, journal == JournalKind::Ring, "{journal:?}: {} of {number}", found.len());
        let sealed = crate::sealed_segments(directory.path()).unwrap();
        assert!(sealed.iter().any(|segment| segment.first_seq == 0), "it continues in a new segment");
        drop(AuditLogger::open(config(directory.path())).unwrap());
    }
}

#[test]
fn a_directory_that_was_moved_or_removed_refuses_entries_by_name() {
    for (place, interfere) in [
        |directory: &Path| fs::remove_dir_all(directory).unwrap(),
        |directory: &Path| fs::rename(directory, directory.with_file_name("elsewhere")).unwrap(),
        |directory: &Path| {
            fs::rename(directory, directory.with_file_name("elsewhere")).unwrap();
            fs::create_dir(directory).unwrap();
        },
    ]
    .into_iter()
    .enumerate()
    {
        let root = tempfile::tempdir().unwrap();
        let logs = root.path().join("logs");
        let logger = AuditLogger::open(config(&logs)).unwrap();
        record(&logger, 0..10);
        interfere(&logs);
        let error = error_of(&logger);
        assert!(error.is_storage(), "{place}: {error}");
        let said = error.to_string();
        assert!(said.contains("moved or removed") && said.contains("logs"), "{place}: {said}");
        assert_eq!(said.contains("elsewhere"), place > 0, "{place}: {said}");
        assert!(logger.close(PATIENCE).unwrap_err().is_storage());
        if place > 0 {
            let moved = root.path().join("elsewhere");
            drop(fs::remove_dir(&logs));
            fs::rename(&moved, &logs).unwrap();
            let logger = AuditLogger::open(config(&logs)).unwrap();
            let found = numbers(&logs, &logger);
            assert_eq!(found[..10], (0..10).collect::<Vec<_>>()[..], "{place}");
        }
    }
}

#[test]
fn a_parent_that_was_renamed_does_not_scatter_the_trail() {
    let root = tempfile::tempdir().unwrap();
    let logs = root.path().join("parent/logs");
    let logger = AuditLogger::open(config(&logs).max_file_bytes(65_535)).unwrap();
    record(&logger, 0..10);
    fs::rename(root.path().join("parent"), root.path().join("moved")).unwrap();
    fs::create_dir_all(&logs).unwrap();
    assert!(error_of(&logger).is_storage());
    assert!(logger.close(PATIENCE).unwrap_err().is_storage());
    assert_eq!(fs::read_dir(&logs).unwrap().count(), 0);
}

#[test]
fn the_trails_own_directory_is_missed() {
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
        for (way, interfere) in [
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
            assert!(is_same || name == "checkpoint", "{name} {way}");
            record(&logger, 30..60);
            assert!(AuditLogger::open(config(directory.path())).unwrap_err().is_locked(), "{name} {way}");
            assert_eq!(numbers(directory.path(), &logger), (0..60).collect::<Vec<_>>(), "{name} {way}");
            assert!(
                name == "checkpoint" || app_log(directory.path()).contains(&format!("`.auditx/{name}` was")),
                "{name} {way}: {}",
                app_log(directory.path())
            );
            drop(AuditLogger::open(config(directory.path())).unwrap());
        }
    }
}

#[test]
fn entries_go_on_while_the_rings_file_is_restored_and_outlive_the_process_then() {
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
        // What a process leaves that is killed now is in the file that has the name.
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
fn projections_and_app_log_begin_again_under_their_names() {
    let (directory, logger) = trail(JournalKind::Ring);
    for name in ["security.jsonl", "app.log"] {
        let path = directory.path().join(name);
        logger.log_security("before").success(false).record().unwrap();
        logger.flush(PATIENCE).unwrap();
        // The watch has seen the file that is there.
        let looked = Instant::now();
        wait_until(|| looked.elapsed() > crate::watch::INTERVAL * 2);
        fs::rename(&path, path.with_extension("old")).unwrap();
        wait_until(|| path.is_file() && app_log(directory.path()).contains(name));
        assert!(app_log(directory.path()).contains("by another program"), "{name}");
        logger.log_security("after").success(false).record().unwrap();
        logger.flush(PATIENCE).unwrap();
        if name == "security.jsonl" {
            assert!(text(path.clone()).contains("after") && !text(path).contains("before"));
        }
    }
}

#[test]
fn a_sealed_segment_that_goes_away_is_noticed_and_one_that_is_not_signed_yet_is_restored() {
    let directory = tempfile::tempdir().unwrap();
    let logger = AuditLogger::open(config(directory.path()).max_file_bytes(65_535)).unwrap();
    record(&logger, 0..800);
    wait_until(|| logger.metrics().compressed >= 2);
    let first = &crate::sealed_segments(directory.path()).unwrap()[0];
    fs::remove_file(&first.path).unwrap();
    wait_until(|| logger.metrics().missing_segments == 1);
    assert!(app_log(directory.path()).contains("begins with line 0 was renamed or removed"));
    record(&logger, 800..801);
}

#[test]
fn a_relative_directory_is_not_looked_for_again() {
    // The current directory belongs to the whole process: a child that executes this test alone changes its own.
    let name = "logger::tests::interference::a_relative_directory_is_not_looked_for_again";
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
fn a_process_that_dies_before_it_notices_leaves_a_segment_that_the_next_open_finds() {
    for is_recreated in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let logger = AuditLogger::open(config(directory.path())).unwrap();
        record(&logger, 0..30);
        logger.close(PATIENCE).unwrap();
        let active = directory.path().join(ACTIVE);
        fs::rename(&active, directory.path().join("audit.jsonl-20261129")).unwrap();
        if is_recreated {
            fs::write(&active, b"").unwrap();
        }
        let logger = AuditLogger::open(config(directory.path())).unwrap();
        record(&logger, 30..31);
        assert_eq!(numbers(directory.path(), &logger), (0..31).collect::<Vec<_>>());
        let recovered = kinds(directory.path()).iter().filter(|kind| *kind == "recovered").count();
        assert_eq!(recovered, 1);

        // With something else under its name nobody decides, but the error says what was found.
        fs::rename(&active, directory.path().join("audit.jsonl.1")).unwrap();
        fs::write(&active, b"half a line").unwrap();
        let error = AuditLogger::open(config(directory.path())).unwrap_err();
        assert!(error.is_corrupt() && error.to_string().contains("`audit.jsonl.1` begins"), "{error}");
    }
}

#[test]
fn a_process_that_dies_while_it_restores_a_segment_loses_nothing() {
    const CHILD: &str = "AUDITX_TEST_RESTORING_CHILD";
    if let Ok(directory) = std::env::var(CHILD) {
        let directory = Path::new(&directory);
        let logger = AuditLogger::open(config(directory)).unwrap();
        record(&logger, 0..30);
        fs::rename(directory.join(ACTIVE), directory.join("audit.jsonl.1")).unwrap();
        fs::write(directory.join(ACTIVE), "somebody's notes\n").unwrap();
        record(&logger, 30..60);
        logger.close(PATIENCE).unwrap();
        return;
    }
    let test = "logger::tests::interference::a_process_that_dies_while_it_restores_a_segment_loses_nothing";
    for place in ["restore: name free#1", "restore: written#1"] {
        let directory = tempfile::tempdir().unwrap();
        let (_, was_killed) = super::kill_points::run_child(test, CHILD, directory.path(), place);
        assert!(was_killed, "{place}");
        let logger = AuditLogger::open(config(directory.path())).unwrap();
        let found = numbers(directory.path(), &logger);
        assert!(found.starts_with(&(0..30).collect::<Vec<_>>()), "{place}: {found:?}");
        assert!(text(directory.path().join("audit.jsonl.aside")).contains("notes"), "{place}");
    }
}

#[test]
fn a_new_trail_has_its_three_files_and_raises_no_alarm_while_it_idles() {
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
