//! Streamed bodies: server-sent events, clients that disconnect, entries recorded at the response head.

use std::convert::Infallible;

use auditx_core::http::EmitAt;
use auditx_core::testing::TestTrail;
use auditx_tests::served::{ask, closings, send, wait_for_closings};
use axum::Router;
use axum::response::sse::{Event, Sse};
use axum::routing::get;
use futures_util::StreamExt as _;
use futures_util::stream::{iter, pending};
use tokio::io::AsyncReadExt;

use crate::server::{layer, layer_with, serve};

/// Sends one event and then stays open.
async fn feed() -> Sse<impl futures_util::Stream<Item = Result<Event, Infallible>>> {
    Sse::new(iter([Ok(Event::default().data("stock moved"))]).chain(pending()))
}

#[tokio::test]
async fn a_client_that_leaves_an_event_stream_is_body_aborted() {
    let trail = TestTrail::new();
    let address = serve(Router::new().route("/feed", get(feed)).layer(layer(&trail))).await;
    let mut stream = send(address, "GET", "/feed", &[]).await;
    let mut seen = Vec::new();
    while !seen.windows(11).any(|bytes| bytes == b"stock moved") {
        assert_ne!(stream.read_buf(&mut seen).await.unwrap(), 0);
    }
    assert!(closings(&trail).is_empty(), "the stream is still open");
    drop(stream);
    let entry = wait_for_closings(&trail, 1).await.remove(0);
    assert_eq!((entry.status, &entry.metadata["outcome"]), (Some(200), &"body_aborted".into()));
    assert_eq!(entry.metadata["bytes"], "data: stock moved\n\n".len());
}

#[tokio::test]
async fn emit_at_headers_records_an_endless_stream_at_its_start() {
    let trail = TestTrail::new();
    let layer = layer_with(&trail, |layer| layer.emit_at(EmitAt::Headers).start_record(true));
    let address = serve(Router::new().route("/feed", get(feed)).layer(layer)).await;
    let stream = send(address, "GET", "/feed", &[]).await;
    let entries = wait_for_closings(&trail, 2).await;
    assert_eq!(entries[0].description, "HTTP GET /feed started");
    assert_eq!(entries[1].description, "HTTP GET /feed completed with 200");
    drop(stream);
    // The entries of another request show that the dropped stream added none.
    ask(address, "GET", "/nowhere", &[]).await;
    wait_for_closings(&trail, 4).await;
}

#[tokio::test]
async fn a_body_that_fails_midway_keeps_the_status_that_was_sent() {
    let trail = TestTrail::new();
    let report = async || {
        let parts = [Ok(bytes::Bytes::from("half")), Err(std::io::Error::other("disk is gone"))];
        axum::body::Body::from_stream(iter(parts))
    };
    let address = serve(Router::new().route("/report", get(report)).layer(layer(&trail))).await;
    ask(address, "GET", "/report", &[]).await;
    let entry = wait_for_closings(&trail, 1).await.remove(0);
    assert_eq!((entry.status, entry.success, entry.level.as_str()), (Some(200), false, "ERROR"));
    assert_eq!(entry.metadata["outcome"], "body_error");
    assert!(entry.metadata["error"].as_str().unwrap().contains("disk is gone"));
}
