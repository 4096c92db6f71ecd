//! Audit logging for business software: who did what, when and where, one JSON line each.
//!
//! ```
//! use auditx_core::{Amount, RequestContext};
//!
//! let _scope = RequestContext::new().user("admin").user_role("manager").company_id("CO-001").enter();
//! assert_eq!(RequestContext::current().fields().user, "admin");
//! assert_eq!(Amount::parse("1250000.10")?.to_string(), "1250000.10");
//! # Ok::<(), auditx_core::Error>(())
//! ```

#![allow(dead_code, reason = "the logger that uses these modules is not written yet")]

mod amount;
mod app_log;
mod clock;
mod config;
mod context;
mod encode;
mod entry;
mod error;
mod id;
mod line;
mod metrics;
mod redact;
mod storage;
mod tree;
mod vocabulary;

pub use amount::Amount;
pub use clock::{Clock, SystemClock};
pub use config::{
    Compression, Config, Console, DEFAULT_LOG_DIR, Durability, HookError, RateLimit, Retention,
};
pub use context::{Carrier, ContextFields, ContextGuard, DEFAULT_USER, RequestContext, Scoped};
pub use entry::MetadataValue;
pub use error::{Error, Result};
pub use line::{RecordedEntry, StoredEntry, parse_seq};
pub use metrics::{FollowerMetrics, Metrics};
pub use redact::{REDACTED, Redaction};
pub use tree::{Hash, leaf_hash};
pub use vocabulary::{AuditAction, BusinessModule, LogLevel};
