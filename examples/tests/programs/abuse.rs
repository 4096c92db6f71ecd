//! Malformed input and misbehaving clients over real sockets. Each request that reaches the service has
//! exactly one closing entry; anything else has none. `aborts.rs` tests disconnects and `stops.rs` shutdown.

mod http2;
mod sockets;
mod websocket;

use auditx_core::StoredEntry;

use crate::client::{MANAGER, Request};
use crate::server::{Server, Service};
use crate::trail;

for_axum_and_actix! {
    a_panic_in_handler_extractor_or_body_leaves_one_entry,
    timeouts_outside_and_inside_leave_one_entry_each,
}

/// Checks that the service still answers.
fn assert_answers(server: &Server) {
    assert_eq!(server.request(&Request::get("/me").token(MANAGER).id("check")).status, 200);
}

/// Stops the service and returns the closing entries of all requests except that of [`assert_answers`].
fn closings_of(server: Server) -> Vec<StoredEntry> {
    let entries = server.stop();
    let closings = trail::closings(&entries).into_iter().filter(|entry| entry.request_id != "check");
    closings.cloned().collect()
}

fn a_panic_in_handler_extractor_or_body_leaves_one_entry(service: Service) {
    let server = Server::start(service);
    let panics = [
        ("/reports/panic", "cash flow: the opening balance is missing"),
        ("/reports/panic/extractor", "period: the calendar has no such year"),
        ("/reports/panic/body", "ledger: page 2 is missing"),
    ];
    for (path, _) in panics {
        let mut client = server.client();
        client.send(&Request::get(path).token(MANAGER).id(path).to_bytes());
        let answer = client.receive_to_end();
        assert!(!answer.ends_with(b"0\r\n\r\n"), "{path}: the client can tell that the body is incomplete");
    }
    assert_answers(&server);
    let closings = closings_of(server);
    assert_eq!(closings.len(), panics.len());
    for (path, why) in panics {
        let closing = trail::closing(&closings, path);
        assert_eq!(trail::ending(closing), ("ERROR", Some(500), false, "panicked"), "{path}");
        assert!(closing.metadata["error"].as_str().unwrap().starts_with(why), "{:?}", closing.metadata);
    }
}

fn timeouts_outside_and_inside_leave_one_entry_each(service: Service) {
    let server = Server::start(service);
    let outside = server.request(&Request::get("/timed/valuation").token(MANAGER).id("outside"));
    assert_eq!(outside.status, 408);
    let inside = server.request(&Request::get("/reports/estimate").token(MANAGER).id("inside"));
    assert_eq!(inside.status, 503);
    let closings = closings_of(server);
    assert_eq!(closings.len(), 2);
    let ending = |id| trail::ending(trail::closing(&closings, id));
    assert_eq!(ending("outside"), ("WARNING", Some(499), false, "client_aborted"), "it was dropped");
    assert_eq!(ending("inside"), ("ERROR", Some(503), false, "completed"));
}
