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

mod metrics;
mod kill_point;
mod callback;
mod dir;
mod storage;
mod ring;
mod key_source;
mod config;
mod app_log;
mod tiles;
mod segment;
mod control;
mod lock;
mod identity;
mod checkpoint_signer;
mod bell;
mod history;
mod watermark;
mod trail;
mod appender;
mod journal;
mod follow;
mod watch;
mod committer;
mod recover;
mod pending;
mod maintenance;
mod restore;
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
pub use auditx_format::entry::MetadataValue;
#[doc(inline)]
pub use auditx_format::line::{RecordedEntry, StoredEntry};
#[doc(inline)]
pub use auditx_format::redact::{REDACTED, Redaction};
#[doc(inline)]
pub use auditx_format::vocabulary::{AuditAction, BusinessModule, LogLevel};
#[doc(inline)]
pub use auditx_format::{Error, HookError, Result};
pub use auditx_tlog as tlog;
#[doc(inline)]
pub use auditx_tlog::{Signer, SigningKey, VerifierKey};
pub use callback::in_callback;
pub use config::{
    Cadence, Compression, Config, Console, Durability, JournalKind, OnFull, RateLimit, Retention,
};
pub use key_source::KeySource;
pub use logger::{AuditLogger, EntryBuilder, KeyChange, audit, configure, try_audit};
pub use maintenance::Retired;
pub use metrics::{FollowerMetrics, Metrics};
pub use receipt::{Receipt, Recorded};

pub mod kind {
    //! The kinds of entries. Each adds setters to [`EntryBuilder`](crate::EntryBuilder).

    pub use crate::logger::{Change, General, Inventory, Security, Service, Transaction};
}

pub mod http {
    //! The part of the HTTP middleware that does not depend on a web framework, for adapters.

    pub use crate::exchange::{
        BodyCapture, BodyTap, EmitAt, EndpointPolicy, Exchange, Headers, HttpAudit, HttpAuditBuilder,
        OnFailure, Problem, ProxyHeader, QueryPolicy, RequestFacts, ResponseFacts, SessionIds,
    };
    pub use crate::rate_limit::RateLimitState;
}

pub mod store {
    //! The files of a trail, for programs that read or copy them beside its writer.

    pub use crate::checkpoint_signer::{checkpoint_history, checkpoint_path};
    pub use crate::config::DEFAULT_LOG_DIR;
    pub use crate::control::control_lines;
    pub use crate::dir::Dir;
    pub use crate::follow::console::console_line;
    pub use crate::follow::cursor::{CURSOR_LEN, Cursor, saved_position, shipper_positions};
    pub use crate::lock::lock_holder;
    pub use crate::pending::{PendingEntries, pending_entries};
    pub use crate::recover::LINES_BEFORE_FIRST_CHECKPOINT;
    pub use crate::restore::RestoredTrail;
    pub use crate::segment::{
        ACTIVE, AUDITX_DIR, Frame, IndexBlock, IndexKey, SealedSegment, SegmentIndex, TimeRange, TrailReader,
        bytes_from, sealed_segments,
    };
    pub use crate::tiles::Tiles;
}

// The code blocks of the README are compiled and run as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
