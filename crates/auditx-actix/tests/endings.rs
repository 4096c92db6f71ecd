//! How responses end, tested without a server: errors, panics, and bodies of all kinds.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::future::{Future, pending, poll_fn, ready};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use actix_http::Request;
use actix_web::body::{BodySize, MessageBody, to_bytes};
use actix_web::dev::Service;
use actix_web::error::{ErrorForbidden, InternalError};
use actix_web::http::StatusCode;
use actix_web::test::{TestRequest, init_service};
use actix_web::web::Bytes;
use actix_web::{App, HttpResponse, web};
use auditx_actix::AuditMiddleware;
use auditx_core::testing::TestTrail;
use auditx_core::{AuditLogger, RequestContext, StoredEntry};
use auditx_tests::served::only_closing;

/// Builds an audited application with one handler for all paths.
macro_rules! app {
    ($trail:expr, $handler:expr) => {
        init_service(
            App::new()
                .default_service(web::to($handler))
                .wrap(AuditMiddleware::builder().logger($trail.logger().clone()).build().unwrap()),
        )
        .await
    };
}

fn outcome(entry: &StoredEntry) -> (&str, Option<u16>, bool) {
    (entry.metadata["outcome"].as_str().unwrap(), entry.status, entry.success)
}

fn get() -> Request {
    TestRequest::get().uri("/sales?token=t").peer_addr("192.0.2.7:4711".parse().unwrap()).to_request()
}

#[actix_web::test]
async fn a_body_passes_unchanged_and_its_end_closes_the_exchange() {
    let trail = TestTrail::new();
    let app = app!(trail, || async {
        RequestContext::update(|context| context.user = "admin".into());
        HttpResponse::Created().body("created")
    });
    let response = app.call(get()).await.unwrap();
    assert_eq!(response.headers().get("x-request-id").unwrap().len(), 36);
    let body = response.into_body();
    assert_eq!(body.size(), BodySize::Sized(7));
    assert_eq!(to_bytes(body).await.unwrap(), "created");
    let entry = only_closing(&trail);
    assert_eq!(outcome(&entry), ("completed", Some(201), true));
    assert_eq!((entry.user.as_str(), entry.endpoint.as_str()), ("admin", "/sales?token=[REDACTED]"));
    assert_eq!((entry.ip.as_str(), &entry.metadata["bytes"]), ("192.0.2.7", &7.into()));
}

#[actix_web::test]
async fn the_error_of_a_handlers_response_is_recorded() {
    let trail = TestTrail::new();
    let app = app!(trail, || async {
        Err::<HttpResponse, _>(InternalError::new("ledger is locked", StatusCode::INTERNAL_SERVER_ERROR))
    });
    drop(to_bytes(app.call(get()).await.unwrap().into_body()).await);
    let entry = only_closing(&trail);
    assert_eq!(outcome(&entry), ("completed", Some(500), false));
    assert_eq!((entry.level.as_str(), &entry.metadata["error"]), ("ERROR", &"ledger is locked".into()));
}

#[actix_web::test]
async fn an_inner_middlewares_error_is_recorded_with_its_status() {
    let trail = TestTrail::new();
    let app = init_service(
        App::new()
            .wrap_fn(|_, _| ready(Err::<actix_web::dev::ServiceResponse, _>(ErrorForbidden("not yours"))))
            .wrap(AuditMiddleware::builder().logger(trail.logger().clone()).build().unwrap()),
    )
    .await;
    assert_eq!(app.call(get()).await.unwrap_err().to_string(), "not yours");
    let entry = only_closing(&trail);
    assert_eq!(outcome(&entry), ("error", Some(403), false));
    assert_eq!((entry.level.as_str(), &entry.metadata["error"]), ("WARNING", &"not yours".into()));
}

#[actix_web::test]
async fn a_panic_in_a_handler_is_recorded_and_propagates() {
    let trail = TestTrail::new();
    let app = app!(trail, || async { if true { panic!("in handler") } else { HttpResponse::Ok().finish() } });
    let mut future = Box::pin(app.call(get()));
    let panicked = poll_fn(|cx| {
        Poll::Ready(
            std::panic::catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx).is_ready())).is_err(),
        )
    })
    .await;
    assert!(panicked);
    let entry = only_closing(&trail);
    assert_eq!(outcome(&entry), ("panicked", Some(500), false));
    assert_eq!(entry.metadata["error"], "in handler");
    assert!(RequestContext::try_current().is_none(), "the panic left the context");
}

#[actix_web::test]
async fn a_dropped_future_is_client_aborted_and_drops_in_context() {
    struct RecordOnDrop(AuditLogger);
    impl Drop for RecordOnDrop {
        fn drop(&mut self) {
            self.0.log("rolled back").record().unwrap();
        }
    }
    let trail = TestTrail::new();
    let logger = trail.logger().clone();
    let app = app!(trail, move || {
        let guard = RecordOnDrop(logger.clone());
        async move {
            let _guard = guard;
            pending::<HttpResponse>().await
        }
    });
    let mut future = Box::pin(app.call(get()));
    poll_fn(|cx| {
        assert!(future.as_mut().poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
    drop(future);
    let closing = only_closing(&trail);
    assert_eq!(outcome(&closing), ("client_aborted", Some(499), false));
    let text = std::fs::read_to_string(trail.directory().join("audit.jsonl")).unwrap();
    let rolled_back = text.lines().find(|line| line.contains("rolled back")).unwrap();
    assert!(rolled_back.contains(&closing.request_id));
}

#[actix_web::test]
async fn a_failed_panicked_or_dropped_body_is_recorded_as_such() {
    type MakeBody = fn() -> Script;
    let endings: [(&str, MakeBody, usize); 3] = [
        ("body_error", || Script::new([Step::Data("ab"), Step::Fail]), 2),
        ("panicked", || Script::new([Step::Data("ab"), Step::Panic]), 2),
        ("body_aborted", || Script::new([Step::Data("ab"), Step::Data("cd")]), 1),
    ];
    for (expected, body, polls) in endings {
        let trail = TestTrail::new();
        let app = app!(trail, move || async move { HttpResponse::Ok().body(body()) });
        let mut body = Box::pin(app.call(get()).await.unwrap().into_body());
        for _ in 0..polls {
            let mut context = Context::from_waker(Waker::noop());
            std::panic::catch_unwind(AssertUnwindSafe(|| body.as_mut().poll_next(&mut context).is_ready()))
                .unwrap_or(false);
        }
        drop(body);
        let entry = only_closing(&trail);
        assert_eq!(entry.metadata["outcome"], expected);
        assert_eq!((entry.metadata["bytes"].as_u64(), entry.success), (Some(2), false));
    }
}

#[actix_web::test]
async fn a_response_without_a_body_completes_immediately() {
    for status in [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED] {
        let trail = TestTrail::new();
        let app =
            app!(
                trail,
                move || async move { HttpResponse::build(status).body(Script::new([Step::Data("x")])) }
            );
        drop(app.call(get()).await.unwrap());
        assert_eq!(only_closing(&trail).metadata["outcome"], "completed", "{status}");
    }
}

#[actix_web::test]
async fn the_context_is_current_while_the_body_is_polled() {
    let trail = TestTrail::new();
    let seen = Arc::new(Mutex::new(String::new()));
    let app = app!(trail, {
        let seen = seen.clone();
        move || {
            let seen = seen.clone();
            async move { HttpResponse::Ok().body(Script::new([Step::See(seen)])) }
        }
    });
    let response = app.call(get()).await.unwrap();
    let id = response.headers().get("x-request-id").unwrap().to_str().unwrap().to_owned();
    assert_eq!(to_bytes(response.into_body()).await.unwrap(), "seen");
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

impl MessageBody for Script {
    type Error = std::io::Error;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Poll::Ready(self.0.next().map(|step| match step {
            Step::Data(text) => Ok(Bytes::from(text)),
            Step::Fail => Err(std::io::Error::other("disk is gone")),
            Step::Panic => panic!("on purpose"),
            Step::See(seen) => {
                *seen.lock().unwrap() = RequestContext::current().fields().request_id;
                Ok(Bytes::from("seen"))
            }
        }))
    }
}
