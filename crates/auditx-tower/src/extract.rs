//! Extractors for handlers, and the response of a handler whose entry could not be recorded.

use std::convert::Infallible;

use auditx_core::RequestContext;
use axum::extract::FromRequestParts;
use axum::response::IntoResponse;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};

use crate::context::AuditContext;

impl<S: Sync> FromRequestParts<S> for AuditContext {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().cloned().unwrap_or_else(|| Self(RequestContext::current())))
    }
}

/// Extracts the request's id; empty without the layer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestId(pub String);

impl<S: Sync> FromRequestParts<S> for RequestId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let AuditContext(context) = AuditContext::from_request_parts(parts, state).await?;
        Ok(Self(context.fields().request_id))
    }
}

/// The error response of a handler that could not record an entry, as `application/problem+json` (RFC 9457).
///
/// The status is 503 (413 if the entry is too large), so no operation is acknowledged that is not in the
/// trail. The closing entry contains the reason, the response does not.
///
/// ```
/// # use auditx_core::audit;
/// # use auditx_tower::Problem;
/// async fn void_invoice() -> Result<&'static str, Problem> {
///     audit().log("Invoice voided").record()?;
///     Ok("voided")
/// }
/// # let _: axum::Router = axum::Router::new().route("/", axum::routing::post(void_invoice));
/// ```
#[derive(Debug, Clone)]
pub struct Problem(auditx_core::http::Problem);

impl From<auditx_core::Error> for Problem {
    fn from(error: auditx_core::Error) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> axum::response::Response {
        let Self(problem) = self;
        RequestContext::update(|context| {
            context.extra.insert("error".to_owned(), problem.reason().into());
        });
        let mut response = Response::new(problem.to_json().into());
        *response.status_mut() =
            StatusCode::from_u16(problem.status()).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
        let kind = HeaderValue::from_static(auditx_core::http::Problem::CONTENT_TYPE);
        response.headers_mut().insert(CONTENT_TYPE, kind);
        response
    }
}
