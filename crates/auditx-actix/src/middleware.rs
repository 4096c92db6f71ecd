//! The middleware: settings, shared by the service of every worker.

use std::future::{Ready, ready};

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform};
use auditx_core::{HttpAudit, HttpAuditBuilder};

use crate::body::AuditBody;
use crate::service::AuditService;

/// Audits requests with the defaults: the process-wide logger, no trusted proxies, the usual documentation paths
/// excluded. For settings of one's own see [`AuditMiddleware::builder`].
#[derive(Debug, Clone, Copy, Default)]
pub struct AuditMiddleware;

impl AuditMiddleware {
    /// Settings of one's own.
    ///
    /// ```
    /// # use auditx_actix::AuditMiddleware;
    /// let middleware = AuditMiddleware::builder().exclude(["/docs", "/healthz"]).build()?;
    /// # Ok::<(), auditx_core::Error>(())
    /// ```
    #[must_use]
    pub fn builder() -> HttpAuditBuilder<AuditTransform> {
        HttpAuditBuilder::new()
    }
}

/// Audits requests with settings of one's own; cheap to clone into each worker's application.
#[derive(Debug, Clone, Default)]
pub struct AuditTransform {
    http: HttpAudit,
}

impl From<HttpAudit> for AuditTransform {
    fn from(http: HttpAudit) -> Self {
        Self { http }
    }
}

impl<S, B> Transform<S, ServiceRequest> for AuditTransform
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
        ready(Ok(AuditService::new(service, self.http.clone())))
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
        AuditTransform::default().new_transform(service)
    }
}
