//! Audit logging for actix-web: records one closing entry per request and gives the code that serves it a
//! request context.
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
//! Wrap the application with this middleware last, so that it is the outermost one: it does not see requests
//! that a middleware outside it answers. With `HttpServer::h1_allow_half_closed(false)`, a client that
//! disconnects while a handler runs is noticed immediately, otherwise when the response is written.

#![forbid(unsafe_code)]

mod headers;
mod extract;
mod payload;
mod body;
mod future;
mod service;
mod middleware;

pub use auditx_core;
pub use body::AuditBody;
pub use extract::{AuditContext, Problem, RequestId};
pub use future::AuditFuture;
pub use middleware::AuditMiddleware;
pub use service::AuditService;

// The code blocks of the README are compiled and run as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
