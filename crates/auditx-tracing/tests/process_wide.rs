//! The process-wide logger and subscriber: being set up while events are said, and threads that end. The only test in its
//! process: both are one for all of it.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::cell::RefCell;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use auditx_core::{Config, HookError, Signer, SigningKey, audit, configure};
use auditx_tracing::AuditTracingLayer;
use tracing::{debug, info, info_span};
use tracing_subscriber::layer::SubscriberExt;

const PATIENCE: Duration = Duration::from_secs(60);

/// Signs as a KMS would: with a client that logs, also on a thread of its own that the caller waits for.
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

/// Speaks when its thread ends. (Making a span there is not for this crate to survive: the registry itself panics.)
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

/// Fails instead of hanging for ever.
fn in_time<T: Send + 'static>(what: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, done) = mpsc::channel();
    std::thread::spawn(move || sender.send(work()).unwrap());
    done.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("{what} does not end"))
}

fn app_log(directory: &Path) -> String {
    std::fs::read_to_string(directory.join("app.log")).unwrap_or_default()
}

#[test]
fn events_neither_hold_up_the_loggers_set_up_nor_harm_threads_that_end() {
    let directory = tempfile::tempdir().unwrap();
    let (first, second) = (directory.path().join("first"), directory.path().join("second"));
    let layer = AuditTracingLayer::new().entries(true);
    let counts = layer.counts();
    let (layer, levels) = layer.with_levels("trace").unwrap();
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer)).unwrap();

    let key = SigningKey::generate();
    let remote = |place: &Path| Config::new(place).signer(Remote(key.clone()));
    let config = remote(&first);
    in_time("the first configure", move || configure(config)).unwrap();
    assert!(counts.skipped() >= 2 && counts.failed() >= 1, "there was no logger yet: {counts:?}");
    info!("in the first");
    // The same place again: the old logger is closed before the new one opens.
    let config = remote(&first);
    in_time("configure at the same place", move || configure(config)).unwrap();
    let config = remote(&second);
    in_time("configure elsewhere", move || configure(config)).unwrap();
    info!("in the second");
    // Through a bridge that gives all records one callsite: their own targets decide.
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

    for speaks_before in [false, true] {
        let ending = std::thread::spawn(move || {
            // Before anything else of the thread's, so it is dropped after everything else.
            LAST.set(Some(LastWords));
            if speaks_before {
                let _scope = auditx_core::RequestContext::new().user("admin").enter();
                let _span = info_span!("work").entered();
                info!("work");
                audit().log("work").record().unwrap();
            }
        });
        ending.join().unwrap();
    }
    in_time("close", || audit().close(PATIENCE)).unwrap();
    assert_eq!(app_log(&second).matches("| last words |").count(), 2, "{}", app_log(&second));
    let trail = std::fs::read_to_string(second.join("audit.jsonl")).unwrap();
    assert_eq!(trail.matches("\"last entry\"").count(), 2, "{trail}");
}
