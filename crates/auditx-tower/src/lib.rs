//! Audit logging for axum and any tower server: records one closing entry per request and gives the code that
//! serves it a request context.
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
//! The client's address is the address of the socket's peer, which axum provides if the application is served
//! with `into_make_service_with_connect_info::<SocketAddr>()`; another server puts the `SocketAddr` into the
//! request's extensions. Make this layer the outermost one (the last in `.layer` order): it does not see
//! requests that a layer outside it answers.

#![forbid(unsafe_code)]

// The code blocks of this page are compiled and run as tests.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/HTTP.md")]
mod page {}

mod headers;
mod context;
mod body;
#[cfg(feature = "axum")]
mod extract;
#[cfg(feature = "axum")]
mod request_body;
mod future;
mod service;
mod layer;

pub use auditx_core;
pub use body::AuditBody;
pub use context::AuditContext;
#[cfg(feature = "axum")]
pub use extract::{Problem, RequestId};
pub use future::AuditFuture;
pub use layer::AuditLayer;
pub use service::AuditService;

// The code blocks of the README are compiled and run as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
