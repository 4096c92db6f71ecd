//! Events emitted while an event is written, and inside the library's calls to application code.
//!
//! These tests have a process of their own because they install the process-wide subscriber: `tracing` itself
//! protects a scoped subscriber from recursion, so a scoped one would prove nothing here.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use auditx_core::{
    Clock, Config, HookError, JournalKind, RecordedEntry, Signer, SigningKey, StoredEntry, audit, configure,
};
use auditx_store::TrailReader;
use auditx_tracing::{AuditTracingLayer, Counts};
use tracing::{error, info, info_span};
use tracing_subscriber::layer::SubscriberExt;

const TIMEOUT: Duration = Duration::from_secs(120);

struct Process {
    directory: PathBuf,
    counts: Counts,
}

/// Installs the process-wide subscriber and configures the process-wide logger, whose clock, hook and signer
/// all emit events.
fn process() -> &'static Process {
    static PROCESS: OnceLock<Process> = OnceLock::new();
    PROCESS.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap().keep();
        let config = Config::new(&directory)
            .journal(JournalKind::Direct)
            .max_file_bytes(65_536)
            .clock(EmittingClock)
            .signer(EmittingSigner(SigningKey::generate()))
            .on_audit("emitting", emitting_hook);
        configure(config).unwrap();
        let layer = AuditTracingLayer::new().entries(true);
        let counts = layer.counts();
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer)).unwrap();
        Process { directory, counts }
    })
}

/// Returns the lines with this message from app.log and its rotated files.
fn lines(directory: &Path, message: &str) -> Vec<String> {
    let parts = ["app.log", "app.log.1", "app.log.2", "app.log.3", "app.log.4", "app.log.5"];
    let texts = parts.map(|part| std::fs::read_to_string(directory.join(part)).unwrap_or_default());
    let all = texts.iter().flat_map(|text| text.lines());
    all.filter(|line| line.contains(&format!(" | {message} |"))).map(str::to_owned).collect()
}

fn descriptions(directory: &Path) -> Vec<String> {
    audit().flush(TIMEOUT).unwrap();
    let mut reader = TrailReader::new(directory, 0);
    let mut descriptions = Vec::new();
    while let Some((_, line)) = reader.next_line().unwrap() {
        let entry: StoredEntry = RecordedEntry::from_line(line).unwrap().parse().unwrap();
        descriptions.push(entry.description);
    }
    descriptions
}

thread_local! {
    static CLOCK_EMITS: Cell<bool> = const { Cell::new(false) };
}

/// A clock that emits an event on each call.
#[derive(Debug)]
struct EmittingClock;

impl Clock for EmittingClock {
    fn now(&self) -> SystemTime {
        if CLOCK_EMITS.get() {
            info!("asked for the time");
        }
        SystemTime::now()
    }
}

static HOOK_EVENTS: AtomicU64 = AtomicU64::new(0);

fn emitting_hook(entry: &RecordedEntry<'_>) -> Result<(), HookError> {
    // Limited, so that a recursion would end. ORDERING: pairs with the load in the test, which runs after the
    // drain; the order of increments is irrelevant.
    if entry.line().contains("hooked") && HOOK_EVENTS.fetch_add(1, Ordering::SeqCst) < 50 {
        info!("copied");
        error!(target: "audit", "hooked again");
    }
    Ok(())
}

/// A signer that emits an audit event on each call.
#[derive(Debug)]
struct EmittingSigner(SigningKey);

impl Signer for EmittingSigner {
    fn public_key(&self) -> [u8; 32] {
        self.0.public_key()
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], HookError> {
        info!(target: "audit", "signed");
        self.0.sign(message)
    }
}

/// A value that emits events about itself whenever it is formatted.
struct Emitting;

impl fmt::Debug for Emitting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        info!(about = ?self, "formatted");
        info!(target: "audit", about = ?self, "formatted");
        f.write_str("emitting")
    }
}

#[test]
fn events_of_a_value_being_formatted_are_skipped_and_counted() {
    let Process { directory, counts } = process();
    let (skipped, failed) = (counts.skipped(), counts.failed());
    info!(value = ?Emitting, "of a emitting value");
    info!("afterwards");
    assert_eq!(lines(directory, "formatted"), [""; 0]);
    assert!(lines(directory, "of a emitting value")[0].contains("\"value\":\"emitting\""));
    assert_eq!(lines(directory, "afterwards").len(), 1);
    assert!(counts.skipped() > skipped && counts.failed() > failed, "{counts:?}");
}

#[test]
fn a_value_may_use_spans_while_a_span_formats_it() {
    struct Spanning;
    impl fmt::Debug for Spanning {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let _span = info_span!("inner", a = 1).entered();
            info!("inside a span being made");
            f.write_str("spanning")
        }
    }
    let Process { directory, .. } = process();
    let _span = info_span!("outer", value = ?Spanning).entered();
    info!("in the span that was made");
    assert_eq!(lines(directory, "inside a span being made").len(), 1);
    assert!(
        lines(directory, "in the span that was made")[0].contains(r#"{"name":"outer","value":"spanning"}"#)
    );
}

#[test]
fn a_panic_while_formatting_leaves_the_thread_able_to_write() {
    struct Broken;
    impl fmt::Debug for Broken {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("on purpose")
        }
    }
    let Process { directory, .. } = process();
    assert!(catch_unwind(AssertUnwindSafe(|| info!(value = ?Broken, "lost"))).is_err());
    info!("kept");
    assert_eq!((lines(directory, "lost").len(), lines(directory, "kept").len()), (0, 1));
}

#[test]
fn a_clock_that_emits_events_does_not_recurse() {
    let Process { directory, counts } = process();
    let skipped = counts.skipped();
    CLOCK_EMITS.set(true);
    info!("a line with the time");
    info!(target: "audit", "an entry with the time");
    assert!(counts.skipped() >= skipped + 2, "{counts:?}");
    audit().log("recorded directly").record().unwrap();
    CLOCK_EMITS.set(false);
    assert_eq!(lines(directory, "a line with the time").len(), 1);
    assert!(
        !lines(directory, "asked for the time").is_empty(),
        "events of the clock while the application recorded"
    );
    let descriptions = descriptions(directory);
    for expected in ["an entry with the time", "recorded directly"] {
        assert_eq!(descriptions.iter().filter(|found| *found == expected).count(), 1, "{expected}");
    }
}

#[test]
fn events_of_a_hook_become_lines_but_not_entries() {
    let Process { directory, counts } = process();
    let failed = counts.failed();
    info!(target: "audit", "hooked");
    audit().flush_hooks(TIMEOUT).unwrap();
    audit().flush_hooks(TIMEOUT).unwrap();
    // ORDERING: pairs with the increment in the hook, which ran before the drain returned.
    assert_eq!(HOOK_EVENTS.load(Ordering::SeqCst), 1);
    assert_eq!(lines(directory, "copied").len(), 1);
    let refused = lines(directory, "hooked again");
    assert_eq!(refused.len(), 1);
    assert!(refused[0].contains("ERROR") && refused[0].contains("inside a hook or a signer"), "{refused:?}");
    assert!(!descriptions(directory).contains(&"hooked again".to_owned()));
    assert!(counts.failed() > failed);
}

#[test]
fn events_of_a_signer_become_lines_but_not_entries() {
    let Process { directory, .. } = process();
    for number in 0..200 {
        info!(target: "audit", number, padding = "x".repeat(1_000), "padded");
    }
    audit().flush(TIMEOUT).unwrap();
    assert!(auditx_store::sealed_segments(directory).unwrap().len() >= 2);
    // The checkpoint signer signs asynchronously.
    let deadline = Instant::now() + TIMEOUT;
    while lines(directory, "signed").is_empty() {
        assert!(Instant::now() < deadline, "nothing was signed");
        std::thread::yield_now();
    }
    let descriptions = descriptions(directory);
    assert_eq!(descriptions.iter().filter(|found| *found == "padded").count(), 200);
    assert!(!descriptions.contains(&"signed".to_owned()));
}
