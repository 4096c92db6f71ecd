//! WebSockets: the exchange ends with the switch, the context goes on.

use actix_web::web::{Data, Payload, get};
use actix_web::{HttpRequest, HttpResponse};
use actix_ws::Message;
use auditx_actix::AuditContext;
use auditx_core::AuditLogger;
use auditx_tests::served::{Trail, send};
use futures_util::StreamExt as _;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{audited, serve};

/// Records each message and says so.
async fn orders(
    request: HttpRequest,
    body: Payload,
    logger: Data<AuditLogger>,
    AuditContext(context): AuditContext,
) -> actix_web::Result<HttpResponse> {
    context.edit(|context| context.user = "thida".into());
    let (response, mut session, mut messages) = actix_ws::handle(&request, body)?;
    actix_web::rt::spawn(context.in_task(async move {
        while let Some(Ok(Message::Text(order))) = messages.next().await {
            if logger.log(format!("ordered {order}")).record().is_err()
                || session.text("noted").await.is_err()
            {
                return;
            }
        }
    }));
    Ok(response)
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

#[actix_web::test]
async fn an_upgrade_closes_the_exchange_and_what_is_said_later_has_its_context() {
    let trail = Trail::new();
    let (audit, logger) = (audited(&trail), Data::new(trail.logger.clone()));
    let address =
        serve!(|app| app.app_data(logger.clone()).route("/orders", get().to(orders)).wrap(audit.clone()));
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
    assert_eq!(trail.closings().len(), 1);
}
