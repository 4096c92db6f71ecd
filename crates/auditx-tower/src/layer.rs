//! The tower layer: holds the settings that all services made from it share.

use auditx_core::http::{HttpAudit, HttpAuditBuilder};
use tower_layer::Layer;

use crate::service::AuditService;

/// Wraps a service so that each request it handles is recorded as one closing entry.
#[derive(Debug, Clone, Default)]
pub struct AuditLayer {
    http: HttpAudit,
}

impl AuditLayer {
    /// Creates a layer with the defaults: it uses the process-wide logger, trusts no proxies, and excludes
    /// the usual documentation paths.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns a builder for a layer with other settings.
    ///
    /// ```
    /// # use auditx_tower::AuditLayer;
    /// let builder = AuditLayer::builder().exclude(["/docs", "/healthz"]);
    /// let layer = builder.trust_proxies(["10.0.0.0/8"]).build()?;
    /// # Ok::<(), auditx_core::Error>(())
    /// ```
    #[must_use]
    pub fn builder() -> HttpAuditBuilder<Self> {
        HttpAuditBuilder::new()
    }
}

impl From<HttpAudit> for AuditLayer {
    fn from(http: HttpAudit) -> Self {
        Self { http }
    }
}

impl<S> Layer<S> for AuditLayer {
    type Service = AuditService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        AuditService::new(inner, self.http.clone())
    }
}
