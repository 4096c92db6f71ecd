//! Changes that other programs make to the directory of an open logger are noticed, restored or refused.

use std::os::unix::fs::symlink;

use auditx_store::config::{Durability, JournalKind};

use super::checkpoints::checked;
use super::*;

pub(super) const ACTIVE: &str = "audit.jsonl";

/// Returns a trail with some durable entries.
pub(super) fn trail(journal: JournalKind) -> (tempfile::TempDir, AuditLogger) {
    let directory = tempfile::tempdir().unwrap();
    let logger = AuditLogger::open(config(directory.path()).journal(journal)).unwrap();
    record(&logger, 0..30);
    (directory, logger)
}

pub(super) fn config(directory: &Path) -> Config {
    Config::new(directory).durability(Durability::Interval(Duration::from_millis(10)))
}

pub(super) fn record(logger: &AuditLogger, numbers: std::ops::Range<u32>) {
    let receipts: Vec<_> =
        numbers.map(|number| logger.log(format!("entry {number}")).record().unwrap()).collect();
    for receipt in receipts {
        receipt.wait_durable().unwrap();
    }
}

/// Records entries until that fails, and returns the error.
pub(super) fn error_of(logger: &AuditLogger) -> crate::Error {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        let outcome = logger.log("late").record().and_then(|receipt| receipt.wait_durable());
        if let Err(error) = outcome {
            return error;
        }
        assert!(Instant::now() < deadline, "no entry was refused");
    }
}

/// Closes the logger, checks the trail against its checkpoint, and returns the numbers of its entries in
/// order.
pub(super) fn numbers(directory: &Path, logger: &AuditLogger) -> Vec<u32> {
    logger.close(TIMEOUT).unwrap();
    assert_eq!(checked(logger).size(), entries(directory).len() as u64);
    entries(directory)
        .iter()
        .filter_map(|entry| entry.description.strip_prefix("entry ")?.parse().ok())
        .collect()
}

pub(super) fn app_log(directory: &Path) -> String {
    text(directory.join("app.log"))
}

/// A change to the file of the active segment.
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
        std::io::Write::write_all(&mut active, b"half a line of another program").unwrap();
    }),
];

#[test]
fn a_changed_active_segment_is_restored_without_losing_a_line() {
    for (case, (cause, interfere)) in REPLACEMENTS.into_iter().enumerate() {
        let (directory, logger) = trail(JournalKind::Ring);
        let active = directory.path().join(ACTIVE);
        interfere(&active);
        record(&logger, 30..60);
        let metrics = logger.metrics();
        assert_eq!((metrics.restored, metrics.lost), (1, 0), "{case}");
        assert!(active.symlink_metadata().unwrap().is_file(), "{case}");
        interfere(&active);
        wait_until(|| logger.metrics().restored == 2);
        assert_eq!(numbers(directory.path(), &logger), (0..60).collect::<Vec<_>>(), "{case}");
        let recovered: Vec<_> = entries(directory.path())
            .into_iter()
            .filter(|entry| entry.description.starts_with("Audit trail recovered"))
            .collect();
        assert_eq!(recovered.len(), 2, "{case}");
        let own = recovered[0].control_record.as_ref().unwrap();
        assert!(own["cause"].as_str().unwrap().contains(cause), "{case}: {own:?}");
        assert!(app_log(directory.path()).contains("no line is lost"), "{case}");
        let logger = AuditLogger::open(config(directory.path())).unwrap();
        assert_eq!(logger.metrics().restored, 0);
    }
}

#[test]
fn a_forged_stub_does_not_replace_its_line() {
    let (directory, logger) = trail(JournalKind::Ring);
    let active = directory.path().join(ACTIVE);
    let lines = text(active.clone());
    let forged: String = lines
        .lines()
        .map(|line| {
            let leaf = auditx_tlog::leaf_of(line.as_bytes()).unwrap();
            if line.contains("entry 7") {
                auditx_tlog::erased_line(leaf.seq, &leaf.hash)
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
fn a_file_that_replaced_a_segment_is_kept() {
    let (directory, logger) = trail(JournalKind::Ring);
    let active = directory.path().join(ACTIVE);
    fs::remove_file(&active).unwrap();
    fs::write(&active, "another program's data\n").unwrap();
    record(&logger, 30..31);
    assert_eq!(text(directory.path().join("audit.jsonl.aside")), "another program's data\n");
    let own = entries(directory.path()).into_iter().rev().find_map(|entry| entry.control_record).unwrap();
    assert_eq!(own["aside"], "audit.jsonl.aside");
}

#[test]
fn without_a_ring_a_segment_is_restored_from_its_descriptor() {
    let (directory, logger) = trail(JournalKind::Direct);
    fs::remove_file(directory.path().join(ACTIVE)).unwrap();
    record(&logger, 30..60);
    assert_eq!(numbers(directory.path(), &logger), (0..60).collect::<Vec<_>>());
}

#[test]
fn lost_lines_are_listed_and_the_trail_continues() {
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
            "each lost line has a stub"
        );
        let recovered =
            all.iter().find(|entry| entry.description.starts_with("Audit trail recovered")).unwrap();
        assert!(recovered.level == "CRITICAL" && !recovered.success, "{recovered:?}");
        let ranges = recovered.control_record.as_ref().unwrap()["lost"].clone();
        let ranges: Vec<(u64, u64)> = serde_json::from_value(ranges).unwrap();
        assert_eq!(ranges.iter().map(|(first, last)| last - first + 1).sum::<u64>(), lost);
        let is_lost = |seq| ranges.iter().any(|(first, last)| (*first..=*last).contains(&seq));
        assert!(all.iter().all(|entry| is_lost(entry.seq) != entry.erased.is_empty()));
        assert!(
            found.ends_with(&(number..number + 10).collect::<Vec<_>>()),
            "later entries are in the trail"
        );
        let is_partly_kept = found.len() > 10;
        assert_eq!(is_partly_kept, journal == JournalKind::Ring, "{journal:?}: {} of {number}", found.len());
        let sealed = auditx_store::sealed_segments(directory.path()).unwrap();
        assert!(sealed.iter().any(|segment| segment.first_seq == 0), "it continues in a new segment");
        drop(AuditLogger::open(config(directory.path())).unwrap());
    }
}

#[test]
fn a_moved_or_removed_directory_refuses_entries() {
    for (case, interfere) in [
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
        assert!(error.is_storage(), "{case}: {error}");
        let message = error.to_string();
        assert!(message.contains("moved or removed") && message.contains("logs"), "{case}: {message}");
        assert_eq!(message.contains("elsewhere"), case > 0, "{case}: {message}");
        assert_eq!(logger.metrics().restore_failures, 1);
        assert!(logger.close(TIMEOUT).unwrap_err().is_storage());
        if case > 0 {
            let moved = root.path().join("elsewhere");
            drop(fs::remove_dir(&logs));
            fs::rename(&moved, &logs).unwrap();
            let logger = AuditLogger::open(config(&logs)).unwrap();
            let found = numbers(&logs, &logger);
            assert_eq!(found[..10], (0..10).collect::<Vec<_>>()[..], "{case}");
        }
    }
}

#[test]
fn a_renamed_parent_does_not_split_the_trail() {
    let root = tempfile::tempdir().unwrap();
    let logs = root.path().join("parent/logs");
    let logger = AuditLogger::open(config(&logs).max_file_bytes(65_535)).unwrap();
    record(&logger, 0..10);
    fs::rename(root.path().join("parent"), root.path().join("moved")).unwrap();
    fs::create_dir_all(&logs).unwrap();
    assert!(error_of(&logger).is_storage());
    assert!(logger.close(TIMEOUT).unwrap_err().is_storage());
    assert_eq!(fs::read_dir(&logs).unwrap().count(), 0);
}

#[test]
fn a_renamed_segment_is_found_by_the_next_open() {
    for is_recreated in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let logger = AuditLogger::open(config(directory.path())).unwrap();
        record(&logger, 0..30);
        logger.close(TIMEOUT).unwrap();
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

        // If another file has its name, the open fails, but the error names the file that was found.
        fs::rename(&active, directory.path().join("audit.jsonl.1")).unwrap();
        fs::write(&active, b"half a line").unwrap();
        let error = AuditLogger::open(config(directory.path())).unwrap_err();
        assert!(error.is_corrupt() && error.to_string().contains("`audit.jsonl.1` begins"), "{error}");
    }
}

#[test]
fn a_process_killed_while_restoring_a_segment_loses_nothing() {
    const CHILD: &str = "AUDITX_TEST_RESTORING_CHILD";
    if let Ok(directory) = std::env::var(CHILD) {
        let directory = Path::new(&directory);
        let logger = AuditLogger::open(config(directory)).unwrap();
        record(&logger, 0..30);
        fs::rename(directory.join(ACTIVE), directory.join("audit.jsonl.1")).unwrap();
        fs::write(directory.join(ACTIVE), "another program's data\n").unwrap();
        record(&logger, 30..60);
        logger.close(TIMEOUT).unwrap();
        return;
    }
    let test = "logger::tests::interference::a_process_killed_while_restoring_a_segment_loses_nothing";
    for case in ["restore: name free#1", "restore: written#1"] {
        let directory = tempfile::tempdir().unwrap();
        let (_, was_killed) = super::kill_points::run_child(test, CHILD, directory.path(), case);
        assert!(was_killed, "{case}");
        let logger = AuditLogger::open(config(directory.path())).unwrap();
        let found = numbers(directory.path(), &logger);
        assert!(found.starts_with(&(0..30).collect::<Vec<_>>()), "{case}: {found:?}");
        assert!(
            text(directory.path().join("audit.jsonl.aside")).contains("another program's data"),
            "{case}"
        );
    }
}
