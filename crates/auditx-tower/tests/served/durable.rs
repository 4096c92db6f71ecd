//! Durable responses: a request is acknowledged only after its entries are durable.

use std::time::Duration;

use auditx_core::{AuditLogger, Config, Durability};
use auditx_tests::served::ask;
use auditx_tower::AuditLayer;
use axum::Router;
use axum::routing::post;

use crate::server::serve;

#[tokio::test]
async fn durable_responses_wait_for_fdatasync_and_share_it() {
    const CLIENTS: usize = 32;
    let directory = tempfile::tempdir().unwrap();
    // With this interval, only waiting requests cause a sync.
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
        // The first line of the session has been durable since the trail was opened, hence `>`.
        assert!(logger.metrics().durable > answered, "the entry of each response is durable");
    }
    assert!(logger.metrics().fsyncs <= 1 + 2 * CLIENTS as u64);
}
