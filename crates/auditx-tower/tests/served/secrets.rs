//! Secrets in URLs are redacted before anything is written to the trail.

use auditx_core::testing::TestTrail;
use auditx_tests::served::{SECRET, SECRET_TARGETS, ask, holds, wait_for_closings};
use axum::Router;
use axum::routing::get;

use crate::server::{layer, layer_with, serve};

fn routes() -> Router {
    Router::new()
        .route("/me", get(async || "me"))
        .route("/r/{token}", get(async || "reset"))
        .route("/reset-password/{link}", get(async || "reset"))
        .route("/customers/{id}", get(async || "customer"))
}

#[tokio::test]
async fn no_secret_in_a_url_reaches_the_trail() {
    let trail = TestTrail::new();
    let address = serve(routes().layer(layer_with(&trail, |layer| layer.start_record(true)))).await;
    for (number, target) in SECRET_TARGETS.iter().enumerate() {
        ask(address, "GET", target, &[]).await;
        wait_for_closings(&trail, 2 * (number + 1)).await;
        assert!(!holds(&trail, SECRET) && !holds(&trail, "s3cr3t%2D77c0ffee"), "{target}");
    }
}

#[tokio::test]
async fn harmless_targets_are_recorded_unchanged() {
    let trail = TestTrail::new();
    let address = serve(routes().layer(layer(&trail))).await;
    let targets = [
        "/customers/C-7?page=2&product_code=P-1&sort_key=name&state=x",
        "/nowhere/confirm/SI-2024-0001",
        "/nowhere/password/new",
        "/nowhere/users/reset/4711",
        "/me?next=%2Fcustomers%3Fpage%3D2",
    ];
    for (number, target) in targets.into_iter().enumerate() {
        ask(address, "GET", target, &[]).await;
        let closings = wait_for_closings(&trail, number + 1).await;
        assert_eq!(closings[number].endpoint, target);
    }
}

#[tokio::test]
async fn the_user_agent_and_the_redacted_referer_are_recorded() {
    let trail = TestTrail::new();
    let address = serve(routes().layer(layer_with(&trail, |layer| layer.referer(true)))).await;
    let referer = format!("https://x/reset-password/{SECRET}?code={SECRET}&page=2");
    ask(address, "GET", "/me", &[("user-agent", "curl/8.5.0"), ("referer", &referer)]).await;
    let entry = wait_for_closings(&trail, 1).await.remove(0);
    assert_eq!(entry.metadata["user_agent"], "curl/8.5.0");
    assert_eq!(entry.metadata["referer"], "https://x/reset-password/[REDACTED]?code=[REDACTED]&page=2");
    assert!(!holds(&trail, SECRET));
}
