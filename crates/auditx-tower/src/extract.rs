//! What handlers ask for in their arguments, and what they answer where they could not record.

use std::convert::Infallible;

use auditx_core::RequestContext;
use axum::extract::FromRequestParts;
use axum::response::IntoResponse;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};

/// The request's context, as an argument of a handler: to hand it to tasks, threads, jobs and upgraded connections, which do not
/// inherit it.
///
/// Without the layer it is the context the handler runs in, or an empty one.
///
/// ```
/// # use auditx_tower::AuditContext;
/// async fn import(AuditContext(context): AuditContext) -> &'static str {
///     tokio::spawn(context.in_task(async { /* what is recorded here names the request's user */ }));
///     "started"
/// }
/// # let _: axum::Router = axum::Router::new().route("/", axum::routing::post(import));
/// ```
#[derive(Debug, Clone, Default)]
pub struct AuditContext(pub RequestContext);

impl<S: Sync> FromRequestParts<S> for AuditContext {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().cloned().unwrap_or_else(|| Self(RequestContext::current())))
    }
}

/// The request's id, as an argument of a handler; empty without the layer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestId(pub String);

impl<S: Sync> FromRequestParts<S> for RequestId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let AuditContext(context) = AuditContext::from_request_parts(parts, state).await?;
        Ok(Self(context.fields().request_id))
    }
}

/// Answers `application/problem+json` (RFC 9457) where a handler could not record: 503, so that nothing is acknowledged that the
/// trail does not know. The closing entry gets the reason, the client does not.
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
pub struct Problem(auditx_core::Problem);

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
        let kind = HeaderValue::from_static(auditx_core::Problem::CONTENT_TYPE);
        response.headers_mut().insert(CONTENT_TYPE, kind);
        response
    }
}
