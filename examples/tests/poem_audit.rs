//! The poem middleware without a server: responses with all kinds of bodies, errors and panics.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::future::pending;
use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};

use auditx_core::testing::TestTrail;
use auditx_core::{AuditLogger, RequestContext, StoredEntry};
use auditx_examples::poem_audit::PoemAudit;
use auditx_tests::served::only_closing;
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream};
use http_body::{Body as _, Frame};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, StreamBody};
use poem::endpoint::make;
use poem::http::uri::Scheme;
use poem::http::{HeaderMap, HeaderValue, Method, StatusCode};
use poem::web::{LocalAddr, RemoteAddr};
use poem::{Body, Endpoint, EndpointExt, Request, Response, Route};

struct Fixture {
    trail: TestTrail,
    audit: PoemAudit,
}

fn fixture() -> Fixture {
    let trail = TestTrail::new();
    let audit = PoemAudit::builder().logger(trail.logger().clone()).build().unwrap();
    Fixture { trail, audit }
}

/// Returns a request as poem's server creates it; poem's own test builder leaves out the original URI.
fn request(method: Method, uri: &str) -> Request {
    let (head, ()) = poem::http::Request::builder().method(method).uri(uri).body(()).unwrap().into_parts();
    let head = (head, LocalAddr::default(), RemoteAddr::default(), Scheme::HTTP);
    Request::from_parts(head.into(), Body::empty())
}

fn get() -> Request {
    request(Method::GET, "/sales?token=t")
}

fn outcome(entry: &StoredEntry) -> (&str, Option<u16>, bool) {
    (entry.metadata["outcome"].as_str().unwrap(), entry.status, entry.success)
}

/// Calls `make_chunk` for each chunk, while the body is polled.
fn streamed(chunks: usize, make_chunk: impl Fn(usize) -> io::Result<&'static str> + Send + 'static) -> Body {
    Body::from_bytes_stream(stream::iter(0..chunks).map(move |number| make_chunk(number).map(Bytes::from)))
}

#[tokio::test]
async fn the_end_of_the_body_closes_the_exchange() {
    let fixture = fixture();
    let app = make(|_| async {
        RequestContext::update(|context| context.user = "admin".into());
        (StatusCode::CREATED, "created")
    });
    let mut response = app.with(fixture.audit.clone()).call(get()).await.unwrap();
    assert_eq!(response.header("x-request-id").unwrap().len(), 36);
    let body: BoxBody<Bytes, io::Error> = response.take_body().into();
    assert_eq!(body.size_hint().exact(), Some(7));
    assert_eq!(body.collect().await.unwrap().to_bytes(), "created");
    let entry = only_closing(&fixture.trail);
    assert_eq!(outcome(&entry), ("completed", Some(201), true));
    assert_eq!((entry.user.as_str(), entry.endpoint.as_str()), ("admin", "/sales?token=[REDACTED]"));
    assert_eq!(entry.metadata["bytes"], 7);
}

#[tokio::test]
async fn trailers_pass_through_and_are_not_counted() {
    let fixture = fixture();
    let app = make(|_| async {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", "0".parse().unwrap());
        let frames = [Frame::data(Bytes::from("abc")), Frame::trailers(trailers)];
        let body = StreamBody::new(stream::iter(frames.map(Ok::<_, io::Error>)));
        Response::builder().body(BoxBody::new(body))
    });
    let mut response = app.with(fixture.audit.clone()).call(get()).await.unwrap();
    let body: BoxBody<Bytes, io::Error> = response.take_body().into();
    assert_eq!(body.collect().await.unwrap().trailers().unwrap()["grpc-status"], "0");
    assert_eq!(only_closing(&fixture.trail).metadata["bytes"], 3);
}

#[tokio::test]
async fn the_context_is_current_only_while_the_body_streams() {
    let fixture = fixture();
    let logger = fixture.trail.logger().clone();
    let app = make(move |_| {
        let logger = logger.clone();
        async move {
            RequestContext::update(|context| context.user = "thida".into());
            streamed(3, move |_| {
                logger.log("Chunk made").record().map_err(io::Error::other)?;
                Ok("chunk")
            })
        }
    });
    let mut request = get();
    request.headers_mut().insert("x-request-id", HeaderValue::from_static("streamed"));
    let mut response = app.with(fixture.audit.clone()).call(request).await.unwrap();
    assert_eq!(RequestContext::current().fields().request_id, "");
    assert_eq!(response.take_body().into_bytes().await.unwrap().len(), 15);
    let entries = fixture.trail.entries();
    let chunks: Vec<_> = entries.iter().filter(|entry| entry.description == "Chunk made").collect();
    assert_eq!(chunks.len(), 3);
    assert!(chunks.iter().all(|entry| (&*entry.user, &*entry.request_id) == ("thida", "streamed")));
    let closing = only_closing(&fixture.trail);
    assert!(chunks.iter().all(|entry| entry.seq < closing.seq), "the closing entry comes last");
    assert_eq!(outcome(&closing), ("completed", Some(200), true));
}

#[tokio::test]
async fn responses_without_a_body_complete_at_once() {
    for (method, status) in [
        (Method::HEAD, StatusCode::OK),
        (Method::GET, StatusCode::NO_CONTENT),
        (Method::GET, StatusCode::NOT_MODIFIED),
    ] {
        let fixture = fixture();
        // This body is never polled.
        let app = make(move |_| async move { (status, streamed(9, |_| Ok("unsent"))) });
        drop(app.with(fixture.audit.clone()).call(request(method.clone(), "/sales")).await.unwrap());
        let entry = only_closing(&fixture.trail);
        assert_eq!(outcome(&entry), ("completed", Some(status.as_u16()), true), "{method} {status}");
        assert_eq!((entry.method.as_str(), &entry.metadata["bytes"]), (method.as_str(), &0.into()));
    }
}

#[tokio::test]
async fn an_error_becomes_its_response_and_is_explained() {
    let fixture = fixture();
    let app = make(|_| async {
        Err::<(), _>(poem::Error::from_string("no route to the ledger", StatusCode::BAD_GATEWAY))
    });
    let mut response = app.with(fixture.audit.clone()).call(get()).await.unwrap();
    assert_eq!(
        (response.status(), response.header("x-request-id").unwrap().len()),
        (StatusCode::BAD_GATEWAY, 36)
    );
    assert_eq!(response.take_body().into_string().await.unwrap(), "no route to the ledger");
    let entry = only_closing(&fixture.trail);
    assert_eq!(outcome(&entry), ("completed", Some(502), false));
    assert_eq!((entry.level.as_str(), &entry.metadata["error"]), ("ERROR", &"no route to the ledger".into()));
}

#[tokio::test]
async fn an_error_in_the_body_is_a_body_error() {
    let fixture = fixture();
    let app = make(|_| async {
        streamed(2, |number| if number == 0 { Ok("half") } else { Err(io::Error::other("the disk is gone")) })
    });
    let mut response = app.with(fixture.audit.clone()).call(get()).await.unwrap();
    response.take_body().into_bytes().await.unwrap_err();
    let entry = only_closing(&fixture.trail);
    assert_eq!(outcome(&entry), ("body_error", Some(200), false));
    assert_eq!((&entry.metadata["error"], &entry.metadata["bytes"]), (&"the disk is gone".into(), &4.into()));
}

#[tokio::test]
async fn a_panic_is_recorded_and_propagates() {
    let fixture = fixture();
    let in_handler = make(|_| async {
        if true {
            panic!("in the handler")
        }
    })
    .with(fixture.audit.clone());
    AssertUnwindSafe(in_handler.call(get())).catch_unwind().await.unwrap_err();
    let entry = only_closing(&fixture.trail);
    assert_eq!(outcome(&entry), ("panicked", Some(500), false));
    assert_eq!(entry.metadata["error"], "in the handler");

    let fixture = self::fixture();
    let in_body = make(|_| async { streamed(1, |_| panic!("in the body")) }).with(fixture.audit.clone());
    let body = in_body.call(get()).await.unwrap().take_body();
    AssertUnwindSafe(body.into_bytes()).catch_unwind().await.unwrap_err();
    let entry = only_closing(&fixture.trail);
    assert_eq!(outcome(&entry), ("panicked", Some(500), false));
    assert_eq!(entry.metadata["error"], "in the body");
}

/// Records an entry when it is dropped.
struct RecordOnDrop(AuditLogger, Arc<Mutex<bool>>);

impl Drop for RecordOnDrop {
    fn drop(&mut self) {
        *self.1.lock().unwrap() = self.0.log("Dropped").record().is_ok();
    }
}

#[tokio::test]
async fn destructors_record_before_the_closing_entry() {
    for in_body in [false, true] {
        let fixture = fixture();
        let (logger, recorded) = (fixture.trail.logger().clone(), Arc::<Mutex<bool>>::default());
        let seen = recorded.clone();
        let app = make(move |_| {
            let on_drop = RecordOnDrop(logger.clone(), recorded.clone());
            async move {
                if !in_body {
                    pending::<()>().await;
                }
                streamed(9, move |_| {
                    let _captured = &on_drop;
                    Ok("chunk")
                })
            }
        })
        .with(fixture.audit.clone());
        let mut call = Box::pin(app.call(get()));
        let answer = call.as_mut().now_or_never();
        assert_eq!(answer.is_some(), in_body);
        drop(answer);
        drop(call);
        assert!(*seen.lock().unwrap());
        let (closing, entries) = (only_closing(&fixture.trail), fixture.trail.entries());
        let dropped = entries.iter().find(|entry| entry.description == "Dropped").unwrap();
        assert_eq!(dropped.request_id, closing.request_id);
        assert!(dropped.seq < closing.seq);
        let expected =
            if in_body { ("body_aborted", Some(200), false) } else { ("client_aborted", Some(499), false) };
        assert_eq!(outcome(&closing), expected);
    }
}

#[tokio::test]
async fn nested_routes_record_the_full_path() {
    let fixture = fixture();
    let inner = Route::new().at("/invoice", make(|_| async { "ok" })).with(fixture.audit.clone());
    let app = Route::new().nest("/sales", inner);
    let request = request(Method::GET, "/sales/invoice?page=2");
    assert_eq!(app.call(request).await.unwrap().into_body().into_string().await.unwrap(), "ok");
    assert_eq!(only_closing(&fixture.trail).endpoint, "/sales/invoice?page=2");
}
