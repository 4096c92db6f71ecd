//! Invalid input and failing disks: `record()` and `open()` return a clear error, and other entries are
//! unaffected.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use auditx_core::{Amount, AuditAction, AuditLogger, BusinessModule, Carrier, Config, Error, RequestContext};
use auditx_store::lock_holder;
use auditx_tests::child::Child;
use auditx_tests::deadline::TIMEOUT;
use auditx_tests::tmpfs::Tmpfs;
use auditx_tests::trail::{Line, entries, lines};
use rustix::process::Signal;
use serde_json::{Value, json};

fn open(directory: &Path) -> AuditLogger {
    AuditLogger::open(Config::new(directory)).unwrap()
}

fn descriptions(lines: &[Line]) -> Vec<&str> {
    lines.iter().map(Line::description).collect()
}

/// Records an entry that must be refused.
type Refuse<'r> = &'r dyn Fn(&AuditLogger) -> Error;

/// Asserts that each of these entries is refused, and that the entries before and after them are recorded.
fn assert_only_these_refused(refuse: &[Refuse<'_>], check: impl Fn(usize, &Error)) {
    let directory = tempfile::tempdir().unwrap();
    let logger = open(directory.path());
    for (number, refuse) in refuse.iter().enumerate() {
        logger.log(format!("before {number}")).record().unwrap();
        check(number, &refuse(&logger));
    }
    logger.log("after").record().unwrap();
    assert_eq!(logger.metrics().rejected, refuse.len() as u64);
    logger.close(TIMEOUT).unwrap();
    let mut expected: Vec<String> = (0..refuse.len()).map(|number| format!("before {number}")).collect();
    expected.push("after".to_owned());
    assert_eq!(descriptions(&entries(directory.path())), expected);
    assert!(lines(directory.path()).iter().all(|line| line.kind() != Some("gap")), "nothing was lost");
}

#[test]
fn a_too_large_value_is_refused_with_its_name_and_size() {
    let long = "x".repeat(70_000);
    let escaped = "\u{1}".repeat(11_000);
    let named: [(&str, &str, Refuse<'_>); 5] = [
        ("metadata.note", "70002", &|logger| {
            logger.log("x").metadata("note", &long).metadata("other", "y").record().unwrap_err()
        }),
        ("new_values.text", "70002", &|logger| {
            logger.log("x").new_values(json!({"text": long, "n": 1})).record().unwrap_err()
        }),
        ("description", "70002", &|logger| logger.log(&long).record().unwrap_err()),
        ("endpoint", "70002", &|logger| logger.log("x").endpoint(&long).record().unwrap_err()),
        // Each of these characters is escaped to six bytes.
        ("user", "66002", &|logger| logger.log("x").user(&escaped).record().unwrap_err()),
    ];
    let refuse: Vec<Refuse<'_>> = named.iter().map(|(_, _, refuse)| *refuse).collect();
    assert_only_these_refused(&refuse, |number, error| {
        assert!(error.is_too_large(), "{error:?}");
        let (name, size, _) = named[number];
        let message = error.to_string();
        assert!(message.contains(&format!("largest field is {name} with {size} bytes")), "{message}");
        assert!(message.contains("65535"), "{message}");
    });
}

#[test]
fn only_lines_up_to_the_maximum_length_are_accepted() {
    let directory = tempfile::tempdir().unwrap();
    let logger = open(directory.path());
    let record = |len: usize| logger.log("x").metadata("text", "x".repeat(len)).record();
    let message = record(70_000).unwrap_err().to_string();
    let size = message.strip_prefix("an entry of ").and_then(|rest| rest.split(' ').next()).unwrap();
    let fits = 70_000 - (size.parse::<usize>().unwrap() - 65_535);
    assert!(record(fits + 1).unwrap_err().is_too_large());
    record(fits).unwrap();
    logger.close(TIMEOUT).unwrap();
    let entries = entries(directory.path());
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].json["metadata"]["text"].as_str().unwrap().len(), fits);
}

#[test]
fn too_deeply_nested_json_is_refused() {
    fn nested(levels: usize) -> Value {
        (0..levels).fold(
            Value::Null,
            |inner, level| {
                if level % 2 == 0 { json!([inner]) } else { json!({"down": inner}) }
            },
        )
    }
    let refuse: [Refuse<'_>; 4] = [
        &|logger| logger.log("x").metadata("deep", nested(200)).record().unwrap_err(),
        &|logger| logger.log("x").old_values(nested(200)).record().unwrap_err(),
        &|logger| logger.log("x").new_values(nested(2_000)).record().unwrap_err(),
        &|logger| {
            let _scope = RequestContext::new().extra("deep", nested(200)).enter();
            logger.log("x").record().unwrap_err()
        },
    ];
    assert_only_these_refused(&refuse, |_, error| {
        assert!(error.is_invalid() && error.to_string().contains("nested deeper than"), "{error:?}");
    });
}

#[test]
fn invalid_amounts_are_refused() {
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let error = Amount::from_f64(value).unwrap_err();
        assert!(error.is_invalid() && error.to_string().contains("not a finite number"), "{error:?}");
    }
    for text in ["NaN", "1e3", "1,250", "0x10", "", "--1", "1.2.3"] {
        let error = Amount::parse(text).unwrap_err();
        assert!(error.is_invalid() && error.to_string().contains(&format!("{text:?}")), "{error:?}");
    }
}

#[test]
fn invalid_modules_and_actions_are_refused() {
    let refuse: [Refuse<'_>; 4] = [
        &|logger| logger.log("x").module(BusinessModule::other("two words")).record().unwrap_err(),
        &|logger| logger.log("x").action(AuditAction::other("semi;colon")).record().unwrap_err(),
        &|logger| logger.log("x").module(BusinessModule::other("")).record().unwrap_err(),
        &|logger| logger.log("x").action(AuditAction::other("x".repeat(65))).record().unwrap_err(),
    ];
    assert_only_these_refused(&refuse, |number, error| {
        let what = if number % 2 == 0 { "module" } else { "action" };
        assert!(
            error.is_invalid() && error.to_string().starts_with(&format!("invalid {what} ")),
            "{error:?}"
        );
    });
    assert!("ล็อก".parse::<BusinessModule>().unwrap_err().is_invalid());
    assert!("a b".parse::<AuditAction>().unwrap_err().is_invalid());
}

#[test]
fn an_invalid_carrier_is_refused() {
    let good = RequestContext::new().user("admin").ip([10, 0, 0, 1].into()).to_carrier();
    let with = |key: &str, value: &str| -> Carrier {
        let others = good.iter().filter(|(other, _)| *other != key);
        others.chain([(key, value)]).collect()
    };
    for (carrier, names) in [
        (with("auditx-version", "2"), "version \"2\""),
        (with("auditx-version", ""), "version"),
        (with("auditx-ip", "10.0.0.256"), "10.0.0.256"),
        (with("auditx-extra", "[1]"), "auditx-extra"),
        (with("auditx-extra", "{"), "auditx-extra"),
        (Carrier::from_iter([("other", "map")]), "auditx-version"),
    ] {
        let error = RequestContext::from_carrier(&carrier).unwrap_err();
        assert!(error.is_invalid() && error.to_string().contains(names), "{error:?}");
    }
    let newer = with("auditx-tenant", "north");
    let context = RequestContext::from_carrier(&newer).unwrap();
    assert_eq!(context.fields().user, "admin");
    assert_eq!(context.to_carrier(), newer, "keys of a later version are passed on");
}

fn assert_storage(outcome: Result<AuditLogger, Error>, path: &Path) {
    let error = outcome.unwrap_err();
    assert!(error.is_storage(), "{error:?}");
    assert!(error.path().is_some_and(|named| named.starts_with(path)), "{error:?}");
    assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
}

#[test]
fn the_error_names_a_directory_that_cannot_be_created() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, b"in the way").unwrap();
    assert_storage(AuditLogger::open(Config::new(file.join("logs"))), &file);
    assert_storage(AuditLogger::open(Config::new(&file)), &file);
    assert_eq!(fs::read(&file).unwrap(), b"in the way");
}

#[test]
fn a_symlink_or_fifo_instead_of_a_segment_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let victim = directory.path().join("victim");
    fs::write(&victim, b"another program's").unwrap();
    let dangling = directory.path().join("missing");
    let make_pipe = |active: &Path| assert!(Command::new("mkfifo").arg(active).status().unwrap().success());
    let make: [&dyn Fn(&Path); 3] = [
        &|active| symlink(&victim, active).unwrap(),
        &|active| symlink(&dangling, active).unwrap(),
        &make_pipe,
    ];
    for (number, make) in make.iter().enumerate() {
        let trail = directory.path().join(format!("trail {number}"));
        fs::create_dir(&trail).unwrap();
        let active = trail.join("audit.jsonl");
        make(&active);
        assert_storage(AuditLogger::open(Config::new(&trail)), &active);
    }
    assert_eq!(fs::read(&victim).unwrap(), b"another program's");
    assert!(!dangling.exists());
}

#[test]
fn an_exclusive_process_is_refused_while_another_runs() {
    let directory = tempfile::tempdir().unwrap();
    let first = Child::start(Command::new(env!("CARGO_BIN_EXE_leave")).arg(directory.path()).arg("stay"));
    while first.next_line().unwrap() != "leaving" {}
    let holder = format!("process {}", first.id());
    let error = AuditLogger::open(Config::new(directory.path()).exclusive(true)).unwrap_err();
    assert!(error.is_locked() && error.to_string().contains(&holder), "{error:?}");
    assert_eq!(error.path(), Some(directory.path()));
    assert_eq!(lock_holder(directory.path()).unwrap(), Some(holder));

    first.signal(Signal::KILL);
    first.end();
    assert_eq!(lock_holder(directory.path()).unwrap(), None);
    open(directory.path()).close(TIMEOUT).unwrap();
    assert_eq!(entries(directory.path()).len(), 100);
}

/// Mounts a tmpfs; if that is not permitted, prints what covers the same.
fn small_disk(bytes: u64) -> Option<Tmpfs> {
    let mounted = Tmpfs::mount(bytes);
    if mounted.is_none() {
        println!("cannot mount a tmpfs; the unit tests of auditx-core cover the same with a simulated disk");
    }
    mounted
}

/// Fills the disk with a file and returns its path.
fn fill(disk: &Tmpfs) -> PathBuf {
    let ballast = disk.path().join("ballast");
    let mut file = fs::File::create(&ballast).unwrap();
    let error = std::io::copy(&mut std::io::repeat(b'x'), &mut file).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    ballast
}

/// Frees the space. Truncates the file first: a child between fork and exec may still have it open.
fn free_space(ballast: &Path) {
    fs::write(ballast, b"").unwrap();
    fs::remove_file(ballast).unwrap();
}

#[test]
fn the_error_names_a_read_only_disk() {
    let Some(disk) = small_disk(256 * 1024) else { return };
    let trail = disk.path().join("trail");
    let logger = open(&trail);
    logger.log("while it was writable").record().unwrap();
    logger.close(TIMEOUT).unwrap();
    drop(logger);
    disk.forbid_writing();
    assert_storage(AuditLogger::open(Config::new(&trail)), &trail);
    assert_storage(AuditLogger::open(Config::new(disk.path().join("another"))), disk.path());
    assert_eq!(descriptions(&entries(&trail)), ["while it was writable"]);
}

#[test]
fn a_full_disk_refuses_entries_and_the_gap_is_recorded() {
    let Some(disk) = small_disk(256 * 1024) else { return };
    let trail = disk.path().join("trail");
    let logger = open(&trail);
    let ballast = fill(&disk);
    // Entries that fit into the active segment's last page are still accepted.
    let mut accepted = 0_u64;
    let mut refused = 0_u64;
    while refused < 9 {
        match logger.log("Goods received").metadata("text", "x".repeat(500)).record() {
            Ok(_) => {
                assert_eq!(refused, 0, "there is no space for another entry of the same size");
                accepted += 1;
            }
            Err(error) => {
                assert!(error.is_storage(), "{error:?}");
                assert_eq!(error.path(), Some(trail.join("audit.jsonl").as_path()));
                refused += 1;
            }
        }
    }
    let on_disk = fs::read_to_string(trail.join("audit.jsonl")).unwrap();
    assert!(on_disk.ends_with("}\n"), "the incomplete line was rolled back");
    free_space(&ballast);
    logger.log("The disk has space again").record().unwrap();
    let metrics = logger.metrics();
    assert_eq!((metrics.accepted, metrics.rejected), (accepted + 1, refused));
    logger.close(TIMEOUT).unwrap();
    open(&trail).close(TIMEOUT).unwrap();

    let lines = lines(&trail);
    let gap = lines.iter().position(|line| line.kind() == Some("gap")).unwrap();
    assert_eq!(lines[gap].json["auditx"]["count"], refused);
    assert!(lines[gap].json["auditx"]["why"].as_str().unwrap().contains("No space left"));
    assert_eq!(lines[gap + 1].description(), "The disk has space again");
    assert_eq!(lines.iter().filter(|line| line.kind() == Some("gap")).count(), 1);
    let received = lines.iter().filter(|line| line.description() == "Goods received").count();
    assert_eq!(received as u64, accepted);
    // The follower's cursor could not be saved, but no line is repeated.
    let security = fs::read_to_string(trail.join("security.jsonl")).unwrap();
    assert_eq!(security.lines().collect::<Vec<_>>(), [lines[gap].text.as_str()]);
}

#[test]
fn a_disk_full_during_a_seal_counts_only_refused_entries() {
    let Some(disk) = small_disk(512 * 1024) else { return };
    let trail = disk.path().join("trail");
    // After the seal, only the rest of the active segment's last page can be written.
    let (threshold, page) = (70_000, 4_096);
    let logger = AuditLogger::open(Config::new(&trail).max_file_bytes(threshold)).unwrap();
    let active = trail.join("audit.jsonl");
    let len = || fs::metadata(&active).unwrap().len();
    while len() <= threshold / page * page {
        logger.log("filling").record().unwrap();
    }
    assert!(len() < threshold);
    let ballast = fill(&disk);
    let mut refused = 0_u64;
    while refused < 5 {
        if let Err(error) = logger.log("filling").record() {
            assert!(error.is_storage(), "{error:?}");
            refused += 1;
        }
    }
    free_space(&ballast);
    logger.log("The disk has space again").record().unwrap();
    logger.close(TIMEOUT).unwrap();

    let lines = lines(&trail);
    let counts: Vec<u64> = lines
        .iter()
        .filter(|line| line.kind() == Some("gap"))
        .map(|line| line.json["auditx"]["count"].as_u64().unwrap())
        .collect();
    assert_eq!(counts.iter().sum::<u64>(), refused, "only entries that were refused to callers");
    // A seal is a rename, which needs no space; only its control record waits for space.
    assert_eq!(auditx_store::sealed_segments(&trail).unwrap().len(), 1);
    let kinds: Vec<&str> = lines.iter().filter_map(Line::kind).collect();
    let position = |what: &str| kinds.iter().position(|kind| *kind == what).unwrap();
    assert!(position("rotated") < position("gap"), "{kinds:?}");
}

#[test]
fn a_trail_opens_again_after_the_disk_was_full() {
    let Some(disk) = small_disk(256 * 1024) else { return };
    let trail = disk.path().join("trail");
    let logger = open(&trail);
    let ballast = fill(&disk);
    // The shortest possible entry, shorter than the control records of opening and closing.
    while logger.log("x").record().is_ok() {}
    let accepted = logger.metrics().accepted;
    assert!(logger.close(TIMEOUT).unwrap_err().is_storage());
    assert_storage(AuditLogger::open(Config::new(&trail)), &trail);
    assert_storage(AuditLogger::open(Config::new(disk.path().join("another"))), disk.path());
    free_space(&ballast);
    for trail in [&trail, &disk.path().join("another")] {
        let logger = open(trail);
        logger.log("afterwards").record().unwrap();
        logger.close(TIMEOUT).unwrap();
    }
    let entries = entries(&trail);
    assert_eq!(entries.len() as u64, accepted + 1);
    assert_eq!(entries.last().unwrap().description(), "afterwards");
}

#[test]
fn a_file_size_limit_is_handled_like_a_full_disk() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new("sh");
    // The shell ignores SIGXFSZ for the program, which Rust could do only with unsafe code.
    command
        .args(["-c", "trap '' XFSZ && exec \"$0\" \"$1\"", env!("CARGO_BIN_EXE_full_disk")])
        .arg(directory.path());
    let child = Child::start(&mut command);
    let accepted: usize =
        child.next_line().expect("it prints how many entries were accepted").parse().unwrap();
    let (status, _) = child.end();
    assert!(status.success(), "{status}");

    let lines = lines(directory.path());
    let gaps: Vec<&Line> = lines.iter().filter(|line| line.kind() == Some("gap")).collect();
    assert_eq!(gaps.len(), 1);
    assert_eq!(gaps[0].json["auditx"]["count"], 7);
    let entries = entries(directory.path());
    assert_eq!(entries.len(), accepted + 1);
    assert_eq!(entries.last().unwrap().seq, gaps[0].seq + 1);
}
