//! Requests whose client stays connected: errors, panics, unknown and excluded paths.

use crate::client::{MANAGER, Request};
use crate::server::{Server, Service};
use crate::trail;

for_each_service! {
    a_panicking_handler_leaves_one_entry,
    a_failed_handler_is_recorded_with_its_reason,
    an_unknown_path_is_a_warning,
    only_exact_excluded_paths_leave_no_entry,
    pipelined_requests_have_one_entry_each,
}

fn a_panicking_handler_leaves_one_entry(service: Service) {
    let server = Server::start(service);
    let mut client = server.client();
    assert_eq!(client.request(&Request::get("/me").token(MANAGER)).status, 200);
    let answer = client.try_request(&Request::get("/reports/panic").token(MANAGER).id("panic"));
    assert!(answer.is_none(), "the connection ends without a response: {answer:?}");
    assert_eq!(server.request(&Request::get("/me").token(MANAGER).id("after")).status, 200);
    let entries = server.stop();
    let closing = trail::closing(&entries, "panic");
    assert_eq!(trail::ending(closing), ("ERROR", Some(500), false, "panicked"));
    assert_eq!(closing.metadata["error"], "cash flow: the opening balance is missing");
    assert_eq!(
        closing.description,
        "HTTP Request Failed: GET /reports/panic: cash flow: the opening balance is missing"
    );
    assert_eq!((closing.user.as_str(), closing.company_id.as_str()), ("thida", "CO-001"));
    assert_eq!(trail::ending(trail::closing(&entries, "after")), ("AUDIT", Some(200), true, "completed"));
    assert_eq!(trail::closings(&entries).len(), 3);
}

fn a_failed_handler_is_recorded_with_its_reason(service: Service) {
    let server = Server::start(service);
    let answer = server.request(&Request::get("/reports/fail").token(MANAGER).id("fail"));
    assert_eq!((answer.status, answer.id()), (500, "fail"));
    assert_eq!(answer.json()["error"], "internal error", "the client gets no details");
    let entries = server.stop();
    let closing = trail::closing(&entries, "fail");
    assert_eq!(trail::ending(closing), ("ERROR", Some(500), false, "completed"));
    assert_eq!(closing.metadata["error"], "ledger 2026-07 is locked by the year-end run");
    assert_eq!(closing.description, "HTTP GET /reports/fail completed with 500");
}

fn an_unknown_path_is_a_warning(service: Service) {
    let server = Server::start(service);
    assert_eq!(server.request(&Request::get("/nowhere?page=2").id("lost")).status, 404);
    let entries = server.stop();
    let closing = trail::closing(&entries, "lost");
    assert_eq!(trail::ending(closing), ("WARNING", Some(404), false, "completed"));
    assert_eq!((closing.endpoint.as_str(), closing.user.as_str()), ("/nowhere?page=2", "SYSTEM"));
    assert_eq!(closing.ip, "127.0.0.1");
}

fn only_exact_excluded_paths_leave_no_entry(service: Service) {
    let server = Server::start(service);
    for path in ["/healthz", "/healthz?verbose=1", "/healthz/"] {
        let answer = server.request(&Request::get(path).id("probe"));
        assert_eq!(answer.id(), "probe", "{path} has a context");
    }
    let similar = ["/healthz/../me", "/healthz-private", "/healthz/%2e%2e/me", "/Healthz", "/docs"];
    for path in similar {
        server.request(&Request::get(path).token(MANAGER));
    }
    let entries = server.stop();
    let endpoints: Vec<&str> =
        trail::closings(&entries).iter().map(|closing| closing.endpoint.as_str()).collect();
    assert_eq!(endpoints, similar);
}

fn pipelined_requests_have_one_entry_each(service: Service) {
    let server = Server::start(service);
    let ids = ["first", "second", "third"];
    let requests: Vec<u8> =
        ids.iter().flat_map(|id| Request::get("/me").token(MANAGER).id(id).to_bytes()).collect();
    let mut client = server.client();
    client.send(&requests);
    for id in ids {
        let answer = client.receive().unwrap();
        assert_eq!((answer.status, answer.id()), (200, id));
        assert_eq!(answer.json()["request_id"], id);
    }
    let entries = server.stop();
    for id in ids {
        assert_eq!(trail::ending(trail::closing(&entries, id)), ("AUDIT", Some(200), true, "completed"));
    }
    assert_eq!(trail::closings(&entries).len(), ids.len());
}
