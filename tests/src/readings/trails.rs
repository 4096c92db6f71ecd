//! Writes the trails that are damaged: with and without compression, erased lines, a replaced key, retired
//! segments, and one whose writer was killed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use auditx_core::{
    AuditAction, AuditLogger, BusinessModule, Cadence, Clock, Compression, Config, JournalKind, KeySource,
    LogLevel, Retention, VerifierKey,
};
use auditx_store::{checkpoint_path, sealed_segments};
use auditx_tlog::SignedCheckpoint;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;

use crate::child::Child;
use crate::deadline::{TIMEOUT, wait_until};
use crate::random::Random;
use crate::report::print_line;
use crate::trail::{Line, lines};

/// The smallest segment size that is allowed.
const SEGMENT: u64 = 65_536;

/// Lines of the killed writer that no checkpoint covers.
const UNSIGNED: u64 = 20;

/// Pending entries of the killed writer.
const PENDING: u64 = 15;

/// An undamaged trail and its expected content.
#[derive(Debug)]
pub(super) struct Base {
    /// The trail's name, which tells what is special about it.
    pub(super) name: &'static str,
    /// The trail's directory.
    pub(super) directory: PathBuf,
    /// All lines.
    pub(super) lines: Vec<Line>,
    /// The size of the latest checkpoint.
    pub(super) signed: u64,
    /// All keys that have signed the trail.
    pub(super) keys: Vec<VerifierKey>,
    /// The path of a copy of the latest checkpoint.
    pub(super) note: PathBuf,
}

/// A clock that advances by 37 milliseconds with each call.
#[derive(Debug)]
struct SteppingClock(AtomicU64);

impl Clock for SteppingClock {
    fn now(&self) -> SystemTime {
        let step = self.0.fetch_add(1, Ordering::Relaxed);
        UNIX_EPOCH + Duration::from_micros(1_795_533_894_000_000 + step * 37_000)
    }
}

fn config(directory: &Path) -> Config {
    Config::new(directory)
        .max_file_bytes(SEGMENT)
        .journal_bytes(256 * 1024)
        .clock(SteppingClock(AtomicU64::new(0)))
}

/// Writes all trails below `root`. `recorder` returns a command that calls [`record_and_wait_to_be_killed`].
///
/// # Panics
/// If a trail cannot be written.
#[must_use]
pub(super) fn build(root: &Path, recorder: fn(&Path) -> Command, random: &mut Random) -> Vec<Base> {
    let mut base = |name: &'static str, make: &mut dyn FnMut(&Path, &mut Random) -> Vec<VerifierKey>| {
        let directory = root.join(name);
        let keys = make(&directory, random);
        Base::of(name, directory, keys)
    };
    vec![
        base("short", &mut |directory, random| {
            written(config(directory), Compression::None, (random, 25), |_| Vec::new())
        }),
        base("erased", &mut |directory, random| {
            written(config(directory), Compression::None, (random, 500), |logger| {
                for seq in [123, 480] {
                    logger.erase(seq, "asked for").expect("an erased line");
                }
                Vec::new()
            })
        }),
        base("rotated", &mut |directory, random| {
            written(config(directory), Compression::Zstd, (random, 400), |logger| {
                let change = logger.rotate_key(&KeySource::Trail).expect("another key");
                vec![change.old]
            })
        }),
        base("retired", &mut |directory, random| {
            written(config(directory), Compression::Zstd, (random, 500), |logger| {
                wait_for_indexes(logger);
                let retired = logger.retire(Retention::BackupCount(3)).expect("retired segments");
                assert!(!retired.segments.is_empty(), "{retired:?}");
                logger.erase(470, "asked for").expect("an erased line");
                Vec::new()
            })
        }),
        base("blocks", &mut |directory, random| {
            let config = config(directory).max_file_bytes(700_000);
            written(config, Compression::None, (random, 1_300), |_| Vec::new())
        }),
        base("killed", &mut |directory, _| killed(directory, recorder)),
    ]
}

impl Base {
    fn of(name: &'static str, directory: PathBuf, keys: Vec<VerifierKey>) -> Self {
        let note = directory.with_extension("note");
        fs::copy(checkpoint_path(&directory), &note).expect("a checkpoint");
        let signed = signed(&directory).expect("a checkpoint");
        let lines = lines(&directory);
        Self { name, directory, lines, signed, keys, note }
    }

    /// Returns the lines that the latest checkpoint covers.
    pub(super) fn signed_lines(&self) -> impl DoubleEndedIterator<Item = &Line> {
        self.lines.iter().filter(|line| line.seq < self.signed)
    }

    /// Returns whether the writer was killed.
    #[must_use]
    pub(super) fn is_killed(&self) -> bool {
        self.name == "killed"
    }
}

/// Returns the size of a directory's checkpoint; `None` if there is no valid one.
#[must_use]
pub(super) fn signed(directory: &Path) -> Option<u64> {
    let note = fs::read(checkpoint_path(directory)).ok()?;
    Some(SignedCheckpoint::parse(&note).ok()?.size())
}

/// Writes and closes a trail. A third of the entries is recorded after `between`, which returns the earlier
/// keys.
fn written(
    config: Config,
    compression: Compression,
    (random, count): (&mut Random, u64),
    between: impl FnOnce(&AuditLogger) -> Vec<VerifierKey>,
) -> Vec<VerifierKey> {
    let logger = AuditLogger::open(config.compression(compression)).expect("a trail");
    (0..count).for_each(|number| record(&logger, random, number));
    logger.flush(TIMEOUT).expect("a durable trail");
    let mut keys = between(&logger);
    (count..count + count / 2).for_each(|number| record(&logger, random, number));
    logger.flush(TIMEOUT).expect("a durable trail");
    wait_for_indexes(&logger);
    if compression == Compression::Zstd {
        wait_until("the compression of every sealed segment", || {
            let sealed = sealed_segments(logger.trail_dir().expect("an open trail")).expect("its segments");
            sealed.iter().all(|segment| segment.compressed)
        });
    }
    keys.push(logger.verifier_key().expect("an open trail"));
    logger.close(TIMEOUT).expect("a closed trail");
    keys
}

fn wait_for_indexes(logger: &AuditLogger) {
    let directory = logger.trail_dir().expect("an open trail");
    wait_until("the index of every sealed segment", || {
        let sealed = sealed_segments(directory).expect("its segments");
        let index = |first_seq: u64| directory.join(format!(".auditx/index/{first_seq:020}.idx"));
        sealed.iter().all(|segment| index(segment.first_seq).exists())
    });
}

/// Records an entry with random values.
fn record(logger: &AuditLogger, random: &mut Random, number: u64) {
    let user = *random.one_of(&["admin", "daw-khin", "storeman", "cashier"]);
    let pad = random.one_of(&["a", "b", "c", "d"]).repeat(100 + random.index(900));
    let (customer, request) = (random.below(25), random.below(120));
    let word = format!("entry {number} w{:03}w", random.below(300));
    let level = match random.below(20) {
        0 => Some(LogLevel::Critical),
        1 => Some(LogLevel::Warning),
        _ => None,
    };
    if random.below(12) == 0 {
        let entry = logger.log_security(word).success(false).user(user);
        entry.metadata("pad", pad).record().expect("a recorded entry");
        return;
    }
    let mut entry = logger
        .log(word)
        .user(user)
        .module(if number.is_multiple_of(3) { BusinessModule::Sales } else { BusinessModule::Inventory })
        .action(if number.is_multiple_of(5) { AuditAction::Update } else { AuditAction::Create })
        .entity("customer", format!("C-{customer}"))
        .request_id(format!("request-{request:03}"))
        .metadata("pad", pad);
    if number.is_multiple_of(5) {
        entry = entry.old_values(json!({"limit": number})).new_values(json!({"limit": number + 1}));
    }
    if let Some(level) = level {
        entry = entry.level(level);
    }
    entry.record().expect("a recorded entry");
}

fn killed(directory: &Path, recorder: fn(&Path) -> Command) -> Vec<VerifierKey> {
    let child = Child::start(&mut recorder(directory));
    let key = loop {
        let line = child.next_line().expect("the child prints its key");
        if let Some(key) = line.strip_prefix("key ") {
            break key.parse().expect("a key");
        }
    };
    child.signal(rustix::process::Signal::KILL);
    child.end();
    let pending = auditx_store::pending_entries(directory).expect("its journal");
    assert_eq!(pending.len() as u64, PENDING, "pending entries");
    vec![key]
}

/// Records signed lines, unsigned lines and, after the disk is full, pending entries. Then prints the trail's
/// key and waits to be killed. The caller must ignore SIGXFSZ for this process.
///
/// # Panics
/// If the trail cannot be written.
pub fn record_and_wait_to_be_killed(directory: &Path) {
    let rarely = Cadence::new(Duration::from_secs(3_600), 1_000_000);
    let config =
        config(directory).compression(Compression::None).journal(JournalKind::Ring).checkpoints(rarely);
    let logger = AuditLogger::open(config).expect("a trail");
    let mut random = Random::of(7);
    for number in 0..300 {
        record(&logger, &mut random, number);
    }
    logger.flush(TIMEOUT).expect("a durable trail");
    wait_for_indexes(&logger);
    for number in 300..300 + UNSIGNED {
        record(&logger, &mut random, number);
    }
    logger.flush(TIMEOUT).expect("a durable trail");
    let active = logger.trail_dir().expect("an open trail").join("audit.jsonl");
    let len = fs::metadata(active).expect("an active segment").len();
    let limit = Rlimit { current: Some(len), ..getrlimit(Resource::Fsize) };
    setrlimit(Resource::Fsize, limit).expect("a soft limit may be changed");
    for number in 400..400 + PENDING {
        record(&logger, &mut random, number);
    }
    wait_until("a failed write", || logger.metrics().write_failures > 0);
    print_line(&format!("key {}", logger.verifier_key().expect("an open trail")));
    loop {
        std::thread::park();
    }
}
