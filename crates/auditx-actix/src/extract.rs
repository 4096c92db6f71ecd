//! What handlers ask for in their arguments, and what they answer where they could not record.

use std::convert::Infallible;
use std::fmt;
use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::{FromRequest, HttpMessage, HttpRequest, HttpResponse, ResponseError};
use auditx_core::RequestContext;

/// The request's context, as an argument of a handler: to hand it to tasks, threads, jobs and upgraded connections, which do not
/// inherit it.
///
/// Without the middleware it is the context the handler runs in, or an empty one.
///
/// ```
/// # use auditx_actix::AuditContext;
/// async fn import(AuditContext(context): AuditContext) -> &'static str {
///     actix_web::rt::spawn(context.in_task(async { /* what is recorded here names the request's user */ }));
///     "started"
/// }
/// # let _ = actix_web::App::new().route("/", actix_web::web::post().to(import));
/// ```
#[derive(Debug, Clone, Default)]
pub struct AuditContext(pub RequestContext);

impl AuditContext {
    fn of(request: &HttpRequest) -> Self {
        let kept = request.extensions().get::<Self>().cloned();
        kept.unwrap_or_else(|| Self(RequestContext::current()))
    }
}

impl FromRequest for AuditContext {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self::of(request)))
    }
}

/// The request's id, as an argument of a handler; empty without the middleware.
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

/// Answers `application/problem+json` (RFC 9457) where a handler could not record: 503, so that nothing is acknowledged that the
/// trail does not know. The closing entry gets the reason, the client does not.
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
pub struct Problem(auditx_core::Problem);

impl From<auditx_core::Error> for Problem {
    fn from(error: auditx_core::Error) -> Self {
        Self(error.into())
    }
}

impl fmt::Display for Problem {
    /// The reason: the closing entry shows it, the response does not.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.reason())
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.0.status()).unwrap_or(StatusCode::SERVICE_UNAVAILABLE)
    }

    fn error_response(&self) -> HttpResponse {
        let kind = auditx_core::Problem::CONTENT_TYPE;
        HttpResponse::build(self.status_code()).content_type(kind).body(self.0.to_json())
    }
}
