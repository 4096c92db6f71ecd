//! The layer together with tower-http's middleware, in the orders that docs/HTTP.md describes.

use std::convert::Infallible;
use std::time::Duration;

use auditx_core::testing::TestTrail;
use auditx_core::{RequestContext, StoredEntry};
use auditx_tests::served::{ask, wait_for_closings};
use axum::Router;
use axum::body::Body;
use axum::extract::Extension;
use axum::routing::get;
use http::StatusCode;
use tower::ServiceBuilder;
use tower_http::ServiceBuilderExt;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::cors::CorsLayer;
use tower_http::request_id::{MakeRequestUuid, RequestId};
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;

use crate::server::{layer, serve};

/// Repetitive enough to be worth compressing.
const REPORT: usize = 20_000;

/// Long enough for an immediate response on a busy machine.
const TIMEOUT: Duration = Duration::from_millis(500);

fn routes() -> Router {
    Router::new()
        .route("/report", get(async || "x".repeat(REPORT)))
        .route("/id", get(async |Extension(id): Extension<RequestId>| id.header_value().as_bytes().to_vec()))
        .route("/panic", get(async || panic!("the opening balance is missing") as ()))
        .route("/slow", get(std::future::pending::<()>))
}

fn ending(entry: &StoredEntry) -> (Option<u16>, bool, &str) {
    (entry.status, entry.success, entry.metadata["outcome"].as_str().unwrap())
}

fn recommended(trail: &TestTrail) -> Router {
    routes().layer(
        ServiceBuilder::new()
            .layer(layer(trail))
            .set_x_request_id(MakeRequestUuid)
            .layer(TraceLayer::new_for_http())
            .propagate_x_request_id()
            .layer(CorsLayer::permissive())
            .layer(CompressionLayer::new())
            .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, TIMEOUT))
            .layer(CatchPanicLayer::new()),
    )
}

#[tokio::test]
async fn in_the_recommended_order_each_request_has_one_entry() {
    let trail = TestTrail::new();
    let address = serve(recommended(&trail)).await;

    let zipped = ask(address, "GET", "/report", &[("accept-encoding", "gzip")]).await;
    assert_eq!(zipped.header("content-encoding").as_deref(), Some("gzip"));
    let entry = wait_for_closings(&trail, 1).await.remove(0);
    assert_eq!(ending(&entry), (Some(200), true, "completed"));
    let bytes = entry.metadata["bytes"].as_u64().unwrap();
    assert!(bytes > 0 && bytes < 1_000, "the compressed size, as sent: {bytes}");

    let given = ask(address, "GET", "/id", &[("x-request-id", "req-7")]).await;
    assert_eq!((given.body(), given.header("x-request-id").as_deref()), (b"req-7".as_slice(), Some("req-7")));
    let made = ask(address, "GET", "/id", &[]).await;
    assert_eq!(
        made.header("x-request-id").unwrap().as_bytes(),
        made.body(),
        "tower-http uses the id of the layer"
    );

    assert_eq!(ask(address, "GET", "/slow", &[]).await.status(), 408);
    assert_eq!(ask(address, "GET", "/panic", &[]).await.status(), 500);
    let preflight = [("origin", "https://shop.test"), ("access-control-request-method", "GET")];
    assert_eq!(ask(address, "OPTIONS", "/report", &preflight).await.status(), 200);

    let closings = wait_for_closings(&trail, 6).await;
    assert_eq!(ending(&closings[3]), (Some(408), false, "completed"));
    assert_eq!(
        ending(&closings[4]),
        (Some(500), false, "completed"),
        "a panic caught by an inner layer is a response"
    );
    assert_eq!(
        (closings[5].method.as_str(), ending(&closings[5])),
        ("OPTIONS", (Some(200), true, "completed"))
    );
    assert_eq!(closings[1].request_id, "req-7");
}

#[tokio::test]
async fn outer_layers_answer_unseen_or_abort_the_request() {
    let trail = TestTrail::new();
    let outside = ServiceBuilder::new()
        .layer(CatchPanicLayer::new())
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, TIMEOUT))
        .layer(CorsLayer::permissive())
        .layer(layer(&trail));
    let address = serve(routes().layer(outside)).await;

    let preflight = [("origin", "https://shop.test"), ("access-control-request-method", "GET")];
    assert_eq!(ask(address, "OPTIONS", "/report", &preflight).await.status(), 200);
    assert_eq!(ask(address, "GET", "/slow", &[]).await.status(), 408);
    assert_eq!(ask(address, "GET", "/panic", &[]).await.status(), 500);
    let closings = wait_for_closings(&trail, 2).await;
    assert_eq!(ending(&closings[0]), (Some(499), false, "client_aborted"), "the timeout dropped the future");
    assert_eq!(ending(&closings[1]), (Some(500), false, "panicked"));
    assert_eq!(closings[1].metadata["error"], "the opening balance is missing");
}

#[tokio::test]
async fn inside_compression_bytes_are_uncompressed() {
    let trail = TestTrail::new();
    let layers = ServiceBuilder::new().layer(CompressionLayer::new()).layer(layer(&trail));
    let address = serve(routes().layer(layers)).await;
    let zipped = ask(address, "GET", "/report", &[("accept-encoding", "gzip")]).await;
    assert!(zipped.body().len() < 1_000);
    let entry = wait_for_closings(&trail, 1).await.remove(0);
    assert_eq!((entry.metadata["bytes"].as_u64(), ending(&entry).2), (Some(REPORT as u64), "completed"));
}

#[tokio::test]
async fn a_panic_in_a_streamed_body_is_recorded_and_cuts_the_connection() {
    let trail = TestTrail::new();
    let report = async || {
        RequestContext::update(|context| context.user = "thida".into());
        let chunks = futures_util::stream::iter(0..2).map(|number| match number {
            0 => Ok::<_, Infallible>(bytes::Bytes::from("first")),
            _ => panic!("the ledger has a hole"),
        });
        Body::from_stream(chunks)
    };
    use futures_util::StreamExt as _;
    let address = serve(Router::new().route("/ledger", get(report)).layer(layer(&trail))).await;
    let cut = ask(address, "GET", "/ledger", &[]).await;
    assert!(!cut.0.ends_with(b"0\r\n\r\n"), "the client sees a truncated body");
    let entry = wait_for_closings(&trail, 1).await.remove(0);
    assert_eq!(ending(&entry), (Some(500), false, "panicked"));
    assert_eq!((entry.user.as_str(), &entry.metadata["error"]), ("thida", &"the ledger has a hole".into()));
}
