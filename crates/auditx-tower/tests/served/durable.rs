//! Nothing is acknowledged that the trail could forget.

use std::time::Duration;

use auditx_core::{AuditLogger, Config, Durability};
use auditx_tower::AuditLayer;
use axum::Router;
use axum::routing::post;

use crate::server::serve;
use auditx_tests::served::ask;

#[tokio::test]
async fn an_answer_comes_after_its_entries_are_on_disk_and_many_share_an_fdatasync() {
    const CLIENTS: usize = 32;
    let directory = tempfile::tempdir().unwrap();
    // Nothing is synced but what somebody waits for.
    let config = Config::new(directory.path()).durability(Durability::Interval(Duration::from_secs(3_600)));
    let logger = AuditLogger::open(config).unwrap();
    let layer: AuditLayer = AuditLayer::builder().logger(logger.clone()).durable(true).build().unwrap();
    let books = logger.clone();
    let pay = post(async move || books.log("paid").record().map_or("refused", |_| "paid"));
    let address = serve(Router::new().route("/", pay).layer(layer)).await;

    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(async move { ask(address, "POST", "/", &[]).await });
    }
    let mut answered = 0;
    while let Some(answer) = clients.join_next().await {
        assert_eq!(answer.unwrap().body(), b"paid");
        answered += 1;
        // The session's first line is durable since it was opened.
        assert!(logger.metrics().durable > answered, "each answer's entry is on disk by then");
    }
    assert!(logger.metrics().fsyncs <= 1 + 2 * CLIENTS as u64);
}
