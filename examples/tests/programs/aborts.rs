//! Clients that disconnect: before the response's head, during its body, or during the request's body.

use serde_json::json;

use crate::client::{Client, MANAGER, Request};
use crate::server::{Server, Service};
use crate::trail;

for_each_service! {
    a_disconnect_before_the_head_is_recorded_as_aborted,
    a_waiting_request_keeps_its_context,
    a_disconnect_during_the_body_is_recorded_as_aborted,
    an_incomplete_request_body_posts_no_invoice,
}

/// Sends a request for the valuation and waits until its handler runs.
fn begin_valuation(server: &Server, id: &str) -> Client {
    let mut client = server.client();
    client.send(&Request::get("/reports/slow").token(MANAGER).id(id).to_bytes());
    trail::wait_for_entry(&server.logs(), "the start of the handler", |entry| {
        entry.request_id == id && entry.description == "Stock valuation begun"
    });
    client
}

fn a_disconnect_before_the_head_is_recorded_as_aborted(service: Service) {
    let server = Server::start(service);
    let ids: Vec<String> = (0..20).map(|number| format!("gone-{number}")).collect();
    let clients: Vec<Client> = ids.iter().map(|id| begin_valuation(&server, id)).collect();
    drop(clients);
    for id in &ids {
        // Checked while the service runs, so that it is not the service's shutdown that ends the request.
        trail::wait_for_closing(&server.logs(), id);
    }
    assert_eq!(server.request(&Request::get("/me").token(MANAGER)).status, 200);
    let entries = server.stop();
    for id in &ids {
        let closing = trail::closing(&entries, id);
        assert_eq!(trail::ending(closing), ("WARNING", Some(499), false, "client_aborted"));
        assert_eq!(closing.description, "HTTP GET /reports/slow aborted by the client before a response");
        assert_eq!((closing.user.as_str(), closing.action.as_str()), ("thida", "READ"));
        assert_eq!(trail::recorded_in(&entries, id).len(), 1, "it began and did not finish");
    }
    assert_eq!(trail::closings(&entries).len(), ids.len() + 1);
}

fn a_waiting_request_keeps_its_context(service: Service) {
    let server = Server::start(service);
    let mut waiting = begin_valuation(&server, "patient");
    let release = server.request(&Request::post("/reports/release", &json!({})).token(MANAGER).id("release"));
    assert_eq!(release.status, 204);
    assert_eq!(waiting.receive().unwrap().body, b"valued");
    let entries = server.stop();
    assert_eq!(trail::ending(trail::closing(&entries, "patient")), ("AUDIT", Some(200), true, "completed"));
    assert_eq!(trail::ending(trail::closing(&entries, "release")), ("AUDIT", Some(204), true, "completed"));
    let recorded = trail::recorded_in(&entries, "patient");
    let described: Vec<&str> = recorded.iter().map(|entry| entry.description.as_str()).collect();
    assert_eq!(described, ["Stock valuation begun", "Stock valuation finished"]);
    assert!(recorded.iter().all(|entry| entry.user == "thida" && entry.company_id == "CO-001"));
}

fn a_disconnect_during_the_body_is_recorded_as_aborted(service: Service) {
    // Far more than the kernel's socket buffers hold.
    const CHUNKS: u64 = 2_000;
    const CHUNK_LEN: u64 = 66_000;
    const READ: u64 = 1_000_000;

    let server = Server::start(service);
    let mut client = server.client();
    let request = Request::get(&format!("/reports/stream?chunks={CHUNKS}")).token(MANAGER).id("cut");
    client.send(&request.to_bytes());
    assert_eq!(client.receive_head().unwrap().status, 200);
    client.receive_bytes(usize::try_from(READ).unwrap()).unwrap();
    drop(client);
    trail::wait_for_closing(&server.logs(), "cut");

    let whole = server.request(&Request::get("/reports/stream?chunks=3").token(MANAGER).id("whole"));
    assert_eq!(whole.body.len() as u64, 3 * CHUNK_LEN);
    let entries = server.stop();
    let closing = trail::closing(&entries, "cut");
    assert_eq!(trail::ending(closing), ("WARNING", Some(200), false, "body_aborted"));
    let sent = closing.metadata["bytes"].as_u64().unwrap();
    assert!((READ..CHUNKS * CHUNK_LEN).contains(&(sent + CHUNK_LEN)), "{sent} bytes were sent");
    assert_eq!((closing.user.as_str(), closing.branch_id.as_str()), ("thida", "BR-YGN"));

    let closing = trail::closing(&entries, "whole");
    assert_eq!(trail::ending(closing), ("AUDIT", Some(200), true, "completed"));
    assert_eq!(closing.metadata["bytes"], 3 * CHUNK_LEN);
    assert_eq!(trail::closings(&entries).len(), 2);
}

fn an_incomplete_request_body_posts_no_invoice(service: Service) {
    let server = Server::start(service);
    let invoice = json!({"reference_no": "SI-1", "customer": "Golden Trading Co.", "amount": 1});
    let bytes = Request::post("/sales/invoice", &invoice).token(MANAGER).id("torn").to_bytes();
    let mut client = server.client();
    client.send(&bytes[..bytes.len() - 1]);
    drop(client);
    trail::wait_for_closing(&server.logs(), "torn");
    let entries = server.stop();
    let closing = trail::closing(&entries, "torn");
    assert_eq!((closing.success, closing.user.as_str()), (false, "thida"));
    assert!(trail::recorded_in(&entries, "torn").is_empty());
}
