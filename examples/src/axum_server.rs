//! What the axum services share: the audit layer, authentication, error responses and graceful shutdown.

use std::error::Error;
use std::net::SocketAddr;

use auditx_core::RequestContext;
use auditx_tower::AuditLayer;
use axum::Router;
use axum::extract::{FromRequestParts, Json};
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio::time::sleep;

use crate::accounts::{Account, sign_in};
use crate::faulty::Period;
use crate::options::Options;
use crate::refusal::Refusal;
use crate::shutdown;

/// Returns the audit layer that the options describe.
///
/// # Errors
/// Fails if a trusted proxy is not a valid address or network.
pub fn audit_layer(options: &Options) -> auditx_core::Result<AuditLayer> {
    AuditLayer::builder().exclude(["/healthz"]).trust_proxies(options.trusted_proxies.iter().cloned()).build()
}

/// Serves the routes until the process receives SIGTERM or SIGINT.
///
/// # Errors
/// Fails if the address cannot be bound.
pub async fn serve(routes: Router, options: &Options) -> Result<(), Box<dyn Error>> {
    let app = routes.into_make_service_with_connect_info::<SocketAddr>();
    let (stop, stopping) = (shutdown::signal()?, shutdown::signal()?);
    let listener = TcpListener::bind(options.addr).await?;
    println!("listening on http://{}", listener.local_addr()?);
    tokio::select! {
        served = axum::serve(listener, app).with_graceful_shutdown(stop) => Ok(served?),
        // Requests that still run after the grace period are dropped with the runtime; each writes its
        // closing entry when it is dropped.
        () = async { stopping.await; sleep(options.grace()).await } => Ok(()),
    }
}

/// The signed-in user. A request without a valid token is rejected before its handler is called.
#[derive(Debug)]
pub struct SignedIn(pub &'static Account);

impl<S: Sync> FromRequestParts<S> for SignedIn {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let authorization = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        Ok(Self(sign_in(authorization)?))
    }
}

impl<S: Sync> FromRequestParts<S> for Period {
    type Rejection = Failure;

    async fn from_request_parts(_: &mut Parts, _: &S) -> Result<Self, Failure> {
        Ok(Self::from_request())
    }
}

/// A [`Refusal`] as an axum response.
#[derive(Debug)]
pub struct Failure(Refusal);

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self(refusal)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let Self(refusal) = self;
        // The audit layer sees only the response; it takes the reason for the closing entry from the context.
        RequestContext::update(|context| {
            context.extra.insert("error".to_owned(), refusal.to_string().into());
        });
        let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Json(refusal.to_json())).into_response()
    }
}
