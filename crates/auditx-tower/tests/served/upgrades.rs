//! WebSockets: the exchange ends with the switch, the context goes on.

use auditx_core::AuditLogger;
use auditx_tower::AuditContext;
use axum::Router;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::get;

use crate::server::{layer, serve};
use auditx_core::testing::TestTrail;
use auditx_tests::served::{ask, open_websocket, say, wait_for_closings};

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

#[tokio::test]
async fn an_upgrade_closes_the_exchange_and_what_is_said_later_has_its_context() {
    let trail = TestTrail::new();
    let app = Router::new().route("/orders", get(orders)).with_state(trail.logger().clone());
    let address = serve(app.layer(layer(&trail))).await;
    let mut stream = open_websocket(address, "/orders").await;
    let closing = wait_for_closings(&trail, 1).await.remove(0);
    assert_eq!((closing.status, closing.success), (Some(101), true));
    assert_eq!((closing.metadata["outcome"].as_str(), closing.user.as_str()), (Some("upgraded"), "thida"));

    assert_eq!(say(&mut stream, "LED Panel 24W").await, "noted");
    drop(stream);
    let entries = trail.entries();
    let order = entries.iter().find(|entry| entry.description == "ordered LED Panel 24W").unwrap();
    assert_eq!((order.user.as_str(), order.request_id.as_str()), ("thida", "ws-1"));
    assert_eq!(ask(address, "GET", "/orders", &[]).await.status(), 400, "no handshake, no upgrade");
    assert_eq!(wait_for_closings(&trail, 2).await[1].metadata["outcome"], "completed");
}
