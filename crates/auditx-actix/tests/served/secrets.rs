//! Secrets in URLs are redacted before anything is written to the trail.

use actix_web::web::get;
use auditx_core::testing::TestTrail;
use auditx_tests::served::{SECRET, SECRET_TARGETS, ask, holds, wait_for_closings};

use crate::{audited, audited_with, serve};

async fn page() -> &'static str {
    "page"
}

#[actix_web::test]
async fn no_secret_in_a_url_reaches_the_trail() {
    let trail = TestTrail::new();
    let audit = audited_with(&trail, |middleware| middleware.start_record(true));
    let address = serve!(|app| app
        .route("/me", get().to(page))
        .route("/r/{token}", get().to(page))
        .route("/reset-password/{link}", get().to(page))
        .wrap(audit.clone()));
    for (number, target) in SECRET_TARGETS.iter().enumerate() {
        ask(address, "GET", target, &[]).await;
        wait_for_closings(&trail, 2 * (number + 1)).await;
        assert!(!holds(&trail, SECRET) && !holds(&trail, "s3cr3t%2D77c0ffee"), "{target}");
    }
}

#[actix_web::test]
async fn harmless_targets_are_recorded_unchanged() {
    let trail = TestTrail::new();
    let audit = audited(&trail);
    let address = serve!(|app| app
        .route("/me", get().to(page))
        .route("/customers/{id}", get().to(page))
        .wrap(audit.clone()));
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

#[actix_web::test]
async fn the_user_agent_and_the_redacted_referer_are_recorded() {
    let trail = TestTrail::new();
    let audit = audited_with(&trail, |middleware| middleware.referer(true));
    let address = serve!(|app| app.route("/me", get().to(page)).wrap(audit.clone()));
    let referer = format!("https://x/reset-password/{SECRET}?code={SECRET}&page=2");
    ask(address, "GET", "/me", &[("user-agent", "curl/8.5.0"), ("referer", &referer)]).await;
    let entry = wait_for_closings(&trail, 1).await.remove(0);
    assert_eq!(entry.metadata["user_agent"], "curl/8.5.0");
    assert_eq!(entry.metadata["referer"], "https://x/reset-password/[REDACTED]?code=[REDACTED]&page=2");
    assert!(!holds(&trail, SECRET));
}
