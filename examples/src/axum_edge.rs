//! What the axum services share where a request comes in and an answer goes out.
//!
//! Comes in: routes. Goes out: a service that is audited, knows who asks, answers refusals, and stops when told to. It knows
//! no business.

use std::error::Error;
use std::net::SocketAddr;

use auditx_core::RequestContext;
use auditx_tower::AuditLayer;
use axum::extract::{FromRequestParts, Json};
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::{Router, serve};
use tokio::net::TcpListener;
use tokio::time::sleep;

use crate::accounts::{Account, sign_in};
use crate::faulty::Period;
use crate::options::Options;
use crate::refusal::Refusal;
use crate::stop;

/// The layer that routes are audited by.
///
/// # Errors
/// Where the options name no proxy.
pub fn audited(options: &Options) -> auditx_core::Result<AuditLayer> {
    AuditLayer::builder().exclude(["/healthz"]).trust_proxies(options.trusted_proxies.iter().cloned()).build()
}

/// Serves these routes until the process is told to stop.
///
/// # Errors
/// Where it cannot listen.
pub async fn listen(routes: Router, options: &Options) -> Result<(), Box<dyn Error>> {
    let app = routes.into_make_service_with_connect_info::<SocketAddr>();
    let (stop, told_to_stop) = (stop::requested()?, stop::requested()?);
    let listener = TcpListener::bind(options.addr).await?;
    println!("listening on http://{}", listener.local_addr()?);
    tokio::select! {
        served = serve(listener, app).with_graceful_shutdown(stop) => Ok(served?),
        // Whatever still runs then is dropped with the runtime, and leaves its closing entry too.
        () = async { told_to_stop.await; sleep(options.grace()).await } => Ok(()),
    }
}

/// Whoever sends the request, known by their token; requests without one get no further.
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
        Ok(Self::of_request())
    }
}

/// A refusal as an answer.
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
        // A layer sees the response only. What the reason was, the closing entry learns from the context.
        RequestContext::update(|context| {
            context.extra.insert("error".to_owned(), refusal.to_string().into());
        });
        let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Json(refusal.to_json())).into_response()
    }
}
