//! Serves a router on a real listener.

use std::net::SocketAddr;

use auditx_core::http::HttpAuditBuilder;
use auditx_core::testing::TestTrail;
use auditx_tower::AuditLayer;
use axum::Router;
use tokio::net::TcpListener;

/// Returns a layer that records to the trail.
pub(crate) fn layer(trail: &TestTrail) -> AuditLayer {
    layer_with(trail, |builder| builder)
}

pub(crate) fn layer_with(
    trail: &TestTrail,
    settings: impl FnOnce(HttpAuditBuilder<AuditLayer>) -> HttpAuditBuilder<AuditLayer>,
) -> AuditLayer {
    settings(AuditLayer::builder().logger(trail.logger().clone())).build().unwrap()
}

/// Serves the router on a free port until the test's runtime shuts down.
pub(crate) async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>()).await.unwrap();
    });
    address
}
