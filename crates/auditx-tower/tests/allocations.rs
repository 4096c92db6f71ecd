//! Counts the allocations that the layer adds to a request.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::convert::Infallible;
use std::fmt::Debug;
use std::net::SocketAddr;

use auditx_core::{AuditLogger, Config};
use auditx_tests::allocations::{Counting, allocations};
use auditx_tower::AuditLayer;
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Empty, Full};
use tower::{Layer, Service, ServiceExt, service_fn};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn request() -> Request<Empty<Bytes>> {
    let mut request = Request::get("/customers/4711/invoices?page=2")
        .header("host", "erp.example.com")
        .header("user-agent", "Mozilla/5.0 (X11; Linux x86_64)")
        .header("accept", "application/json")
        .body(Empty::new())
        .unwrap();
    request.extensions_mut().insert(SocketAddr::from(([192, 0, 2, 7], 40_000)));
    request
}

/// Returns the allocations of one request, after others.
async fn allocations_of<S, B>(mut service: S) -> u64
where
    S: Service<Request<Empty<Bytes>>, Response = Response<B>, Error = Infallible>,
    B: Body<Data = Bytes, Error: Debug>,
{
    let mut last = 0;
    for _ in 0..100 {
        let request = request();
        let before = allocations();
        let response = service.ready().await.unwrap().call(request).await.unwrap();
        drop(response.into_body().collect().await.unwrap());
        last = allocations() - before;
    }
    last
}

#[tokio::test]
async fn the_layer_adds_at_most_six_allocations_to_a_request() {
    let directory = tempfile::tempdir().unwrap();
    let logger = AuditLogger::open(Config::new(directory.path())).unwrap();
    let layer = AuditLayer::builder().logger(logger).build().unwrap();
    let handler = || {
        service_fn(async |_| {
            let response = Response::builder().header("content-type", "text/plain");
            Ok::<_, Infallible>(response.body(Full::new(Bytes::from_static(b"ok"))).unwrap())
        })
    };
    let bare = allocations_of(handler()).await;
    let audited = allocations_of(layer.layer(handler())).await;
    assert!(audited > bare && audited <= bare + 6, "{audited}, and {bare} without the layer");
}
