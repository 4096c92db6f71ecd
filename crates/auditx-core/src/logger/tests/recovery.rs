//! Opening a trail after a crash, a power loss or tampering.

use std::fs::OpenOptions;
use std::io::Write;

use auditx_store::Tiles;
use auditx_store::{checkpoint_history, checkpoint_path};

use super::checkpoints::{checked, root_of};
use super::*;

pub(super) const ACTIVE: &str = "audit.jsonl";

pub(super) fn config(directory: &Path) -> Config {
    Config::new(directory).max_file_bytes(65_535)
}

/// Returns a closed trail with several segments, the sealed ones compressed or not.
pub(super) fn closed(compression: Compression) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let logger = AuditLogger::open(config(directory.path()).compression(compression)).unwrap();
    for number in 0..100 {
        logger.log(format!("entry {number} {}", "x".repeat(2_000))).record().unwrap();
    }
    logger.close(TIMEOUT).unwrap();
    directory
}

fn append(directory: &Path, bytes: &[u8]) {
    OpenOptions::new().append(true).open(directory.join(ACTIVE)).unwrap().write_all(bytes).unwrap();
}

pub(super) fn edit(path: &Path, edit: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    edit(&mut bytes);
    fs::write(path, bytes).unwrap();
}

pub(super) fn refusal(directory: &Path) -> Error {
    let before: Vec<_> = snapshot(directory);
    let error = AuditLogger::open(config(directory)).unwrap_err();
    assert!(error.is_corrupt(), "{error}");
    assert_eq!(snapshot(directory), before, "evidence is left unchanged");
    error
}

/// Returns the bytes of every segment.
fn snapshot(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("audit"))
        .map(|path| (path.to_string_lossy().into_owned(), fs::read(&path).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn a_clean_close_leaves_nothing_to_recover() {
    for compression in [Compression::None, Compression::Zstd] {
        let directory = closed(compression);
        let logger = AuditLogger::open(config(directory.path())).unwrap();
        logger.close(TIMEOUT).unwrap();
        assert!(!kinds(directory.path()).contains(&"recovered".to_owned()));
        assert!(!text(directory.path().join("app.log")).contains("rebuilt"));
        checked(&logger);
    }
}

#[test]
fn unsigned_lines_are_kept_and_recorded() {
    let directory = closed(Compression::None);
    let next = entries(directory.path()).len() as u64;
    append(
        directory.path(),
        format!("{{\"seq\":{next},\"description\":\"a\"}}\n{{\"seq\":{},\"description\":\"b\"}}\n", next + 1)
            .as_bytes(),
    );
    let logger = AuditLogger::open(config(directory.path())).unwrap();
    logger.close(TIMEOUT).unwrap();
    let entries = entries(directory.path());
    let recovered = entries
        .iter()
        .find_map(|entry| entry.control_record.as_ref().filter(|own| own["kind"] == "recovered"));
    assert_eq!(recovered.unwrap()["unsigned_lines"], 2);
    assert_eq!(checked(&logger).size(), entries.len() as u64);
}

#[test]
fn a_torn_tail_after_a_power_loss_is_set_aside() {
    for torn in [
        b"{\"seq\":".to_vec(),
        vec![0; 5_000],
        b"\n".to_vec(),
        b"{\"seq\":999,\"x\":1}\n".to_vec(),
        b"{\"seq\":NEXT,\"x\":\"\xff\"}\n{\"seq\":1}\n".to_vec(),
    ] {
        let directory = closed(Compression::None);
        let next = entries(directory.path()).len().to_string();
        let torn = match memchr::memmem::find(&torn, b"NEXT") {
            Some(at) => [&torn[..at], next.as_bytes(), &torn[at + 4..]].concat(),
            None => torn,
        };
        let signed = root_of(directory.path(), next.parse().unwrap());
        append(directory.path(), &torn);
        let logger = AuditLogger::open(config(directory.path())).unwrap();
        logger.close(TIMEOUT).unwrap();
        assert_eq!(fs::read(directory.path().join(format!("audit.torn-{next}"))).unwrap(), torn);
        assert_eq!(root_of(directory.path(), next.parse().unwrap()), signed);
        checked(&logger);
    }
}

#[test]
fn a_truncated_trail_is_refused_with_its_first_missing_line() {
    let directory = closed(Compression::None);
    let count = entries(directory.path()).len() as u64;
    edit(&directory.path().join(ACTIVE), |bytes| {
        let end = bytes[..bytes.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap();
        bytes.truncate(end + 1);
    });
    assert_eq!(refusal(directory.path()).seq(), Some(count - 1));
    // Also if the file ends in the middle of a signed line.
    edit(&directory.path().join(ACTIVE), |bytes| bytes.truncate(bytes.len() - 7));
    assert_eq!(refusal(directory.path()).seq(), Some(count - 2));
    fs::remove_file(directory.path().join(ACTIVE)).unwrap();
    assert!(refusal(directory.path()).seq().unwrap() < count - 2);
}

#[test]
fn an_altered_line_near_the_end_is_refused_with_its_number() {
    let directory = closed(Compression::None);
    let path = directory.path().join(ACTIVE);
    let first: u64 = text(path.clone())
        .lines()
        .next()
        .map(|line| auditx_tlog::parse_seq(line.as_bytes()).unwrap())
        .unwrap();
    edit(&path, |bytes| {
        let second = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        bytes[second + 120] ^= 1;
    });
    let error = refusal(directory.path());
    assert_eq!(error.seq(), Some(first + 1), "{error}");
    assert!(error.to_string().contains("--accept-loss"), "{error}");
}

#[test]
fn a_missing_or_damaged_cache_is_rebuilt_from_the_lines() {
    for compression in [Compression::None, Compression::Zstd] {
        for damage in [
            (|tiles: &Path| fs::remove_dir_all(tiles).unwrap()) as fn(&Path),
            |tiles| edit(&tiles.join("0"), |bytes| bytes[40] ^= 1),
            |tiles| edit(&tiles.join("0"), |bytes| bytes.truncate(64)),
        ] {
            let directory = closed(compression);
            damage(&directory.path().join(".auditx/tiles"));
            let logger = AuditLogger::open(config(directory.path())).unwrap();
            logger.close(TIMEOUT).unwrap();
            let checkpoint = checked(&logger);
            let frontier = Tiles::open(directory.path()).frontier(checkpoint.size()).unwrap();
            assert_eq!(frontier.root().as_ref(), Some(checkpoint.root()));
            // An open only detects damage in nodes that it reads.
            let message = text(directory.path().join("app.log")).contains("rebuilt");
            assert!(message, "{compression:?}");
        }
    }
}

#[test]
fn without_a_cache_an_altered_line_is_still_refused() {
    let directory = closed(Compression::None);
    fs::remove_dir_all(directory.path().join(".auditx/tiles")).unwrap();
    edit(&directory.path().join("audit-00000000000000000000.jsonl"), |bytes| {
        let at = bytes.len() / 2;
        bytes[at] ^= 1;
    });
    refusal(directory.path());
}

#[test]
fn a_missing_foreign_or_altered_checkpoint_is_refused() {
    let directory = closed(Compression::None);
    let path = checkpoint_path(directory.path());
    let note = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    assert!(refusal(directory.path()).to_string().contains("no checkpoint"));

    for at in 0..note.len() {
        let mut altered = note.clone();
        altered[at] ^= 1;
        fs::write(&path, &altered).unwrap();
        let error = AuditLogger::open(config(directory.path())).unwrap_err();
        assert!(error.is_corrupt() || error.is_signing(), "{error}");
    }
    let other = closed(Compression::None);
    fs::write(&path, fs::read(checkpoint_path(other.path())).unwrap()).unwrap();
    assert!(refusal(directory.path()).to_string().contains("belongs to log"));
    // An older checkpoint of the same trail: a newer one is kept beside it, and covers the lines.
    let mut history: Vec<_> = fs::read_dir(checkpoint_history(directory.path()))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    history.sort_by_key(|path| path.file_name().unwrap().to_str().unwrap().parse::<u64>().unwrap());
    let oldest = fs::read(&history[0]).unwrap();
    fs::write(&path, &oldest).unwrap();
    AuditLogger::open(config(directory.path())).unwrap().close(TIMEOUT).unwrap();

    // Lines are missing as well: the trail was rolled back, which the newer checkpoint shows.
    let copy = closed(Compression::None);
    let path = checkpoint_path(copy.path());
    let size = auditx_tlog::SignedCheckpoint::parse(&fs::read(&path).unwrap()).unwrap().size();
    edit(&copy.path().join(ACTIVE), |bytes| {
        let last = memchr::memrchr(b'\n', &bytes[..bytes.len() - 1]).unwrap();
        bytes.truncate(last + 1);
    });
    let error = refusal(copy.path()).to_string();
    assert!(error.contains(&format!("covers {size} lines")), "{error}");
}

#[test]
fn a_trail_whose_first_process_died_at_once_opens() {
    let directory = tempfile::tempdir().unwrap();
    drop(AuditLogger::open(config(directory.path())).unwrap());
    fs::remove_file(checkpoint_path(directory.path())).unwrap();
    for lines in [2, 1, 0] {
        let path = directory.path().join(ACTIVE);
        let whole = text(path.clone());
        fs::write(&path, whole.lines().take(lines).map(|line| format!("{line}\n")).collect::<String>())
            .unwrap();
        let logger = AuditLogger::open(config(directory.path())).unwrap();
        checked(&logger);
        logger.close(TIMEOUT).unwrap();
        fs::remove_file(checkpoint_path(directory.path())).unwrap();
    }
    assert!(AuditLogger::open(config(directory.path())).unwrap_err().is_corrupt());
}

#[test]
fn a_trail_of_an_older_format_is_refused() {
    let directory = closed(Compression::None);
    let identity = directory.path().join(".auditx/trail.json");
    fs::write(&identity, text(identity.clone()).replace("\"format\": 2", "\"format\": 1")).unwrap();
    assert!(refusal(directory.path()).to_string().contains("format 1"));
}
