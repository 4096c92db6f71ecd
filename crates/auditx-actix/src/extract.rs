//! Extractors for handlers, and the response of a handler whose entry could not be recorded.

use std::convert::Infallible;
use std::fmt;
use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::{FromRequest, HttpMessage, HttpRequest, HttpResponse, ResponseError};
use auditx_core::RequestContext;

/// Extracts the request's context. Tasks, threads, jobs and upgraded connections do not inherit the context;
/// a handler passes it to them explicitly.
///
/// Without the middleware, it is the context that the handler runs in, or an empty one.
///
/// ```
/// # use auditx_actix::AuditContext;
/// async fn import(AuditContext(context): AuditContext) -> &'static str {
///     actix_web::rt::spawn(context.in_task(async { /* entries recorded here name the request's user */ }));
///     "started"
/// }
/// # let _ = actix_web::App::new().route("/", actix_web::web::post().to(import));
/// ```
#[derive(Debug, Clone, Default)]
pub struct AuditContext(pub RequestContext);

impl AuditContext {
    fn of(request: &HttpRequest) -> Self {
        let found = request.extensions().get::<Self>().cloned();
        found.unwrap_or_else(|| Self(RequestContext::current()))
    }
}

impl FromRequest for AuditContext {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self::of(request)))
    }
}

/// Extracts the request's id; empty without the middleware.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestId(pub String);

impl FromRequest for RequestId {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let AuditContext(context) = AuditContext::of(request);
        ready(Ok(Self(context.fields().request_id)))
    }
}

/// The error response of a handler that could not record an entry, as `application/problem+json` (RFC 9457).
///
/// The status is 503 (413 if the entry is too large), so no operation is acknowledged that is not in the
/// trail. The closing entry contains the reason, the response does not.
///
/// ```
/// # use auditx_core::audit;
/// # use auditx_actix::Problem;
/// async fn void_invoice() -> Result<&'static str, Problem> {
///     audit().log("Invoice voided").record()?;
///     Ok("voided")
/// }
/// # let _ = actix_web::App::new().route("/", actix_web::web::post().to(void_invoice));
/// ```
#[derive(Debug, Clone)]
pub struct Problem(auditx_core::http::Problem);

impl From<auditx_core::Error> for Problem {
    fn from(error: auditx_core::Error) -> Self {
        Self(error.into())
    }
}

impl fmt::Display for Problem {
    /// Writes the reason, which goes to the closing entry and not to the response.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.reason())
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.0.status()).unwrap_or(StatusCode::SERVICE_UNAVAILABLE)
    }

    fn error_response(&self) -> HttpResponse {
        let kind = auditx_core::http::Problem::CONTENT_TYPE;
        HttpResponse::build(self.status_code()).content_type(kind).body(self.0.to_json())
    }
}
