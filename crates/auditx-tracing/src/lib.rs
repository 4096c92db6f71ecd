//! Writes `tracing` events to the trail's app.log, each with its spans and with the request and user it
//! belongs to. Levels can be changed at run time, and events of the target `audit` can be recorded as audit
//! entries.
//!
//! ```
//! use auditx_core::{AuditLogger, Config, RequestContext};
//! use auditx_tracing::AuditTracingLayer;
//! use tracing_subscriber::layer::SubscriberExt;
//!
//! # let directory = tempfile::tempdir()?;
//! # let log_dir = directory.path();
//! let logger = AuditLogger::open(Config::new(log_dir))?;  // without `.logger`: the process-wide `audit()`
//! let (layer, levels) = AuditTracingLayer::new().logger(logger).with_levels("info,sqlx=warn")?;
//! let subscriber = tracing_subscriber::registry().with(layer);     // fmt and other layers can be added
//!
//! tracing::subscriber::with_default(subscriber, || {               // a program would call `.init()` instead
//!     let _scope = RequestContext::new().user("admin").request_id("r-1").enter();
//!     let _span = tracing::info_span!("post_invoice", invoice = "SI-42").entered();
//!     tracing::info!(lines = 3, password = "hunter2", "posted");
//! });
//! let line = std::fs::read_to_string(log_dir.join("app.log"))?;
//! let (_time, line) = line.trim_end().split_once(" | ").expect("time | LEVEL | message | fields");
//! # let line = line.replace(module_path!(), "erp::sales");
//! assert_eq!(line, concat!(
//!     r#"INFO | posted | {"lines":3,"password":"[REDACTED]","request_id":"r-1","#,
//!     r#""spans":[{"invoice":"SI-42","name":"post_invoice"}],"target":"erp::sales","user":"admin"}"#,
//! ));
//! # let _ = levels;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! With [`AuditTracingLayer::entries`], events of the target `audit` are recorded as entries. This is
//! intended for code that cannot be changed to call `audit()`: an event returns neither a receipt to wait for
//! nor an error to handle.

#![forbid(unsafe_code)]

mod counts;
mod error;
mod fields;
mod reentrancy;
mod spans;
mod levels;
mod entry;
mod layer;

pub use auditx_core;
pub use counts::Counts;
pub use entry::{AUDIT_TARGET, INVALID_FACTS};
pub use error::{Error, Result};
pub use layer::AuditTracingLayer;
pub use levels::LevelHandle;

/// The documentation page of this crate; its code blocks are compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/TRACING.md")]
struct Page;

// The code blocks of the README are compiled and run as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
