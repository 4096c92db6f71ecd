//! The middleware: holds the settings that the services of all workers share.

use std::future::{Ready, ready};

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform};
use auditx_core::http::{HttpAudit, HttpAuditBuilder};

use crate::body::AuditBody;
use crate::service::AuditService;

/// Wraps an application so that each request it handles is recorded as one closing entry. Cheap to clone into
/// each worker's application.
///
/// The constant of the same name has the defaults: it uses the process-wide logger, trusts no proxies, and
/// excludes the usual documentation paths.
///
/// ```
/// use actix_web::App;
/// use auditx_actix::AuditMiddleware;
///
/// let app = App::new().wrap(AuditMiddleware);
/// # let _ = app;
/// ```
#[derive(Debug, Clone, Default)]
pub struct AuditMiddleware {
    /// `None` for the defaults, so that a constant can have them.
    http: Option<HttpAudit>,
}

/// The middleware with the defaults.
#[expect(non_upper_case_globals, reason = "an application writes `.wrap(AuditMiddleware)`")]
pub const AuditMiddleware: AuditMiddleware = AuditMiddleware { http: None };

impl AuditMiddleware {
    /// Returns a builder for a middleware with other settings.
    ///
    /// ```
    /// # use auditx_actix::AuditMiddleware;
    /// let middleware = AuditMiddleware::builder().exclude(["/docs", "/healthz"]).build()?;
    /// # Ok::<(), auditx_core::Error>(())
    /// ```
    #[must_use]
    pub fn builder() -> HttpAuditBuilder<Self> {
        HttpAuditBuilder::new()
    }
}

impl From<HttpAudit> for AuditMiddleware {
    fn from(http: HttpAudit) -> Self {
        Self { http: Some(http) }
    }
}

impl<S, B> Transform<S, ServiceRequest> for AuditMiddleware
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    type Response = ServiceResponse<AuditBody<B>>;
    type Error = Error;
    type Transform = AuditService<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(AuditService::new(service, self.http.clone().unwrap_or_default())))
    }
}
