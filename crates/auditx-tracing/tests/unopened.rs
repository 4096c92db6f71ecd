//! A process-wide logger that cannot be opened. This is the only test in its process, because it changes the
//! working directory.

use auditx_store::DEFAULT_LOG_DIR;
use auditx_tracing::AuditTracingLayer;
use tracing::info;
use tracing_subscriber::layer::SubscriberExt;

#[test]
fn events_are_counted_if_the_logger_cannot_be_opened() {
    let directory = tempfile::tempdir().unwrap();
    std::env::set_current_dir(directory.path()).unwrap();
    std::fs::write(DEFAULT_LOG_DIR, "a file where the directory should be").unwrap();
    let layer = AuditTracingLayer::new().entries(true);
    let counts = layer.counts();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        info!("a line");
        info!(target: "audit", "an entry");
    });
    assert_eq!((counts.lines(), counts.skipped()), (0, 1));
    assert_eq!((counts.entries(), counts.failed()), (0, 1));
}
