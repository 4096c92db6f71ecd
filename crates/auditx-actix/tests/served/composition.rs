//! The middleware together with actix's own middleware, in the orders that docs/HTTP.md describes.

use actix_web::HttpResponse;
use actix_web::body::BoxBody;
use actix_web::dev::ServiceResponse;
use actix_web::http::StatusCode;
use actix_web::middleware::{Compress, ErrorHandlerResponse, ErrorHandlers, Logger, NormalizePath};
use actix_web::web::get;
use auditx_core::StoredEntry;
use auditx_core::testing::TestTrail;
use auditx_tests::served::{ask, wait_for_closings};

use crate::{audited, serve};

/// Repetitive enough to be worth compressing.
const REPORT: usize = 20_000;

fn ending(entry: &StoredEntry) -> (Option<u16>, bool, &str) {
    (entry.status, entry.success, entry.metadata["outcome"].as_str().unwrap())
}

async fn report() -> String {
    "x".repeat(REPORT)
}

async fn refused() -> HttpResponse {
    HttpResponse::Forbidden().finish()
}

async fn broken() -> Result<HttpResponse, actix_web::Error> {
    Err(actix_web::error::ErrorInternalServerError("the opening balance is missing"))
}

/// Replaces the body of an error response with a page.
fn page<B>(response: ServiceResponse<B>) -> actix_web::Result<ErrorHandlerResponse<B>> {
    let (request, response) = response.into_parts();
    let response = response.set_body(BoxBody::new("we are sorry"));
    Ok(ErrorHandlerResponse::Response(ServiceResponse::new(request, response).map_into_right_body()))
}

#[actix_web::test]
async fn in_the_recommended_order_each_request_has_one_entry() {
    let trail = TestTrail::new();
    let audit = audited(&trail);
    let address = serve!(|app| app
        .route("/report", get().to(report))
        .route("/refused", get().to(refused))
        .route("/broken", get().to(broken))
        .wrap(NormalizePath::trim())
        .wrap(ErrorHandlers::new().handler(StatusCode::FORBIDDEN, page))
        .wrap(Compress::default())
        .wrap(Logger::default())
        .wrap(audit.clone()));

    let zipped = ask(address, "GET", "/report/", &[("accept-encoding", "gzip")]).await;
    assert_eq!(zipped.header("content-encoding").as_deref(), Some("gzip"));
    let entry = wait_for_closings(&trail, 1).await.remove(0);
    assert_eq!(ending(&entry), (Some(200), true, "completed"));
    let bytes = entry.metadata["bytes"].as_u64().unwrap();
    assert!(bytes > 0 && bytes < 1_000, "the compressed size, as sent: {bytes}");
    assert_eq!(entry.endpoint, "/report/", "the path as received, before it was normalised");
    assert_eq!(entry.metadata["route"], "/report");

    let sorry = ask(address, "GET", "/refused", &[]).await;
    assert!(sorry.body().ends_with(b"we are sorry"));
    assert_eq!(ask(address, "GET", "/broken", &[]).await.status(), 500);
    assert_eq!(ask(address, "GET", "/nowhere", &[]).await.status(), 404);
    let closings = wait_for_closings(&trail, 4).await;
    assert_eq!(ending(&closings[1]), (Some(403), false, "completed"));
    assert_eq!(closings[1].metadata["bytes"], "we are sorry".len());
    assert_eq!(ending(&closings[2]), (Some(500), false, "completed"));
    assert_eq!(closings[2].metadata["error"], "the opening balance is missing");
    assert!(!closings[3].metadata.contains_key("route"));
}

#[actix_web::test]
async fn outer_compression_and_error_pages_are_not_seen() {
    let trail = TestTrail::new();
    let audit = audited(&trail);
    let address = serve!(|app| app
        .route("/report", get().to(report))
        .route("/refused", get().to(refused))
        .wrap(audit.clone())
        .wrap(ErrorHandlers::new().handler(StatusCode::FORBIDDEN, page))
        .wrap(Compress::default()));
    let zipped = ask(address, "GET", "/report", &[("accept-encoding", "gzip")]).await;
    assert!(zipped.body().len() < 1_000);
    ask(address, "GET", "/refused", &[]).await;
    let closings = wait_for_closings(&trail, 2).await;
    assert_eq!(
        (closings[0].metadata["bytes"].as_u64(), ending(&closings[0]).2),
        (Some(REPORT as u64), "completed")
    );
    assert_eq!(closings[1].metadata["bytes"], 0);
}
