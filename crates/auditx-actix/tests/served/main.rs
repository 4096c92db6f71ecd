//! The middleware in real servers with real clients: with actix's own middleware, upgrades and durable
//! responses.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod bodies;
mod composition;
mod routes;
mod secrets;
mod upgrades;

/// Serves an application, built by the given expression from `App::new()`, on a free port until the test's
/// actix system shuts down.
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

use auditx_actix::AuditMiddleware;
use auditx_core::http::HttpAuditBuilder;
use auditx_core::testing::TestTrail;

/// Returns a middleware that records to the trail.
fn audited(trail: &TestTrail) -> AuditMiddleware {
    audited_with(trail, |builder| builder)
}

fn audited_with(
    trail: &TestTrail,
    settings: impl FnOnce(HttpAuditBuilder<AuditMiddleware>) -> HttpAuditBuilder<AuditMiddleware>,
) -> AuditMiddleware {
    settings(AuditMiddleware::builder().logger(trail.logger().clone())).build().unwrap()
}
