//! The context of a request, where inner layers and handlers find it.

use auditx_core::RequestContext;

/// The request's context: an extension of each audited request, and an extractor for axum. Tasks, threads,
/// jobs and upgraded connections do not inherit the context; a handler passes it to them explicitly.
///
/// Without the layer, it is the context that the handler runs in, or an empty one.
///
/// ```
/// # #[cfg(feature = "axum")] {
/// # use auditx_tower::AuditContext;
/// async fn import(AuditContext(context): AuditContext) -> &'static str {
///     tokio::spawn(context.in_task(async { /* entries recorded here name the request's user */ }));
///     "started"
/// }
/// # let _: axum::Router = axum::Router::new().route("/", axum::routing::post(import));
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct AuditContext(pub RequestContext);
