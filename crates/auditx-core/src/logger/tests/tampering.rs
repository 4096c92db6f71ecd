//! Opening a trail that another program tampered with: refused, or rebuilt from what the tree proves.

use std::fs::OpenOptions;

use auditx_format::control_record::StoredRecord;
use auditx_store::control_lines;
use auditx_store::key_source::KeySource;
use auditx_store::testing::CONTROL;

use super::recovery::{ACTIVE, closed, config, edit, refusal};
use super::*;

/// A name, a change to a closed trail, and a part of the resulting error message.
type Tampering = (&'static str, fn(&Path, &[auditx_store::SealedSegment]), &'static str);

fn text_of(path: &Path) -> String {
    text(path.to_path_buf())
}

/// Returns a `retired` record of another trail with the same number of lines.
fn foreign_retirement() -> Vec<u8> {
    let directory = closed(Compression::None);
    let logger = AuditLogger::open(config(directory.path())).unwrap();
    logger.retire(Retention::BackupCount(1)).unwrap();
    logger.close(TIMEOUT).unwrap();
    let copies = control_lines(directory.path()).unwrap().unwrap();
    let mut retirement =
        copies.into_iter().find(|line| StoredRecord::kind(line).as_deref() == Some("retired")).unwrap();
    retirement.push(b'\n');
    retirement
}

/// Readers do not trust a trail whose copies of control records are wrong, so with a copy that stayed wrong
/// they would have to read every line each time.
#[test]
fn wrong_copies_of_control_records_are_rewritten() {
    for (damage, lost) in [
        ((|copies| copies.extend(foreign_retirement())) as fn(&mut Vec<u8>), 0),
        (
            |copies| {
                let first = copies.iter().position(|byte| *byte == b'\n').unwrap();
                copies.truncate(first + 1);
            },
            0,
        ),
        // `genesis` was in a retired segment, so only its copy was left.
        (Vec::clear, 1),
    ] {
        let directory = closed(Compression::None);
        let logger = AuditLogger::open(config(directory.path())).unwrap();
        logger.rotate_key(&KeySource::Trail).unwrap();
        logger.retire(Retention::BackupCount(1)).unwrap();
        logger.close(TIMEOUT).unwrap();
        let expected = control_lines(directory.path()).unwrap().unwrap();
        assert_eq!(expected.len(), 3, "genesis, key, retired");
        edit(&directory.path().join(CONTROL), damage);
        let logger = AuditLogger::open(config(directory.path())).unwrap();
        wait_until(|| control_lines(directory.path()).unwrap().unwrap() == expected[lost..]);
        logger.close(TIMEOUT).unwrap();
    }
}

#[test]
fn tampering_with_names_or_lengths_is_refused() {
    let plain: [Tampering; 10] = [
        ("middle segment removed", |_, sealed| fs::remove_file(&sealed[1].path).unwrap(), "are missing"),
        ("first segment removed", |_, sealed| fs::remove_file(&sealed[0].path).unwrap(), "retired"),
        (
            "first segment removed, and the copies of control records",
            |directory, sealed| {
                fs::remove_file(&sealed[0].path).unwrap();
                fs::remove_file(directory.join(CONTROL)).unwrap();
            },
            "no record says that they were retired",
        ),
        (
            "first segment removed, and a `retired` record of another trail added",
            |directory, sealed| {
                fs::remove_file(&sealed[0].path).unwrap();
                edit(&directory.join(CONTROL), |copies| copies.extend(foreign_retirement()));
            },
            "no record says that they were retired",
        ),
        ("emptied", |_, sealed| fs::write(&sealed[1].path, b"").unwrap(), "is empty"),
        (
            "zeroed",
            |_, sealed| {
                let len = fs::metadata(&sealed[1].path).unwrap().len();
                fs::write(&sealed[1].path, vec![0; usize::try_from(len).unwrap()]).unwrap();
            },
            "does not begin with line",
        ),
        (
            "a hole",
            |_, sealed| {
                let len = fs::metadata(&sealed[1].path).unwrap().len();
                let head = &fs::read(&sealed[1].path).unwrap()[..4096];
                fs::write(&sealed[1].path, head).unwrap();
                OpenOptions::new().write(true).open(&sealed[1].path).unwrap().set_len(len).unwrap();
            },
            "has a hole",
        ),
        (
            "truncated at a line",
            |_, sealed| {
                let whole = text_of(&sealed[1].path);
                let lines: Vec<_> = whole.lines().collect();
                fs::write(&sealed[1].path, lines[..lines.len() - 3].join("\n") + "\n").unwrap();
            },
            "are missing",
        ),
        (
            "swapped",
            |directory, sealed| {
                let other = directory.join("other");
                fs::rename(&sealed[1].path, &other).unwrap();
                fs::rename(&sealed[2].path, &sealed[1].path).unwrap();
                fs::rename(&other, &sealed[2].path).unwrap();
            },
            "does not begin with line",
        ),
        (
            "an altered line in the active segment",
            |directory, _| {
                let whole = text_of(&directory.join(ACTIVE));
                fs::write(directory.join(ACTIVE), whole.replacen("entry", "entri", 1)).unwrap();
            },
            "is not what was signed",
        ),
    ];
    let compressed: [Tampering; 3] = [
        (
            "truncated",
            |_, sealed| {
                let whole = fs::read(&sealed[1].path).unwrap();
                fs::write(&sealed[1].path, &whole[..whole.len() - 7]).unwrap();
            },
            "is damaged",
        ),
        (
            "a second frame",
            |_, sealed| {
                let whole = fs::read(&sealed[1].path).unwrap();
                let more = zstd::encode_all(&b"{\"seq\":7,\"user\":\"forged\"}\n"[..], 1).unwrap();
                fs::write(&sealed[1].path, [whole, more].concat()).unwrap();
            },
            "is damaged",
        ),
        ("removed", |_, sealed| fs::remove_file(&sealed[1].path).unwrap(), "are missing"),
    ];
    for (compression, tamperings) in [(Compression::None, &plain[..]), (Compression::Zstd, &compressed)] {
        for (name, tamper, message) in tamperings {
            let directory = closed(compression);
            let list = || auditx_store::sealed_segments(directory.path()).unwrap();
            let is_compressed =
                || list().iter().all(|segment| segment.compressed == (compression == Compression::Zstd));
            let logger = AuditLogger::open(config(directory.path()).compression(compression)).unwrap();
            wait_until(is_compressed);
            logger.close(TIMEOUT).unwrap();
            let sealed = list();
            assert!(sealed.len() > 2);
            tamper(directory.path(), &sealed);
            let error = refusal(directory.path()).to_string();
            assert!(error.contains(message), "{name}: {error}");
        }
    }
}

#[test]
fn a_symlink_instead_of_a_segment_is_refused() {
    let directory = closed(Compression::None);
    let segment = auditx_store::sealed_segments(directory.path()).unwrap().remove(1);
    let elsewhere = directory.path().join("elsewhere");
    fs::rename(&segment.path, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &segment.path).unwrap();
    let error = AuditLogger::open(config(directory.path())).unwrap_err();
    assert!(error.is_storage() && error.to_string().contains("cannot examine a sealed segment"), "{error}");
    assert!(fs::symlink_metadata(&segment.path).unwrap().is_symlink());
}
