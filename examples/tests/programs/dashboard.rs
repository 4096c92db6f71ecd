//! The dashboard that `axum_erp` mounts: behind the service's own authentication, within its audit layer.

use serde_json::json;

use crate::client::{CLERK, MANAGER, Request, Response};
use crate::server::{Server, Service};

fn text(response: &Response) -> String {
    String::from_utf8(response.body.clone()).unwrap()
}

#[test]
fn managers_see_their_company_and_their_reads_are_recorded() {
    let server = Server::start(Service::Axum);
    let invoice = json!({ "reference_no": "SI-1", "customer": "Golden Trading Co.", "amount": 1 });
    assert_eq!(server.request(&Request::post("/sales/invoice", &invoice).token(CLERK)).status, 201);
    let page = |token: &str| server.request(&Request::get("/admin/audit?q=ref:SI-1").token(token));
    assert_eq!(server.request(&Request::get("/admin/audit")).status, 401);
    assert_eq!(page(CLERK).status, 403);
    let seen = page(MANAGER);
    assert_eq!(seen.status, 200);
    assert!(text(&seen).contains("Sales invoice posted"), "{}", text(&seen));
    // A manager of the other company.
    let other = page("demo-e6043f7b-nilar");
    assert!(text(&other).contains("No entries found"), "{}", text(&other));

    let entries = server.stop();
    let reads: Vec<_> = entries.iter().filter(|entry| entry.module == "audit").collect();
    let users: Vec<&str> = reads.iter().map(|read| read.user.as_str()).collect();
    assert_eq!(users, ["thida", "nilar"]);
    assert!(reads.iter().all(|read| read.ip == "127.0.0.1" && !read.request_id.is_empty()), "{reads:?}");
}
