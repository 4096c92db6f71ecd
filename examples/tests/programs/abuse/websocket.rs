//! A connection that stops speaking HTTP: its exchange ends with the switch, and what is said then has its context.

use super::closings_of;
use crate::client::{CLERK, Client, Request};
use crate::server::{Server, Service};
use crate::trail;

for_axum_and_actix! {
    an_upgraded_connection_leaves_one_entry_and_records_in_its_context,
}

/// A text frame as clients send it, masked with zeros (RFC 6455).
fn frame(text: &str) -> Vec<u8> {
    let len = u8::try_from(text.len()).unwrap();
    assert!(len < 126);
    [&[0x81, 0x80 | len, 0, 0, 0, 0], text.as_bytes()].concat()
}

fn say(client: &mut Client, text: &str) -> String {
    client.send(&frame(text));
    let head = client.receive_bytes(2).unwrap();
    assert_eq!(head[0], 0x81, "a whole text frame");
    String::from_utf8(client.receive_bytes(head[1].into()).unwrap()).unwrap()
}

fn an_upgraded_connection_leaves_one_entry_and_records_in_its_context(service: Service) {
    let server = Server::start(service);
    let mut client = server.client();
    let handshake = Request::get("/inventory/counter")
        .token(CLERK)
        .id("counting")
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    client.send(&handshake.to_bytes());
    assert_eq!(client.receive_head().unwrap().status, 101);
    let closing = trail::wait_for_closing(&server.logs(), "counting");
    assert_eq!(trail::ending(&closing), ("AUDIT", Some(101), true, "upgraded"));
    assert_eq!(say(&mut client, "SKU-1001=49"), "noted SKU-1001");
    assert_eq!(say(&mut client, "nonsense"), "a count is written SKU=quantity");
    let counted =
        trail::wait_for_entry(&server.logs(), "the count", |entry| entry.description == "Stock counted");
    assert_eq!((counted.user.as_str(), counted.request_id.as_str()), ("kyaw", "counting"));
    client.reset();
    assert_eq!(closings_of(server).len(), 1);
}
