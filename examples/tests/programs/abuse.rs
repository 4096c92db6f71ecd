//! Clients and networks at their worst, over real sockets: each request that reached the service has exactly one closing entry, and
//! what is no request has none. Clients that merely leave are in `aborts.rs`, the service's own end in `stops.rs`.

mod http2;
mod sockets;
mod websocket;

use auditx_core::StoredEntry;

use crate::client::{MANAGER, Request};
use crate::server::{Server, Service};
use crate::trail;

for_axum_and_actix! {
    a_panic_in_handler_extractor_or_body_leaves_one_entry_and_the_service_goes_on,
    timeouts_above_and_below_leave_one_entry_each,
}

/// Shows that the service is still there.
fn still_answers(server: &Server) {
    assert_eq!(server.ask(&Request::get("/me").token(MANAGER).id("still-there")).status, 200);
}

/// The closing entries of all requests but that one.
fn closings_of(server: Server) -> Vec<StoredEntry> {
    let entries = server.stop();
    let closings = trail::closings(&entries).into_iter().filter(|entry| entry.request_id != "still-there");
    closings.cloned().collect()
}

fn a_panic_in_handler_extractor_or_body_leaves_one_entry_and_the_service_goes_on(service: Service) {
    let server = Server::start(service);
    let places = [
        ("/reports/panic", "cash flow: the opening balance is missing"),
        ("/reports/panic/extractor", "period: the calendar has no such year"),
        ("/reports/panic/body", "ledger: page 2 is missing"),
    ];
    for (path, _) in places {
        let mut client = server.client();
        client.send(&Request::get(path).token(MANAGER).id(path).to_bytes());
        let answer = client.receive_to_end();
        assert!(!answer.ends_with(b"0\r\n\r\n"), "{path}: the client sees that something is missing");
    }
    still_answers(&server);
    let closings = closings_of(server);
    assert_eq!(closings.len(), places.len());
    for (path, why) in places {
        let closing = trail::closing(&closings, path);
        assert_eq!(trail::ending(closing), ("ERROR", Some(500), false, "panicked"), "{path}");
        assert!(closing.metadata["error"].as_str().unwrap().starts_with(why), "{:?}", closing.metadata);
    }
}

fn timeouts_above_and_below_leave_one_entry_each(service: Service) {
    let server = Server::start(service);
    let above = server.ask(&Request::get("/hasty/valuation").token(MANAGER).id("above"));
    assert_eq!(above.status, 408);
    let below = server.ask(&Request::get("/reports/estimate").token(MANAGER).id("below"));
    assert_eq!(below.status, 503);
    let closings = closings_of(server);
    assert_eq!(closings.len(), 2);
    let ending = |id| trail::ending(trail::closing(&closings, id));
    assert_eq!(ending("above"), ("WARNING", Some(499), false, "client_aborted"), "it was dropped");
    assert_eq!(ending("below"), ("ERROR", Some(503), false, "completed"));
}
