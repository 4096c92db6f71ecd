//! How responses end, tested without a server: errors, panics, and bodies of all kinds.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::{pending, ready};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use auditx_core::http::BodyCapture;
use auditx_core::testing::TestTrail;
use auditx_core::{AuditLogger, RequestContext, StoredEntry};
use auditx_tests::served::only_closing;
use auditx_tower::AuditLayer;
use bytes::{Buf, Bytes};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use tower::{Layer, Service, ServiceExt, service_fn};

struct Fixture {
    trail: TestTrail,
    layer: AuditLayer,
}

fn fixture() -> Fixture {
    let trail = TestTrail::new();
    let layer = AuditLayer::builder().logger(trail.logger().clone()).build().unwrap();
    Fixture { trail, layer }
}

fn get() -> Request<Empty<Bytes>> {
    Request::get("/sales?token=t").body(Empty::new()).unwrap()
}

fn outcome(entry: &StoredEntry) -> (&str, Option<u16>, bool) {
    (entry.metadata["outcome"].as_str().unwrap(), entry.status, entry.success)
}

fn empty_response() -> Response<Empty<Bytes>> {
    Response::new(Empty::new())
}

async fn frames<B: Body<Data = Bytes>>(body: B) -> Vec<Result<Frame<Bytes>, B::Error>> {
    let mut body = Box::pin(body);
    let mut frames = Vec::new();
    while let Some(frame) = body.frame().await {
        frames.push(frame);
    }
    frames
}

#[tokio::test]
async fn a_body_passes_unchanged_and_its_end_closes_the_exchange() {
    let fixture = fixture();
    let service = fixture.layer.layer(service_fn(async |_| {
        RequestContext::update(|context| context.user = "admin".into());
        Ok::<_, Infallible>(Response::builder().status(201).body(Full::new(Bytes::from("created"))).unwrap())
    }));
    let response = service.oneshot(get()).await.unwrap();
    assert_eq!(response.headers()["x-request-id"].len(), 36);
    assert_eq!(response.body().size_hint().exact(), Some(7));
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "created");
    let entry = only_closing(&fixture.trail);
    assert_eq!(outcome(&entry), ("completed", Some(201), true));
    assert_eq!((entry.user.as_str(), entry.endpoint.as_str()), ("admin", "/sales?token=[REDACTED]"));
    assert_eq!(entry.metadata["bytes"], 7);
}

#[tokio::test]
async fn a_socket_address_in_the_extensions_is_the_peer() {
    let fixture = fixture();
    let service = fixture.layer.layer(service_fn(async |_| Ok::<_, Infallible>(empty_response())));
    let mut request = get();
    request.extensions_mut().insert(std::net::SocketAddr::from(([192, 0, 2, 7], 40_000)));
    service.oneshot(request).await.unwrap().into_body().collect().await.unwrap();
    assert_eq!(only_closing(&fixture.trail).ip, "192.0.2.7");
}

#[tokio::test]
async fn a_request_body_of_another_type_is_not_observed() {
    let trail = TestTrail::new();
    let capture = BodyCapture::new(["/sales"]);
    let layer = AuditLayer::builder().logger(trail.logger().clone()).capture_bodies(capture).build().unwrap();
    let service = layer.layer(service_fn(async |request: Request<Full<Bytes>>| {
        Ok::<_, Infallible>(Response::new(request.into_body()))
    }));
    let request = Request::post("/sales").header("content-type", "application/json");
    let response = service.oneshot(request.body(Full::new(Bytes::from("{}"))).unwrap()).await.unwrap();
    assert_eq!(
        response.into_body().collect().await.unwrap().to_bytes(),
        "{}",
        "the handler received the body"
    );
    let omitted = serde_json::json!({"omitted": "not_observed"});
    assert_eq!(only_closing(&trail).metadata["request_body"], omitted);
}

#[tokio::test]
async fn a_captured_body_in_several_pieces_is_sent_whole() {
    let trail = TestTrail::new();
    let capture = BodyCapture::new(["/sales"]);
    let layer = AuditLayer::builder().logger(trail.logger().clone()).capture_bodies(capture).build().unwrap();
    let service = layer.layer(service_fn(async |_: Request<Empty<Bytes>>| {
        let pieces = Pieces(VecDeque::from([Bytes::from("[1,"), Bytes::from("2]")]));
        let response = Response::builder().header("content-type", "application/json");
        Ok::<_, Infallible>(response.body(Full::new(pieces)).unwrap())
    }));
    let response = service.oneshot(get()).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "[1,2]");
    let entry = only_closing(&trail);
    assert_eq!(entry.metadata["response_body"], serde_json::json!({"bytes": 5, "content": [1, 2]}));
}

/// Data that is not contiguous.
struct Pieces(VecDeque<Bytes>);

impl From<Bytes> for Pieces {
    fn from(bytes: Bytes) -> Self {
        Self(VecDeque::from([bytes]))
    }
}

impl Buf for Pieces {
    fn remaining(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    fn chunk(&self) -> &[u8] {
        self.0.front().map_or(&[], |piece| piece)
    }

    fn advance(&mut self, mut count: usize) {
        while let Some(piece) = self.0.front_mut() {
            let step = count.min(piece.len());
            piece.advance(step);
            count -= step;
            if !piece.is_empty() {
                break;
            }
            self.0.pop_front();
        }
    }
}

#[tokio::test]
async fn trailers_pass_and_do_not_count_as_bytes() {
    let fixture = fixture();
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().unwrap());
    let service = fixture.layer.layer(service_fn(async |_: Request<Empty<Bytes>>| {
        let frames = [Frame::data(Bytes::from("abc")), Frame::trailers(trailers.clone())];
        let stream = futures_util::stream::iter(frames.map(Ok::<_, Infallible>));
        Ok::<_, Infallible>(Response::new(StreamBody::new(stream)))
    }));
    let frames = frames(service.oneshot(get()).await.unwrap().into_body()).await;
    assert_eq!(frames.len(), 2);
    assert_eq!(frames[1].as_ref().unwrap().trailers_ref().unwrap()["grpc-status"], "0");
    assert_eq!(only_closing(&fixture.trail).metadata["bytes"], 3);
}

#[tokio::test]
async fn a_service_error_is_recorded_and_returned() {
    let fixture = fixture();
    let service = fixture.layer.layer(service_fn(async |_: Request<Empty<Bytes>>| {
        Err::<Response<Empty<Bytes>>, _>(std::io::Error::other("no route to host"))
    }));
    assert_eq!(service.oneshot(get()).await.unwrap_err().to_string(), "no route to host");
    let entry = only_closing(&fixture.trail);
    assert_eq!(outcome(&entry), ("error", Some(500), false));
    assert_eq!((entry.level.as_str(), &entry.metadata["error"]), ("ERROR", &"no route to host".into()));
}

#[tokio::test]
async fn a_panic_in_call_or_poll_is_recorded_and_propagates() {
    for in_call in [true, false] {
        let fixture = fixture();
        let mut service = fixture.layer.layer(service_fn(move |_: Request<Empty<Bytes>>| {
            assert!(!in_call, "in call");
            async {
                if true {
                    panic!("in poll")
                } else {
                    Ok::<Response<Empty<Bytes>>, Infallible>(Response::default())
                }
            }
        }));
        let waker = std::task::Waker::noop();
        let panicked = std::panic::catch_unwind(AssertUnwindSafe(|| {
            let mut future = std::pin::pin!(service.call(get()));
            future.as_mut().poll(&mut Context::from_waker(waker)).is_ready()
        }));
        assert!(panicked.is_err());
        let entry = only_closing(&fixture.trail);
        assert_eq!(outcome(&entry), ("panicked", Some(500), false));
        assert_eq!(entry.metadata["error"], if in_call { "in call" } else { "in poll" });
        assert!(RequestContext::try_current().is_none(), "the panic left the context");
    }
}

#[tokio::test]
async fn a_dropped_future_is_client_aborted_and_drops_in_context() {
    struct RecordOnDrop(AuditLogger);
    impl Drop for RecordOnDrop {
        fn drop(&mut self) {
            self.0.log("rolled back").record().unwrap();
        }
    }
    let fixture = fixture();
    let mut service = fixture.layer.layer(service_fn(|_: Request<Empty<Bytes>>| {
        let guard = RecordOnDrop(fixture.trail.logger().clone());
        async move {
            let _guard = guard;
            pending::<Result<Response<Empty<Bytes>>, Infallible>>().await
        }
    }));
    let mut future = Box::pin(service.call(get()));
    assert!(future.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop())).is_pending());
    drop(future);
    let closing = only_closing(&fixture.trail);
    assert_eq!(outcome(&closing), ("client_aborted", Some(499), false));
    let text = std::fs::read_to_string(fixture.trail.directory().join("audit.jsonl")).unwrap();
    let rolled_back = text.lines().find(|line| line.contains("rolled back")).unwrap();
    assert!(rolled_back.contains(&closing.request_id));
}

#[tokio::test]
async fn a_failed_panicked_or_dropped_body_is_recorded_as_such() {
    type MakeBody = fn() -> Script;
    let endings: [(&str, MakeBody, usize); 3] = [
        ("body_error", || Script::new([Step::Data("ab"), Step::Fail]), 2),
        ("panicked", || Script::new([Step::Data("ab"), Step::Panic]), 2),
        ("body_aborted", || Script::new([Step::Data("ab"), Step::Data("cd")]), 1),
    ];
    for (expected, body, polls) in endings {
        let fixture = fixture();
        let service = fixture.layer.layer(service_fn(move |_: Request<Empty<Bytes>>| {
            ready(Ok::<_, Infallible>(Response::new(body())))
        }));
        let mut body = Box::pin(service.oneshot(get()).await.unwrap().into_body());
        for _ in 0..polls {
            let mut context = Context::from_waker(std::task::Waker::noop());
            drop(std::panic::catch_unwind(AssertUnwindSafe(|| {
                body.as_mut().poll_frame(&mut context).map(|_| ())
            })));
        }
        drop(body);
        let entry = only_closing(&fixture.trail);
        assert_eq!(entry.metadata["outcome"], expected);
        assert_eq!((entry.metadata["bytes"].as_u64(), entry.success), (Some(2), false));
    }
}

#[tokio::test]
async fn a_response_without_a_body_completes_immediately() {
    for (method, status) in
        [("HEAD", StatusCode::OK), ("GET", StatusCode::NO_CONTENT), ("GET", StatusCode::NOT_MODIFIED)]
    {
        let fixture = fixture();
        let service = fixture.layer.layer(service_fn(move |_: Request<Empty<Bytes>>| {
            let body = Full::new(Bytes::from("never sent"));
            ready(Ok::<_, Infallible>(Response::builder().status(status).body(body).unwrap()))
        }));
        let request = Request::builder().method(method).uri("/x").body(Empty::new()).unwrap();
        drop(service.oneshot(request).await.unwrap());
        assert_eq!(only_closing(&fixture.trail).metadata["outcome"], "completed", "{method} {status}");
    }
}

#[tokio::test]
async fn the_context_is_current_while_the_body_is_polled() {
    let fixture = fixture();
    let seen = Arc::new(Mutex::new(String::new()));
    let service = fixture.layer.layer(service_fn(|_: Request<Empty<Bytes>>| {
        ready(Ok::<_, Infallible>(Response::new(Script::new([Step::See(seen.clone())]))))
    }));
    let response = service.oneshot(get()).await.unwrap();
    let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    assert_eq!(frames(response.into_body()).await.len(), 1);
    assert_eq!(*seen.lock().unwrap(), id);
}

/// A body that performs the given steps.
struct Script(std::vec::IntoIter<Step>);

#[derive(Clone)]
enum Step {
    Data(&'static str),
    Fail,
    Panic,
    See(Arc<Mutex<String>>),
}

impl Script {
    fn new<const N: usize>(steps: [Step; N]) -> Self {
        Self(Vec::from(steps).into_iter())
    }
}

impl Body for Script {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(self.0.next().map(|step| match step {
            Step::Data(text) => Ok(Frame::data(Bytes::from(text))),
            Step::Fail => Err(std::io::Error::other("disk is gone")),
            Step::Panic => panic!("on purpose"),
            Step::See(seen) => {
                *seen.lock().unwrap() = RequestContext::current().fields().request_id;
                Ok(Frame::data(Bytes::from("seen")))
            }
        }))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
