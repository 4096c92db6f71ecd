//! Extractors, settings for single scopes, refusals, and durable responses.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use actix_web::web::{Data, get, post, scope};
use auditx_actix::{AuditContext, AuditMiddleware, Problem, RequestId};
use auditx_core::http::OnFailure;
use auditx_core::testing::TestTrail;
use auditx_core::{AuditLogger, Config, Durability, RequestContext};
use auditx_tests::served::{ask, wait_for_closings};
use serde_json::{Value, json};

use crate::{audited, audited_with, serve};

async fn statement(
    logger: Data<AuditLogger>,
    AuditContext(context): AuditContext,
    RequestId(id): RequestId,
) -> String {
    context.edit(|context| context.user = "thida".into());
    let task = context.in_task(async move { logger.log("in a task").record().map(drop) });
    actix_web::rt::spawn(task).await.unwrap().unwrap();
    id
}

#[actix_web::test]
async fn extractors_return_the_context_and_the_entry_has_the_route() {
    let trail = TestTrail::new();
    let (audit, logger) = (audited(&trail), Data::new(trail.logger().clone()));
    let address = serve!(|app| app
        .app_data(logger.clone())
        .service(scope("/customers").route("/{id}/statement", get().to(statement)))
        .wrap(audit.clone()));
    let answer = ask(address, "GET", "/customers/C-7/statement?token=t", &[("x-request-id", "seven")]).await;
    assert_eq!(answer.body(), b"seven");
    let closing = wait_for_closings(&trail, 1).await.remove(0);
    let entries = trail.entries();
    let inner = entries.iter().find(|entry| entry.description == "in a task").unwrap();
    assert_eq!((inner.user.as_str(), inner.request_id.as_str()), ("thida", "seven"));
    assert_eq!(closing.metadata["route"], "/customers/{id}/statement");
    assert_eq!(closing.endpoint, "/customers/C-7/statement?token=[REDACTED]");
    assert_eq!((closing.user.as_str(), closing.ip.as_str()), ("thida", "127.0.0.1"));
}

#[actix_web::test]
async fn an_inner_middleware_overrides_settings_without_a_second_entry() {
    async fn pay() -> &'static str {
        RequestContext::update(|context| context.user = "kyaw".into());
        "paid"
    }
    let (everywhere, payments) = (TestTrail::new(), TestTrail::new());
    let strict = audited_with(&payments, |layer| layer.on_failure(OnFailure::Closed).durable(true));
    let audit = audited(&everywhere);
    let address = serve!(|app| app
        .service(scope("/payments").route("", post().to(pay)).wrap(strict.clone()))
        .route("/me", get().to(async || "me"))
        .wrap(audit.clone()));
    assert_eq!(ask(address, "POST", "/payments", &[]).await.body(), b"paid");
    assert_eq!(ask(address, "GET", "/me", &[]).await.status(), 200);
    let entry = wait_for_closings(&payments, 1).await.remove(0);
    assert_eq!((entry.user.as_str(), entry.endpoint.as_str()), ("kyaw", "/payments"));
    assert_eq!(wait_for_closings(&everywhere, 1).await[0].endpoint, "/me");

    payments.close();
    let refused = ask(address, "POST", "/payments", &[("x-request-id", "late")]).await;
    assert_eq!((refused.status(), refused.header("x-request-id").as_deref()), (503, Some("late")));
    assert_eq!(ask(address, "GET", "/me", &[]).await.status(), 200, "other routes still work");
}

#[actix_web::test]
async fn a_fail_closed_middleware_refuses_before_the_handler_runs() {
    for (on_failure, expected, expected_runs) in [(OnFailure::Closed, 503, 1), (OnFailure::Open, 200, 2)] {
        let trail = TestTrail::new();
        let runs = Arc::new(AtomicU32::new(0));
        let count = runs.clone();
        let audit = audited_with(&trail, |layer| layer.on_failure(on_failure));
        let address = serve!(|app| {
            let count = count.clone();
            let handler = move || {
                // ORDERING: pairs with the load below, which follows the response of this handler.
                count.fetch_add(1, Ordering::SeqCst);
                std::future::ready("done")
            };
            app.route("/", post().to(handler)).wrap(audit.clone())
        });
        assert_eq!(ask(address, "POST", "/", &[]).await.status(), 200);
        trail.close();
        let answer = ask(address, "POST", "/", &[("x-request-id", "late")]).await;
        assert_eq!((answer.status(), answer.header("x-request-id").as_deref()), (expected, Some("late")));
        // ORDERING: pairs with the increment in the handler.
        assert_eq!(runs.load(Ordering::SeqCst), expected_runs);
        if expected == 503 {
            assert_eq!(answer.header("content-type").as_deref(), Some("application/problem+json"));
            let body: Value = serde_json::from_slice(answer.body()).unwrap();
            assert_eq!((&body["status"], &body["request_id"]), (&json!(503), &json!("late")));
        }
    }
}

#[actix_web::test]
async fn a_problem_response_hides_the_reason_the_entry_contains() {
    async fn void(books: Data<AuditLogger>) -> Result<&'static str, Problem> {
        books.log("Invoice voided").record()?;
        Ok("voided")
    }
    let (trail, closed) = (TestTrail::new(), TestTrail::new());
    closed.close();
    let (audit, books) = (audited(&trail), Data::new(closed.logger().clone()));
    let address =
        serve!(|app| app.app_data(books.clone()).route("/void", post().to(void)).wrap(audit.clone()));
    let answer = ask(address, "POST", "/void", &[]).await;
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.header("content-type").as_deref(), Some("application/problem+json"));
    assert!(!String::from_utf8_lossy(answer.body()).contains("the trail is closed"));
    assert_eq!(wait_for_closings(&trail, 1).await[0].metadata["error"], "the trail is closed");
}

#[actix_web::test]
async fn a_durable_response_is_sent_after_its_entries_are_durable() {
    async fn pay(books: Data<AuditLogger>) -> Result<&'static str, Problem> {
        books.log("paid").record()?;
        Ok("paid")
    }
    let directory = tempfile::tempdir().unwrap();
    // With this interval, only waiting requests cause a sync.
    let config = Config::new(directory.path()).durability(Durability::Interval(Duration::from_secs(3_600)));
    let logger = AuditLogger::open(config).unwrap();
    let audit = AuditMiddleware::builder().logger(logger.clone()).durable(true).build().unwrap();
    let books = Data::new(logger.clone());
    let address = serve!(|app| app.app_data(books.clone()).route("/", post().to(pay)).wrap(audit.clone()));
    for answered in 1..=8 {
        assert_eq!(ask(address, "POST", "/", &[]).await.body(), b"paid");
        // The first line of the session has been durable since the trail was opened, hence `>`.
        assert!(logger.metrics().durable > answered, "the entry of each response is durable");
    }
}
