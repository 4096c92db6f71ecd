//! A connection that is upgraded to WebSocket: its exchange ends with the upgrade, and later entries have its
//! context.

use auditx_tests::served::{HANDSHAKE, text_frame};

use super::closings_of;
use crate::client::{CLERK, Client, Request};
use crate::server::{Server, Service};
use crate::trail;

for_axum_and_actix! {
    an_upgraded_connection_records_in_its_context,
}

/// Sends a text message and returns the answer.
fn exchange(client: &mut Client, text: &str) -> String {
    client.send(&text_frame(text));
    let head = client.receive_bytes(2).unwrap();
    assert_eq!(head[0], 0x81, "a whole text frame");
    String::from_utf8(client.receive_bytes(head[1].into()).unwrap()).unwrap()
}

fn an_upgraded_connection_records_in_its_context(service: Service) {
    let server = Server::start(service);
    let mut client = server.client();
    let request = Request::get("/inventory/counter").token(CLERK);
    let handshake = HANDSHAKE.into_iter().fold(request, |request, (name, value)| request.header(name, value));
    client.send(&handshake.to_bytes());
    assert_eq!(client.receive_head().unwrap().status, 101);
    let closing = trail::wait_for_closing(&server.logs(), "ws-1");
    assert_eq!(trail::ending(&closing), ("AUDIT", Some(101), true, "upgraded"));
    assert_eq!(exchange(&mut client, "SKU-1001=49"), "recorded SKU-1001");
    assert_eq!(exchange(&mut client, "nonsense"), "expected SKU=quantity");
    let counted =
        trail::wait_for_entry(&server.logs(), "the count", |entry| entry.description == "Stock counted");
    assert_eq!((counted.user.as_str(), counted.request_id.as_str()), ("kyaw", "ws-1"));
    client.reset();
    assert_eq!(closings_of(server).len(), 1);
}
