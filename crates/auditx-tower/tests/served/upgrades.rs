//! WebSockets: the exchange ends with the switch, the context goes on.

use auditx_core::AuditLogger;
use auditx_tower::AuditContext;
use axum::Router;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::server::{layer, serve};
use auditx_tests::served::{Trail, ask, send};

/// Records each message, and says how many there were.
async fn take_orders(mut socket: WebSocket, logger: AuditLogger) {
    while let Some(Ok(Message::Text(order))) = socket.recv().await {
        if logger.log(format!("ordered {order}")).record().is_err() {
            return;
        }
        if socket.send(Message::Text("noted".into())).await.is_err() {
            return;
        }
    }
}

async fn orders(
    upgrade: WebSocketUpgrade,
    AuditContext(context): AuditContext,
    State(logger): State<AuditLogger>,
) -> Response {
    context.edit(|context| context.user = "thida".into());
    upgrade.on_upgrade(move |socket| context.in_task(take_orders(socket, logger)))
}

const HANDSHAKE: [(&str, &str); 5] = [
    ("connection", "Upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("x-request-id", "ws-1"),
];

/// A text frame from a client, masked with zeros (RFC 6455).
fn frame(text: &str) -> Vec<u8> {
    let len = u8::try_from(text.len()).unwrap();
    [&[0x81, 0x80 | len, 0, 0, 0, 0], text.as_bytes()].concat()
}

#[tokio::test]
async fn an_upgrade_closes_the_exchange_and_what_is_said_later_has_its_context() {
    let trail = Trail::new();
    let app = Router::new().route("/orders", get(orders)).with_state(trail.logger.clone());
    let address = serve(app.layer(layer(&trail))).await;
    let mut stream = send(address, "GET", "/orders", &HANDSHAKE).await;
    let mut seen = Vec::new();
    while !seen.ends_with(b"\r\n\r\n") {
        assert_ne!(stream.read_buf(&mut seen).await.unwrap(), 0);
    }
    assert!(seen.starts_with(b"HTTP/1.1 101 "));
    let closing = trail.wait_for_closings(1).await.remove(0);
    assert_eq!((closing.status, closing.success), (Some(101), true));
    assert_eq!((closing.metadata["outcome"].as_str(), closing.user.as_str()), (Some("upgraded"), "thida"));

    stream.write_all(&frame("LED Panel 24W")).await.unwrap();
    let mut noted = [0; 7];
    stream.read_exact(&mut noted).await.unwrap();
    assert_eq!(&noted[2..], b"noted");
    drop(stream);
    let entries = trail.entries();
    let order = entries.iter().find(|entry| entry.description == "ordered LED Panel 24W").unwrap();
    assert_eq!((order.user.as_str(), order.request_id.as_str()), ("thida", "ws-1"));
    assert_eq!(ask(address, "GET", "/orders", &[]).await.status(), 400, "no handshake, no upgrade");
    assert_eq!(trail.wait_for_closings(2).await[1].metadata["outcome"], "completed");
}
