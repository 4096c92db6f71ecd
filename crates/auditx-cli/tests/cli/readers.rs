//! Tests that reading commands change nothing and report missing, altered, duplicate and unsigned lines.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use auditx_core::{AuditLogger, Cadence, Compression, Config};
use auditx_store::{ACTIVE, SegmentIndex, checkpoint_path, sealed_segments};
use auditx_tests::deadline::{TIMEOUT, wait_until};
use auditx_tlog::to_hex;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::program::{Ended, NOT_SIGNED, auditx, command, ended_with_remarks};
use crate::trail::{copied, directory, files, logger};

/// Creates a closed trail of several indexed segments. Every third entry has the user `admin`.
fn trail(compression: Compression) -> TempDir {
    let directory = directory();
    let config = Config::new(directory.path()).max_file_bytes(65_536).compression(compression);
    let logger = AuditLogger::open(config).unwrap();
    for number in 0..300 {
        let user = if number % 3 == 0 { "admin" } else { "clerk" };
        let text = format!("entry {number} {}", "x".repeat(700));
        logger.log(text).user(user).record().unwrap();
    }
    logger.flush(TIMEOUT).unwrap();
    let is_done = || {
        let metrics = logger.metrics();
        let compressed = if compression == Compression::Zstd { metrics.seals } else { 0 };
        metrics.indexed == metrics.seals && metrics.compressed == compressed
    };
    wait_until("indexes and compressed segments", is_done);
    logger.close(TIMEOUT).unwrap();
    assert!(sealed_segments(directory.path()).unwrap().len() > 3);
    directory
}

fn count(directory: &Path, arguments: &[&str]) -> Ended {
    auditx(&[&["query", "--count"], arguments].concat(), directory)
}

/// Runs every reading command that can select the user `admin`.
fn commands(directory: &Path) -> Vec<(&'static str, Ended)> {
    let zip = directory.with_extension("zip");
    let zip = zip.to_str().unwrap();
    let calls: [(&str, &[&str]); 7] = [
        ("query", &["query", "--user", "admin"]),
        ("query --no-index", &["query", "--user", "admin", "--no-index"]),
        ("query --order desc", &["query", "--user", "admin", "--order", "desc"]),
        ("stats", &["stats", "--by", "user"]),
        ("export", &["export", "--format", "ecs", "--user", "admin"]),
        ("bundle", &["bundle", "--user", "admin", "-o", zip]),
        ("history", &["history", "customer/CUST-1"]),
    ];
    calls.into_iter().map(|(name, arguments)| (name, auditx(arguments, directory))).collect()
}

fn index_of(directory: &Path, number: usize) -> PathBuf {
    let first_seq = sealed_segments(directory).unwrap()[number].first_seq;
    directory.join(format!(".auditx/index/{first_seq:020}.idx"))
}

/// Recomputes the XXH64 at the end of an index, as a forger would.
fn sign_again(index: &mut [u8]) {
    let (body, checksum) = index.split_at_mut(index.len() - 8);
    checksum.copy_from_slice(&xxhash_rust::xxh64::xxh64(body, 0).to_le_bytes());
}

#[test]
fn a_forged_index_hides_no_entry() {
    for compression in [Compression::None, Compression::Zstd] {
        let trail = trail(compression);
        let path = index_of(trail.path(), 1);
        let mut forged = fs::read(&path).unwrap();
        let blocks = u32::from_le_bytes(forged[20..24].try_into().unwrap());
        assert_eq!(blocks, 1);
        // The filter contains no value, and the times exclude every entry.
        let filter = 104 + 44;
        let len = u32::from_le_bytes(forged[144..148].try_into().unwrap()) as usize * 32;
        forged[filter..filter + len].fill(0);
        for times in [56, 104 + 16] {
            forged[times..times + 8].copy_from_slice(&1_i64.to_le_bytes());
            forged[times + 8..times + 16].copy_from_slice(&2_i64.to_le_bytes());
        }
        // The record that names it is forged as well.
        let body = filter + len;
        let digest: [u8; 32] = Sha256::digest(&forged[..body]).into();
        let record = String::from_utf8_lossy(&forged[body + 4..forged.len() - 8]).into_owned();
        let (before, _) = record.split_once("\"sha256\":\"").unwrap();
        let named = format!("{before}\"sha256\":\"{}\"}}}}", to_hex(&digest));
        assert_eq!(named.len(), record.len());
        let end = forged.len() - 8;
        forged[body + 4..end].copy_from_slice(named.as_bytes());
        sign_again(&mut forged);
        fs::write(&path, &forged).unwrap();
        let segment = &sealed_segments(trail.path()).unwrap()[1];
        assert!(SegmentIndex::read(trail.path(), segment).is_ok(), "it is well formed");
        for arguments in [&["--user", "admin"][..], &["--since", "2020-01-01", "--user", "admin"]] {
            let found = count(trail.path(), arguments);
            assert_eq!((found.status, found.out.as_str()), (Some(0), "100\n"), "{}", found.err);
        }
        let doctor = auditx(&["doctor"], trail.path());
        assert_eq!(doctor.status, Some(1), "{}", doctor.out);
        assert!(doctor.out.contains("index"), "{}", doctor.out);
    }
}

#[test]
fn every_command_reports_an_altered_line() {
    for (compression, is_active) in [(Compression::None, false), (Compression::None, true)] {
        let trail = trail(compression);
        let path = if is_active {
            trail.path().join(ACTIVE)
        } else {
            sealed_segments(trail.path()).unwrap()[1].path.clone()
        };
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replacen("\"user\":\"admin\"", "\"user\":\"bdmin\"", 1)).unwrap();
        for (name, ended) in commands(trail.path()) {
            if name == "history" {
                continue;
            }
            assert_eq!(ended.status, Some(2), "{name}: {}", ended.err);
            assert!(ended.err.contains("does not match what was signed"), "{name}: {}", ended.err);
        }
    }
}

#[test]
fn every_command_reports_missing_lines() {
    type Tamper = fn(&Path);
    let tamperings: [(&str, Tamper); 5] = [
        ("a segment in the middle", |path| fs::remove_file(&sealed_segments(path).unwrap()[1].path).unwrap()),
        ("the first segment", |path| fs::remove_file(&sealed_segments(path).unwrap()[0].path).unwrap()),
        ("the active segment", |path| fs::remove_file(path.join(ACTIVE)).unwrap()),
        ("zeros in the active segment", |path| {
            let file = fs::OpenOptions::new().write(true).open(path.join(ACTIVE)).unwrap();
            let len = usize::try_from(file.metadata().unwrap().len()).unwrap();
            file.write_all_at(&vec![0; len], 0).unwrap();
        }),
        ("the last line", |path| {
            let text = fs::read_to_string(path.join(ACTIVE)).unwrap();
            let last = text[..text.len() - 1].rfind('\n').unwrap();
            fs::write(path.join(ACTIVE), &text[..=last]).unwrap();
        }),
    ];
    for compression in [Compression::None, Compression::Zstd] {
        for (what, tamper) in &tamperings {
            let trail = trail(compression);
            tamper(trail.path());
            for (name, ended) in commands(trail.path()) {
                assert_eq!(ended.status, Some(2), "{what}, {name}: {}", ended.err);
            }
            let last = auditx(&["query", "--order", "desc", "-n", "1"], trail.path());
            let is_at_end = what.contains("active") || what.contains("last");
            assert_eq!(last.status, Some(if is_at_end { 2 } else { 0 }), "{what}: {}", last.err);
        }
    }
}

#[test]
fn every_command_reports_duplicate_lines_and_frames() {
    type Tamper = fn(&Path);
    let tamperings: [(&str, Compression, Tamper); 3] = [
        ("a copy of a segment under another name", Compression::None, |path| {
            let sealed = sealed_segments(path).unwrap();
            let copy = path.join(format!("audit-{:020}.jsonl", sealed[1].first_seq + 3));
            fs::copy(&sealed[1].path, copy).unwrap();
        }),
        ("a line of the active segment twice", Compression::None, |path| {
            let text = fs::read_to_string(path.join(ACTIVE)).unwrap();
            let first = text.lines().next().unwrap();
            fs::write(path.join(ACTIVE), format!("{first}\n{text}")).unwrap();
        }),
        ("a second frame", Compression::Zstd, |path| {
            let segment = &sealed_segments(path).unwrap()[1].path;
            let forged = br#"{"seq":77,"id":"i","timestamp":"2026-11-24T15:24:54.123456Z","user":"admin"}"#;
            let more = zstd::encode_all(&forged[..], 1).unwrap();
            let whole = fs::read(segment).unwrap();
            fs::write(segment, [whole, more].concat()).unwrap();
        }),
    ];
    for (what, compression, tamper) in &tamperings {
        let trail = trail(*compression);
        tamper(trail.path());
        for (name, ended) in commands(trail.path()) {
            assert_eq!(ended.status, Some(2), "{what}, {name}: {}", ended.err);
        }
    }
}

#[test]
fn every_command_reports_a_rollback_below_a_checkpoint() {
    let trail = trail(Compression::None);
    let kept = fs::read_dir(auditx_store::checkpoint_history(trail.path())).unwrap();
    let mut kept: Vec<PathBuf> = kept.map(|entry| entry.unwrap().path()).collect();
    kept.sort_by_key(|path| path.file_name().unwrap().to_str().unwrap().parse::<u64>().unwrap());
    fs::copy(&kept[0], checkpoint_path(trail.path())).unwrap();
    fs::remove_file(trail.path().join(ACTIVE)).unwrap();
    for (name, ended) in commands(trail.path()) {
        assert_eq!(ended.status, Some(2), "{name}: {}", ended.err);
    }
}

#[test]
fn lines_without_a_checkpoint_are_reported_as_unsigned() {
    let trail = trail(Compression::None);
    let copy = directory();
    fs::copy(trail.path().join(ACTIVE), copy.path().join(ACTIVE)).unwrap();
    let query = ended_with_remarks(&mut command(&["query", "--count"], copy.path()));
    assert_eq!((query.status, query.err.as_str()), (Some(0), NOT_SIGNED));
    let strict = ended_with_remarks(&mut command(&["query", "--count", "--strict"], copy.path()));
    assert_eq!(strict.status, Some(2));
    // A trail that lost its checkpoint is not treated as a copy.
    fs::remove_file(checkpoint_path(trail.path())).unwrap();
    let query = count(trail.path(), &[]);
    assert_eq!(query.status, Some(2));
    assert!(query.err.contains("the trail has no checkpoint"), "{}", query.err);
}

#[test]
fn files_of_the_python_package_are_read_but_not_verified() {
    let directory = directory();
    let line = |number: u32| {
        format!(
            "{{\"timestamp\": \"2026-11-24T09:00:{number:02}+00:00\", \
             \"level\": \"AUDIT\", \"description\": \"n{number}\"}}\n"
        )
    };
    let lines = |numbers: std::ops::Range<u32>| numbers.map(line).collect::<String>();
    fs::write(directory.path().join("audit.jsonl.2"), lines(0..5)).unwrap();
    fs::write(directory.path().join("audit.jsonl.1"), lines(5..10)).unwrap();
    fs::write(directory.path().join(ACTIVE), lines(10..15)).unwrap();
    let query = auditx(&["query", "-o", "raw"], directory.path());
    assert_eq!((query.status, query.out), (Some(0), lines(0..15)));
    let newest = auditx(&["query", "-o", "raw", "--order", "desc", "-n", "12"], directory.path());
    assert_eq!(newest.out, (3..15).rev().map(line).collect::<String>());
    let tail = auditx(&["tail", "-n", "7", "-o", "raw"], directory.path());
    assert_eq!(tail.out, lines(8..15));
    let verify = auditx(&["verify"], directory.path());
    assert_eq!(verify.status, Some(2));
    assert!(verify.err.contains("Python package"), "{}", verify.err);
}

/// Copies the files of an open trail whose last three entries no checkpoint covers, as after a kill.
fn killed() -> TempDir {
    let directory = directory();
    let seldom = Cadence::new(Duration::from_secs(3_600), 1_000_000);
    let logger = AuditLogger::open(Config::new(directory.path()).checkpoints(seldom)).unwrap();
    for number in 0..3 {
        logger.log(format!("entry {number}")).user("admin").record().unwrap();
    }
    logger.flush(TIMEOUT).unwrap();
    copied(directory.path())
}

#[test]
fn a_line_appended_after_a_kill_stays_unsigned() {
    let trail = killed();
    let active = trail.path().join(ACTIVE);
    let text = fs::read_to_string(&active).unwrap();
    let seq = text.lines().count();
    let last = text.lines().last().unwrap();
    let forged = last.replacen(&format!("\"seq\":{}", seq - 1), &format!("\"seq\":{seq}"), 1);
    let forged = forged.replace("entry 2", "forged");
    fs::write(&active, format!("{text}{forged}\n")).unwrap();
    let before = files(trail.path());

    let query = auditx(&["query", "--user", "admin", "-o", "table"], trail.path());
    assert_eq!(query.status, Some(0), "{}", query.err);
    assert!(query.err.contains("4 entries are not signed"), "{}", query.err);
    assert!(query.out.contains(&format!("{seq}*")), "{}", query.out);
    let verify = auditx(&["verify", "--json"], trail.path());
    assert_eq!(verify.status, Some(3));
    let verification: Value = serde_json::from_str(&verify.out).unwrap();
    assert!(verification["unsigned_lines"].as_u64().unwrap() >= 4, "{}", verify.out);
    let prove = auditx(&["prove", &seq.to_string()], trail.path());
    assert_eq!((prove.status, prove.out.as_str()), (Some(2), ""));
    assert!(prove.err.contains("is not signed yet"), "{}", prove.err);
    for arguments in [&["doctor"][..], &["checkpoint"], &["export", "--format", "ecs"], &["tail"]] {
        auditx(arguments, trail.path());
    }
    let dry_run = auditx(&["recover", "--dry-run"], trail.path());
    assert_eq!(dry_run.status, Some(0), "{}", dry_run.err);
    assert!(dry_run.out.starts_with("Not signed yet: "), "{}", dry_run.out);
    assert!(
        dry_run.out.contains(&format!("to {seq}")) && dry_run.out.contains("audit.jsonl, byte"),
        "{}",
        dry_run.out
    );
    assert_eq!(files(trail.path()), before, "nothing was changed");
}

#[test]
fn a_broken_trail_that_opens_can_be_replaced() {
    let trail = trail(Compression::None);
    let sealed = &sealed_segments(trail.path()).unwrap()[1].path;
    let text = fs::read_to_string(sealed).unwrap();
    fs::write(sealed, text.replacen("entry", "entri", 1)).unwrap();
    let verify = auditx(&["verify"], trail.path());
    assert_eq!(verify.status, Some(1));
    let recover = auditx(&["recover"], trail.path());
    assert_eq!((recover.status, recover.out.as_str()), (Some(1), ""), "{}", recover.err);
    let accepted = auditx(&["recover", "--accept-loss"], trail.path());
    assert_eq!(accepted.status, Some(0), "{}", accepted.err);
    assert!(accepted.out.contains("audit.set-aside-"), "{}", accepted.out);
    assert_eq!(auditx(&["verify"], trail.path()).status, Some(3));
}

#[test]
fn security_entries_are_read_from_the_trail_not_the_copy() {
    let directory = directory();
    let logger = logger(directory.path());
    for number in 0..3 {
        logger.log_security(format!("login {number} failed")).user("admin").success(false).record().unwrap();
    }
    logger.close(TIMEOUT).unwrap();
    let copy = directory.path().join("security.jsonl");
    let whole = fs::read_to_string(&copy).unwrap();
    let ask = || auditx(&["query", "--source", "security", "-o", "raw"], directory.path());
    assert_eq!((ask().status, ask().out), (Some(0), whole.clone()));
    for (changed, verdict) in [
        (whole.replacen("login 1", "login 7", 1), "wrong-projection"),
        (whole.lines().take(1).map(|line| format!("{line}\n")).collect(), "wrong-projection"),
        (String::new(), "short-projection"),
    ] {
        fs::write(&copy, &changed).unwrap();
        assert_eq!(ask().out, whole);
        let verify = auditx(&["verify", "--json"], directory.path());
        assert_eq!(verify.status, Some(3));
        assert!(verify.out.contains(verdict), "{verdict}: {}", verify.out);
    }
}
