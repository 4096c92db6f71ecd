//! Extractors, problem responses, and settings for some of the routes.

use auditx_core::RequestContext;
use auditx_core::http::OnFailure;
use auditx_core::testing::TestTrail;
use auditx_tests::served::{ask, wait_for_closings};
use auditx_tower::{AuditContext, Problem, RequestId};
use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};
use serde_json::{Value, json};

use crate::server::{layer, layer_with, serve};

#[tokio::test]
async fn extractors_return_the_context_and_the_entry_has_the_route() {
    let trail = TestTrail::new();
    let logger = trail.logger().clone();
    let handler = async move |AuditContext(context): AuditContext, RequestId(id): RequestId| {
        context.edit(|context| context.user = "thida".into());
        let task = context.in_task(async move { logger.log("in a task").record().map(drop) });
        tokio::spawn(task).await.unwrap().unwrap();
        id
    };
    let customers = Router::new().route("/{id}/statement", get(handler));
    let app = Router::new().nest("/customers", customers).layer(layer(&trail));
    let address = serve(app).await;
    let answer = ask(address, "GET", "/customers/C-7/statement?token=t", &[("x-request-id", "seven")]).await;
    assert_eq!(answer.body(), b"seven");
    assert_eq!(ask(address, "GET", "/nowhere", &[]).await.status(), 404);
    let closings = wait_for_closings(&trail, 2).await;
    let entries = trail.entries();
    let inner = entries.iter().find(|entry| entry.description == "in a task").unwrap();
    assert_eq!((inner.user.as_str(), inner.request_id.as_str()), ("thida", "seven"));
    assert_eq!(closings[0].metadata["route"], "/customers/{id}/statement");
    assert_eq!(closings[0].endpoint, "/customers/C-7/statement?token=[REDACTED]");
    assert!(!closings[1].metadata.contains_key("route"));
    assert_eq!((closings[0].user.as_str(), closings[0].ip.as_str()), ("thida", "127.0.0.1"));
}

#[tokio::test]
async fn extractors_work_without_the_layer() {
    let app =
        Router::new().route("/", get(async |RequestId(id): RequestId, _: AuditContext| format!("[{id}]")));
    assert_eq!(ask(serve(app).await, "GET", "/", &[]).await.body(), b"[]");
}

#[tokio::test]
async fn an_inner_layer_overrides_settings_without_a_second_entry() {
    let (everywhere, payments) = (TestTrail::new(), TestTrail::new());
    let pay = post(async || RequestContext::update(|context| context.user = "kyaw".into()));
    let strict = layer_with(&payments, |layer| layer.on_failure(OnFailure::Closed).durable(true));
    let app = Router::new()
        .nest("/payments", Router::new().route("/", pay).layer(strict))
        .route("/me", get(async || "me"))
        .layer(layer(&everywhere));
    let address = serve(app).await;

    assert_eq!(ask(address, "POST", "/payments", &[]).await.status(), 200);
    assert_eq!(ask(address, "GET", "/me", &[]).await.status(), 200);
    let entry = wait_for_closings(&payments, 1).await.remove(0);
    assert_eq!((entry.user.as_str(), entry.endpoint.as_str()), ("kyaw", "/payments"));
    assert_eq!(wait_for_closings(&everywhere, 1).await[0].endpoint, "/me");

    payments.close();
    let refused = ask(address, "POST", "/payments", &[("x-request-id", "late")]).await;
    assert_eq!((refused.status(), refused.header("x-request-id").as_deref()), (503, Some("late")));
    assert_eq!(ask(address, "GET", "/me", &[]).await.status(), 200, "other routes still work");
}

#[tokio::test]
async fn a_fail_closed_layer_refuses_before_the_handler_runs() {
    for (on_failure, expected) in [(OnFailure::Closed, 503), (OnFailure::Open, 200)] {
        let trail = TestTrail::new();
        let runs = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
        let count = runs.clone();
        let handler = async move || {
            // ORDERING: pairs with the load below, which follows the response of this handler.
            count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        };
        let layer = layer_with(&trail, |layer| layer.on_failure(on_failure));
        let address = serve(Router::new().route("/", post(handler)).layer(layer)).await;
        assert_eq!(ask(address, "POST", "/", &[]).await.status(), 200);
        trail.close();

        let answer = ask(address, "POST", "/", &[("x-request-id", "late")]).await;
        assert_eq!((answer.status(), answer.header("x-request-id").as_deref()), (expected, Some("late")));
        // ORDERING: pairs with the increment in the handler.
        assert_eq!(runs.load(std::sync::atomic::Ordering::SeqCst), if expected == 200 { 2 } else { 1 });
        if expected == 503 {
            assert_eq!(answer.header("content-type").as_deref(), Some("application/problem+json"));
            let body: Value = serde_json::from_slice(answer.body()).unwrap();
            assert_eq!((&body["status"], &body["request_id"]), (&json!(503), &json!("late")));
        }
    }
}

#[tokio::test]
async fn a_problem_response_hides_the_reason_the_entry_contains() {
    let (trail, closed) = (TestTrail::new(), TestTrail::new());
    closed.close();
    let void = async |State(books): State<auditx_core::AuditLogger>| -> Result<&'static str, Problem> {
        books.log("Invoice voided").record()?;
        Ok("voided")
    };
    let too_large = async |State(books): State<auditx_core::AuditLogger>| -> Result<(), Problem> {
        books.log("x".repeat(70_000)).record()?;
        Ok(())
    };
    let app = Router::new().route("/void", post(void)).with_state(closed.logger().clone());
    let large = Router::new().route("/large", post(too_large)).with_state(trail.logger().clone());
    let address = serve(app.merge(large).layer(layer(&trail))).await;
    let answer = ask(address, "POST", "/void", &[]).await;
    assert_eq!(answer.status(), 503);
    assert!(!String::from_utf8_lossy(answer.body()).contains("the trail is closed"));
    assert_eq!(ask(address, "POST", "/large", &[]).await.status(), 413);
    let closings = wait_for_closings(&trail, 2).await;
    assert_eq!(closings[0].metadata["error"], "the trail is closed");
    assert!(closings[1].metadata["error"].as_str().unwrap().contains("largest field is description"));
}
