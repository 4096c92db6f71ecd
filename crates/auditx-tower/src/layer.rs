//! The layer: settings, shared by every service it makes.

use auditx_core::{HttpAudit, HttpAuditBuilder};
use tower_layer::Layer;

use crate::service::AuditService;

/// Wraps services so that each request they answer leaves one closing entry.
#[derive(Debug, Clone, Default)]
pub struct AuditLayer {
    http: HttpAudit,
}

impl AuditLayer {
    /// The defaults: the process-wide logger, no trusted proxies, the usual documentation paths excluded.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Settings of one's own.
    ///
    /// ```
    /// # use auditx_tower::AuditLayer;
    /// let layer = AuditLayer::builder().exclude(["/docs", "/healthz"]).trust_proxies(["10.0.0.0/8"]).build()?;
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
