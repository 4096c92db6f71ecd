//! WebSockets: the exchange ends with the upgrade; the context stays usable.

use auditx_core::AuditLogger;
use auditx_core::testing::TestTrail;
use auditx_tests::served::{ask, exchange_text, open_websocket, wait_for_closings};
use auditx_tower::AuditContext;
use axum::Router;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::get;

use crate::server::{layer, serve};

/// Records and acknowledges each message until the connection closes.
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
async fn an_upgrade_closes_the_exchange_and_the_context_stays_usable() {
    let trail = TestTrail::new();
    let app = Router::new().route("/orders", get(orders)).with_state(trail.logger().clone());
    let address = serve(app.layer(layer(&trail))).await;
    let mut stream = open_websocket(address, "/orders").await;
    let closing = wait_for_closings(&trail, 1).await.remove(0);
    assert_eq!((closing.status, closing.success), (Some(101), true));
    assert_eq!((closing.metadata["outcome"].as_str(), closing.user.as_str()), (Some("upgraded"), "thida"));

    assert_eq!(exchange_text(&mut stream, "LED Panel 24W").await, "noted");
    drop(stream);
    let entries = trail.entries();
    let order = entries.iter().find(|entry| entry.description == "ordered LED Panel 24W").unwrap();
    assert_eq!((order.user.as_str(), order.request_id.as_str()), ("thida", "ws-1"));
    assert_eq!(ask(address, "GET", "/orders", &[]).await.status(), 400, "no upgrade without a handshake");
    assert_eq!(wait_for_closings(&trail, 2).await[1].metadata["outcome"], "completed");
}
