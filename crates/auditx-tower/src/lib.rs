//! Audit logging for axum and any tower server: one closing entry per request, and a context that follows it.
//!
//! ```
//! use auditx_core::{RequestContext, audit};
//! use auditx_tower::AuditLayer;
//! use axum::{Router, routing::post};
//!
//! async fn create() -> &'static str {
//!     RequestContext::update(|context| context.user = "admin".into());   // an extractor would do this
//!     match audit().log("Invoice created").record() {
//!         Ok(_) => "created",
//!         Err(_) => "not recorded",
//!     }
//! }
//!
//! let app: Router = Router::new().route("/sales/invoice", post(create)).layer(AuditLayer::new());
//! # let _ = app;
//! ```
//!
//! The client's address is the socket's peer; axum knows it when the application is served with
//! `into_make_service_with_connect_info::<SocketAddr>()`. Put the layer outermost (last in `.layer` order): what answers
//! before it, it cannot see.

#![forbid(unsafe_code)]

// Its code is compiled and run as tests.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/HTTP.md")]
mod page {}

mod body;
mod extract;
mod future;
mod headers;
mod layer;
mod request_body;
mod service;

pub use body::AuditBody;
pub use extract::{AuditContext, Problem, RequestId};
pub use future::AuditFuture;
pub use layer::AuditLayer;
pub use service::AuditService;
