//! The process-wide logger and subscriber: events during setup, and events of ending threads. This is the
//! only test in its process, because a process has one of each.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::cell::RefCell;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use auditx_core::{Config, HookError, Signer, SigningKey, audit, configure};
use auditx_tracing::AuditTracingLayer;
use tracing::{debug, info, info_span};
use tracing_subscriber::layer::SubscriberExt;

const TIMEOUT: Duration = Duration::from_secs(60);

/// A signer like the client of a KMS: it logs, also on a thread of its own that the caller waits for.
#[derive(Debug)]
struct Remote(SigningKey);

impl Signer for Remote {
    fn public_key(&self) -> [u8; 32] {
        debug!("asking the KMS");
        info!(target: "audit", "asked the KMS");
        std::thread::spawn(|| debug!("connecting to the KMS")).join().unwrap();
        self.0.public_key()
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], HookError> {
        std::thread::spawn(|| debug!("signing at the KMS")).join().unwrap();
        self.0.sign(message)
    }
}

/// Emits events when its thread ends. (It creates no span: the registry itself would panic.)
struct LastWords;

impl Drop for LastWords {
    fn drop(&mut self) {
        info!("last words");
        info!(target: "audit", "last entry");
    }
}

thread_local! {
    static LAST: RefCell<Option<LastWords>> = const { RefCell::new(None) };
}

/// Runs the work and panics if it does not finish in time.
fn with_timeout<T: Send + 'static>(what: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, done) = mpsc::channel();
    std::thread::spawn(move || sender.send(work()).unwrap());
    done.recv_timeout(TIMEOUT).unwrap_or_else(|_| panic!("{what} did not finish within {TIMEOUT:?}"))
}

fn app_log(directory: &Path) -> String {
    std::fs::read_to_string(directory.join("app.log")).unwrap_or_default()
}

#[test]
fn events_during_setup_and_thread_exit_do_not_block_or_panic() {
    let directory = tempfile::tempdir().unwrap();
    let (first, second) = (directory.path().join("first"), directory.path().join("second"));
    let layer = AuditTracingLayer::new().entries(true);
    let counts = layer.counts();
    let (layer, levels) = layer.with_levels("trace").unwrap();
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer)).unwrap();

    let key = SigningKey::generate();
    let remote = |directory: &Path| Config::new(directory).signer(Remote(key.clone()));
    let config = remote(&first);
    with_timeout("the first configure", move || configure(config)).unwrap();
    assert!(counts.skipped() >= 2 && counts.failed() >= 1, "no logger was set up yet: {counts:?}");
    info!("in the first");
    // The same directory again: the old logger is closed before the new one is opened.
    let config = remote(&first);
    with_timeout("configure with the same directory", move || configure(config)).unwrap();
    let config = remote(&second);
    with_timeout("configure with another directory", move || configure(config)).unwrap();
    info!("in the second");
    // The bridge gives all records one callsite, so the levels must apply to their own targets.
    tracing_log::LogTracer::init().unwrap();
    levels.set("off,hyper=info").unwrap();
    log::info!(target: "hyper::client", "a record");
    log::info!(target: "h2", "hidden");
    levels.set("trace").unwrap();
    assert!(
        app_log(&second).contains("INFO | a record | {\"target\":\"hyper::client\"}\n"),
        "{}",
        app_log(&second)
    );
    assert!(!app_log(&second).contains("hidden"));
    assert!(app_log(&first).contains("in the first") && app_log(&second).contains("in the second"));
    assert!(app_log(&first).contains("asking the KMS") && app_log(&first).contains("connecting to the KMS"));

    for emits_before in [false, true] {
        let ending = std::thread::spawn(move || {
            // Set before all other thread locals of this thread, so it is dropped after them.
            LAST.set(Some(LastWords));
            if emits_before {
                let _scope = auditx_core::RequestContext::new().user("admin").enter();
                let _span = info_span!("work").entered();
                info!("work");
                audit().log("work").record().unwrap();
            }
        });
        ending.join().unwrap();
    }
    with_timeout("close", || audit().close(TIMEOUT)).unwrap();
    assert_eq!(app_log(&second).matches("| last words |").count(), 2, "{}", app_log(&second));
    let trail = std::fs::read_to_string(second.join("audit.jsonl")).unwrap();
    assert_eq!(trail.matches("\"last entry\"").count(), 2, "{trail}");
}
