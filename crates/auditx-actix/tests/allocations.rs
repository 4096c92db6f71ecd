//! Counts the allocations that the middleware adds to a request.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use actix_http::Request;
use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceResponse};
use actix_web::test::{TestRequest, init_service, read_body};
use actix_web::{App, Error, HttpResponse, web};
use auditx_actix::AuditMiddleware;
use auditx_core::{AuditLogger, Config};
use auditx_tests::allocations::{Counting, allocations};

/// Six, as in `auditx-tower`, two for the pattern of the route, and two for the growth of actix's own maps.
const MOST: u64 = 10;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Returns the allocations of one request, after others.
async fn allocations_of<S, B>(service: S) -> u64
where
    S: Service<Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    let mut last = 0;
    for _ in 0..100 {
        let request = TestRequest::get()
            .uri("/customers/4711/invoices?page=2")
            .insert_header(("host", "erp.example.com"))
            .insert_header(("user-agent", "Mozilla/5.0 (X11; Linux x86_64)"))
            .insert_header(("accept", "application/json"))
            .peer_addr(([192, 0, 2, 7], 40_000).into())
            .to_request();
        let before = allocations();
        drop(read_body(service.call(request).await.unwrap()).await);
        last = allocations() - before;
    }
    last
}

#[actix_web::test]
async fn the_middleware_adds_at_most_ten_allocations_to_a_request() {
    let directory = tempfile::tempdir().unwrap();
    let logger = AuditLogger::open(Config::new(directory.path())).unwrap();
    let middleware = AuditMiddleware::builder().logger(logger).build().unwrap();
    let route = || web::get().to(async || HttpResponse::Ok().content_type("text/plain").body("ok"));
    let bare =
        allocations_of(init_service(App::new().route("/customers/{id}/invoices", route())).await).await;
    let audited = App::new().wrap(middleware).route("/customers/{id}/invoices", route());
    let audited = allocations_of(init_service(audited).await).await;
    assert!(audited > bare && audited <= bare + MOST, "{audited}, and {bare} without the middleware");
}
