//! axum on tokio's current-thread runtime: one thread accepts connections, serves requests and runs the
//! middleware.

use std::path::Path;

use ::axum::extract::{Path as RoutePath, Request};
use ::axum::{Router, routing};
use tokio::net::TcpListener;
use tower::ServiceBuilder;
use tower_http::ServiceBuilderExt;
use tower_http::request_id::{MakeRequestUuid, RequestId};
use tower_http::trace::{DefaultOnResponse, TraceLayer};
use tracing::{Level, Span};
use tracing_subscriber::fmt::format::FmtSpan;

use super::{logging, server, subject};
use crate::Outcome;

/// Serves the application without middleware.
pub(super) fn bare() -> Outcome<()> {
    serve(router())?;
    server::send_usage();
    Ok(())
}

/// Serves with tower-http's request ids and tracing, which writes one line when the response starts.
pub(super) fn with_trace(directory: &Path) -> Outcome<()> {
    let guard = logging::tracing_to_file(directory, FmtSpan::NONE)?;
    let trace = TraceLayer::new_for_http()
        .make_span_with(request_span)
        .on_request(())
        .on_response(DefaultOnResponse::new().level(Level::INFO));
    let middleware =
        ServiceBuilder::new().set_x_request_id(MakeRequestUuid).layer(trace).propagate_x_request_id();
    serve(router().layer(middleware))?;
    drop(guard);
    server::send_usage();
    Ok(())
}

fn request_span<B>(request: &::axum::http::Request<B>) -> Span {
    let id = request.extensions().get::<RequestId>().and_then(|id| id.header_value().to_str().ok());
    tracing::info_span!("request", method = %request.method(), uri = %request.uri(), request_id = id)
}

pub(super) fn router() -> Router {
    Router::new().route("/sales/invoice/{id}", routing::get(invoice))
}

async fn invoice(RoutePath(_id): RoutePath<u64>, _request: Request) -> &'static str {
    subject::BODY
}

/// Serves on a free loopback port until the parent process stops it.
pub(super) fn serve(router: Router) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let stopped = server::listen_for_commands(listener.local_addr()?.port())?;
        // A closed channel means that the command thread has ended, which also stops the server.
        let stop = async { drop(stopped.await) };
        ::axum::serve(listener, router).with_graceful_shutdown(stop).await?;
        Ok(())
    })
}
