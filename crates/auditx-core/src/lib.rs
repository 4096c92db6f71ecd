//! Audit logging for business software: who did what, when and where.
//!
//! An [`AuditLogger`] records *entries* into a *trail*. A trail is a directory of append-only segments, one
//! JSON line per entry, over which a Merkle tree is built. The logger signs checkpoints of that tree, so that
//! a later change to a line is detected.
//!
//! ```
//! use auditx_core::{Amount, AuditAction, AuditLogger, BusinessModule, Config, RequestContext};
//! # let directory = tempfile::tempdir()?;
//! # let log_dir = directory.path();
//!
//! let logger = AuditLogger::open(Config::new(log_dir).default_currency("MMK"))?;
//!
//! // Who acts is set once per request or job; every entry recorded in this scope has it.
//! let _scope = RequestContext::new().user("admin").user_role("manager").company_id("CO-001").enter();
//!
//! let amount = Amount::parse("1250000.10")?;
//! let receipt = logger
//!     .log_transaction("Sales invoice posted", BusinessModule::Sales, AuditAction::Post, "SI-1", amount)
//!     .metadata("lines", 3)
//!     .record()?;
//!
//! // The entry survives the death of this process already; now it survives a power loss too.
//! receipt.wait_durable()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Where to start
//!
//! - [`AuditLogger::open`] opens a trail; [`audit`] and [`configure`] give access to a process-wide logger.
//! - [`Config`] has all settings, from setters, a configuration file or environment variables.
//! - [`EntryBuilder`] sets the fields of an entry and records it, synchronously or in async code.
//! - [`RequestContext`] carries user, company, branch and request through sync and async code, and to other
//!   processes.
//! - [`Durability`] decides when entries survive a power loss, [`OnFull`] what happens while the disk cannot
//!   keep up, and [`Redaction`] what is never stored.
//! - [`http`] has the parts that adapters for web frameworks are built from, and [`store`] those for programs
//!   that read the files of a trail.
//! - [`testing`] has a trail for an application's own tests.
//!
//! # Errors
//!
//! Operations return [`Error`], which is opaque. Its predicates, such as [`Error::is_full`], distinguish the
//! cases that callers handle differently.

mod rate_limit;
mod receipt;
mod logger;
mod exchange;
pub mod testing;

pub use auditx_format as format;
#[doc(inline)]
pub use auditx_format::amount::Amount;
#[doc(inline)]
pub use auditx_format::clock::{Clock, SystemClock};
#[doc(inline)]
pub use auditx_format::context::{Carrier, ContextFields, ContextGuard, RequestContext, Scoped};
#[doc(inline)]
pub use auditx_format::encoded::EncodedEntry;
#[doc(inline)]
pub use auditx_format::entry::MetadataValue;
#[doc(inline)]
pub use auditx_format::line::{RecordedEntry, StoredEntry};
#[doc(inline)]
pub use auditx_format::redact::{REDACTED, Redaction};
#[doc(inline)]
pub use auditx_format::vocabulary::{AuditAction, BusinessModule, LogLevel};
#[doc(inline)]
pub use auditx_format::{Error, HookError, Result};
pub use auditx_store as store;
#[doc(inline)]
pub use auditx_store::callback::in_callback;
#[doc(inline)]
pub use auditx_store::config::{
    Cadence, Compression, Config, Console, Durability, JournalKind, OnFull, RateLimit, Retention,
};
#[doc(inline)]
pub use auditx_store::key_source::KeySource;
#[doc(inline)]
pub use auditx_store::maintenance::Retired;
#[doc(inline)]
pub use auditx_store::metrics::{FollowerMetrics, Metrics};
#[doc(inline)]
pub use auditx_store::writer::{KeyChange, Recorded};
pub use auditx_tlog as tlog;
#[doc(inline)]
pub use auditx_tlog::{Signer, SigningKey, VerifierKey};
pub use logger::{AuditLogger, EntryBuilder, audit, configure, try_audit};
pub use receipt::Receipt;

pub mod kind {
    //! The kinds of entries. Each adds setters to [`EntryBuilder`](crate::EntryBuilder).

    pub use crate::logger::{Change, General, Inventory, Security, Service, Transaction};
}

pub mod http {
    //! The part of the HTTP middleware that does not depend on a web framework, for adapters.

    pub use crate::exchange::{
        BodyCapture, BodyTap, EmitAt, EndpointPolicy, Exchange, Headers, HttpAudit, HttpAuditBuilder,
        OnFailure, Problem, ProxyHeader, QueryPolicy, RequestFacts, ResponseFacts, SessionIds,
        TrustedProxies,
    };
    pub use crate::rate_limit::RateLimitState;
}

// The code blocks of the README are compiled and run as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
