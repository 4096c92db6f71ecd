//! WebSockets: the exchange ends with the upgrade; the context stays usable.

use actix_web::web::{Data, Payload, get};
use actix_web::{HttpRequest, HttpResponse};
use actix_ws::Message;
use auditx_actix::AuditContext;
use auditx_core::AuditLogger;
use auditx_core::testing::TestTrail;
use auditx_tests::served::{closings, exchange_text, open_websocket, wait_for_closings};
use futures_util::StreamExt as _;

use crate::{audited, serve};

/// Records and acknowledges each message.
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

#[actix_web::test]
async fn an_upgrade_closes_the_exchange_and_the_context_stays_usable() {
    let trail = TestTrail::new();
    let (audit, logger) = (audited(&trail), Data::new(trail.logger().clone()));
    let address =
        serve!(|app| app.app_data(logger.clone()).route("/orders", get().to(orders)).wrap(audit.clone()));
    let mut stream = open_websocket(address, "/orders").await;
    let closing = wait_for_closings(&trail, 1).await.remove(0);
    assert_eq!((closing.status, closing.success), (Some(101), true));
    assert_eq!((closing.metadata["outcome"].as_str(), closing.user.as_str()), (Some("upgraded"), "thida"));

    assert_eq!(exchange_text(&mut stream, "LED Panel 24W").await, "noted");
    drop(stream);
    let entries = trail.entries();
    let order = entries.iter().find(|entry| entry.description == "ordered LED Panel 24W").unwrap();
    assert_eq!((order.user.as_str(), order.request_id.as_str()), ("thida", "ws-1"));
    assert_eq!(closings(&trail).len(), 1);
}
