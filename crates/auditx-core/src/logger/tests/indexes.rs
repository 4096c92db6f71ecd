//! The skip indexes of sealed segments from seal to retirement, including processes that die in between.

use auditx_store::Tiles;
use auditx_store::testing::open_segment;
use auditx_store::{SegmentIndex, sealed_segments};

use super::kill_points::run_child;
use super::*;

const CHILD: &str = "AUDITX_TEST_INDEXING_CHILD_OF";

fn config(directory: &Path, compression: Compression) -> Config {
    Config::new(directory).max_file_bytes(65_535).compression(compression)
}

fn fill(logger: &AuditLogger, count: usize) {
    for number in 0..count {
        logger.log(format!("entry {number} {}", "x".repeat(2_000))).record().unwrap();
    }
    logger.flush(TIMEOUT).unwrap();
}

/// Returns the number of segments with an index, after checking each index.
fn indexed(directory: &Path) -> usize {
    let count = |segment: &auditx_store::SealedSegment| {
        let Some(index) = SegmentIndex::read(directory, segment).unwrap() else { return 0 };
        let text = open_segment(&directory.into(), &segment.name(), segment.compressed).unwrap();
        assert_eq!(index.digest(), SegmentIndex::of(text).unwrap().digest(), "{}", segment.path.display());
        let file = fs::File::open(&segment.path).unwrap();
        assert!(index.is_of(&file, segment.compressed).unwrap());
        let record = index.record().unwrap();
        let leaf = Tiles::open(directory).node(0, record.seq);
        assert!(
            leaf.is_none_or(|leaf| leaf == record.hash),
            "the leaf hash differs (a killed process may have left none)"
        );
        1
    };
    sealed_segments(directory).unwrap().iter().map(count).sum()
}

fn names(directory: &Path) -> Vec<String> {
    let Ok(listed) = fs::read_dir(directory.join(".auditx/index")) else { return Vec::new() };
    let mut names: Vec<_> = listed.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Waits until every sealed segment has its index and there are no other index files.
fn wait_until_all_are_indexed(directory: &Path) {
    let expected = |directory| -> Vec<String> {
        let segments = sealed_segments(directory).unwrap();
        segments.iter().map(|segment| format!("{:020}.idx", segment.first_seq)).collect()
    };
    wait_until(|| names(directory) == expected(directory));
}

fn close(logger: &AuditLogger) {
    logger.close(TIMEOUT).unwrap();
    assert_eq!(logger.metrics().maintenance_failures, 0);
}

#[test]
fn every_sealed_segment_gets_an_index() {
    for compression in [Compression::None, Compression::Zstd] {
        let directory = tempfile::tempdir().unwrap();
        let logger = AuditLogger::open(config(directory.path(), compression)).unwrap();
        fill(&logger, 200);
        wait_until(|| logger.metrics().indexed == logger.metrics().seals);
        wait_until_all_are_indexed(directory.path());
        close(&logger);
        let segments = sealed_segments(directory.path()).unwrap();
        assert!(segments.len() > 4);
        assert_eq!(indexed(directory.path()), segments.len());
    }
}

#[test]
fn a_missing_damaged_or_wrong_index_is_rebuilt_at_open() {
    for compression in [Compression::None, Compression::Zstd] {
        let directory = tempfile::tempdir().unwrap();
        let logger = AuditLogger::open(config(directory.path(), compression)).unwrap();
        fill(&logger, 200);
        wait_until_all_are_indexed(directory.path());
        wait_until(|| {
            compression == Compression::None || logger.metrics().compressed == logger.metrics().seals
        });
        close(&logger);
        let files: Vec<_> = names(directory.path())
            .iter()
            .map(|name| directory.path().join(".auditx/index").join(name))
            .collect();
        fs::remove_file(&files[0]).unwrap();
        fs::write(&files[1], "damaged").unwrap();
        if compression == Compression::None {
            let other = text(sealed_segments(directory.path()).unwrap()[2].path.clone()).replace("xxx", "xx");
            fs::write(&files[2], SegmentIndex::of(other.as_bytes()).unwrap().encode()).unwrap();
        }
        fs::rename(&files[4], &files[3]).unwrap();
        let count = files.len();
        let logger = AuditLogger::open(config(directory.path(), compression)).unwrap();
        wait_until_all_are_indexed(directory.path());
        let made = if compression == Compression::None { 5 } else { 4 };
        wait_until(|| logger.metrics().indexed == made);
        close(&logger);
        assert_eq!(indexed(directory.path()), count);
    }
}

#[test]
fn an_index_follows_erasure_and_retirement() {
    for compression in [Compression::None, Compression::Zstd] {
        let directory = tempfile::tempdir().unwrap();
        let logger = AuditLogger::open(config(directory.path(), compression)).unwrap();
        fill(&logger, 200);
        wait_until_all_are_indexed(directory.path());
        logger.erase(5, "request of the person").unwrap();
        assert!(indexed(directory.path()) > 4, "at once");
        let first = &sealed_segments(directory.path()).unwrap()[0];
        let index = SegmentIndex::read(directory.path(), first).unwrap().unwrap();
        assert_eq!(
            index.times(),
            auditx_store::TimeRange::UNBOUNDED,
            "the time of the erased line is unknown"
        );
        let retired = logger.retire(Retention::BackupCount(2)).unwrap();
        assert!(retired.segments.len() > 2);
        wait_until_all_are_indexed(directory.path());
        close(&logger);
        assert_eq!((indexed(directory.path()), names(directory.path()).len()), (2, 2));
    }
}

#[test]
fn a_trail_continues_and_reports_if_no_index_can_be_written() {
    let directory = tempfile::tempdir().unwrap();
    let logger = AuditLogger::open(config(directory.path(), Compression::Zstd)).unwrap();
    let path = directory.path().join(".auditx/index");
    fs::write(&path, "in the way").unwrap();
    fill(&logger, 200);
    wait_until(|| logger.metrics().compressed == logger.metrics().seals);
    assert!(logger.metrics().maintenance_failures > 0);
    let log = text(directory.path().join("app.log"));
    assert!(log.contains("cannot write the index of a segment") && log.contains("whole segment"), "{log}");
    logger.erase(5, "request of the person").unwrap();
    assert!(!logger.retire(Retention::BackupCount(2)).unwrap().segments.is_empty());
    fs::remove_file(&path).unwrap();
    fill(&logger, 50);
    wait_until_all_are_indexed(directory.path());
    logger.close(TIMEOUT).unwrap();
    assert_eq!(indexed(directory.path()), sealed_segments(directory.path()).unwrap().len());
}

#[test]
fn a_damaged_segment_is_reported_once_and_others_are_indexed() {
    let directory = tempfile::tempdir().unwrap();
    let logger = AuditLogger::open(config(directory.path(), Compression::None)).unwrap();
    fill(&logger, 200);
    wait_until_all_are_indexed(directory.path());
    close(&logger);
    let path = sealed_segments(directory.path()).unwrap()[1].path.clone();
    let whole = text(path.clone());
    fs::write(&path, whole.replacen("entry", "entri", 1)).unwrap();
    fs::remove_dir_all(directory.path().join(".auditx/index")).unwrap();
    let logger = AuditLogger::open(config(directory.path(), Compression::None)).unwrap();
    let count = sealed_segments(directory.path()).unwrap().len() - 1;
    wait_until(|| names(directory.path()).len() == count);
    fill(&logger, 100);
    wait_until(|| names(directory.path()).len() == sealed_segments(directory.path()).unwrap().len() - 1);
    logger.close(TIMEOUT).unwrap();
    assert_eq!(logger.metrics().maintenance_failures, 1);
    assert_eq!(
        text(directory.path().join("app.log")).matches("is not the line that was recorded").count(),
        1
    );
}

#[test]
fn a_new_trail_removes_the_indexes_of_an_earlier_one() {
    let directory = tempfile::tempdir().unwrap();
    let logger = AuditLogger::open(config(directory.path(), Compression::None)).unwrap();
    fill(&logger, 100);
    wait_until_all_are_indexed(directory.path());
    close(&logger);
    // Like a user who starts a new trail by hand.
    for segment in sealed_segments(directory.path()).unwrap() {
        fs::remove_file(segment.path).unwrap();
    }
    fs::remove_file(directory.path().join("audit.jsonl")).unwrap();
    fs::remove_file(auditx_store::checkpoint_path(directory.path())).unwrap();
    let logger = AuditLogger::open(config(directory.path(), Compression::None)).unwrap();
    assert_eq!(names(directory.path()), [] as [&str; 0]);
    close(&logger);
}

/// Runs in the child process: seals, erases and retires.
#[test]
fn child() {
    let Ok(directory) = std::env::var(CHILD) else { return };
    let directory = Path::new(&directory);
    let logger = AuditLogger::open(config(directory, Compression::Zstd)).unwrap();
    fill(&logger, 200);
    wait_until_all_are_indexed(directory);
    logger.erase(5, "request of the person").unwrap();
    logger.retire(Retention::BackupCount(2)).unwrap();
    logger.close(TIMEOUT).unwrap();
}

#[test]
fn a_killed_process_leaves_no_index_or_a_correct_one() {
    for point in [
        "index: made#1",
        "index: made#3",
        "erase: index removed#1",
        "erase: segment replaced#1",
        "retire: index removed#1",
        "retire: index removed#2",
    ] {
        let directory = tempfile::tempdir().unwrap();
        let (output, was_killed) = run_child("logger::tests::indexes::child", CHILD, directory.path(), point);
        assert!(was_killed, "{point} is never reached: {output}");
        indexed(directory.path());
        let logger = AuditLogger::open(config(directory.path(), Compression::Zstd)).unwrap();
        wait_until_all_are_indexed(directory.path());
        // Fails if the line is already retired or erased.
        drop(logger.erase(5, "request of the person"));
        // A segment that a follower has not read yet is not retired.
        wait_until(|| {
            logger.retire(Retention::BackupCount(2)).unwrap();
            sealed_segments(directory.path()).unwrap().len() == 2
        });
        wait_until_all_are_indexed(directory.path());
        close(&logger);
        assert_eq!(indexed(directory.path()), 2, "{point}");
    }
}
