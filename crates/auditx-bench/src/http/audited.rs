//! Both frameworks with auditx's middleware, as in its documentation: one closing entry per request.

use std::path::Path;
use std::time::Duration;

use auditx_actix::AuditMiddleware;
use auditx_core::{AuditLogger, Config};
use auditx_tower::AuditLayer;

use super::{actix, axum, server};
use crate::Outcome;

/// A time limit far longer than a full journal takes to drain.
const DRAIN_LIMIT: Duration = Duration::from_secs(120);

/// Serves axum with the layer.
pub(super) fn axum(directory: &Path) -> Outcome<()> {
    let logger = AuditLogger::open(Config::new(directory))?;
    let layer = AuditLayer::builder().logger(logger.clone()).build()?;
    axum::serve(axum::router().layer(layer))?;
    finish(&logger)
}

/// Serves actix-web with the middleware.
pub(super) fn actix(directory: &Path) -> Outcome<()> {
    let logger = AuditLogger::open(Config::new(directory))?;
    let middleware = AuditMiddleware::builder().logger(logger.clone()).build()?;
    actix::serve(move || actix::app().wrap(middleware.clone()))?;
    finish(&logger)
}

fn finish(logger: &AuditLogger) -> Outcome<()> {
    logger.close(DRAIN_LIMIT)?;
    server::send_usage();
    Ok(())
}
