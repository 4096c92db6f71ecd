//! Audit logging for actix-web: one closing entry per request, and a context that follows it.
//!
//! ```
//! use actix_web::{App, HttpResponse, Responder, web};
//! use auditx_actix::AuditMiddleware;
//! use auditx_core::{RequestContext, audit};
//!
//! async fn create() -> impl Responder {
//!     RequestContext::update(|context| context.user = "admin".into());   // an extractor would do this
//!     match audit().log("Invoice created").record() {
//!         Ok(_) => HttpResponse::Created().finish(),
//!         Err(_) => HttpResponse::ServiceUnavailable().finish(),
//!     }
//! }
//!
//! let app = App::new().wrap(AuditMiddleware).route("/sales/invoice", web::post().to(create));
//! # let _ = app;
//! ```
//!
//! Wrap it last, so that it stands outermost: what answers before it, it cannot see. A client that goes away while a
//! handler runs is noticed at once with `HttpServer::h1_allow_half_closed(false)`, otherwise when the response is written.

#![forbid(unsafe_code)]

mod body;
mod extract;
mod future;
mod headers;
mod middleware;
mod payload;
mod service;

pub use body::AuditBody;
pub use extract::{AuditContext, Problem, RequestId};
pub use future::AuditFuture;
pub use middleware::{AuditMiddleware, AuditTransform};
pub use service::AuditService;
