//! The middleware under real servers with real clients: beside actix's own middleware, under upgrades and durable responses.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod bodies;
mod composition;
mod routes;
mod secrets;
mod upgrades;

/// Serves an application, given as the expression after `App::new()`, on a free port until the test's system ends.
macro_rules! serve {
    (|$app:ident| $application:expr) => {{
        let server = actix_web::HttpServer::new(move || {
            let $app = actix_web::App::new();
            $application
        })
        .workers(1)
        .disable_signals()
        .bind(("127.0.0.1", 0))
        .unwrap();
        let address = server.addrs()[0];
        actix_web::rt::spawn(server.run());
        address
    }};
}
use serve;

use auditx_actix::{AuditMiddleware, AuditTransform};
use auditx_core::HttpAuditBuilder;
use auditx_core::testing::TestTrail;

/// The middleware, with the trail's logger.
fn audited(trail: &TestTrail) -> AuditTransform {
    audited_with(trail, |builder| builder)
}

fn audited_with(
    trail: &TestTrail,
    settings: impl FnOnce(HttpAuditBuilder<AuditTransform>) -> HttpAuditBuilder<AuditTransform>,
) -> AuditTransform {
    settings(AuditMiddleware::builder().logger(trail.logger().clone())).build().unwrap()
}
