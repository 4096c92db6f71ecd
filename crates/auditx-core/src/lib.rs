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

mod error;
mod digits;
mod clock;
mod moment;
mod id;
mod metrics;
mod kill_point;
mod callback;
mod dir;
mod storage;
mod vocabulary;
mod amount;
mod snapshot;
mod entry;
mod context;
mod redact;
mod tree;
mod line;
mod row;
mod encode;
mod ring;
mod c2sp;
mod key;
mod checkpoint;
mod proof;
mod config;
mod app_log;
mod control_record;
mod tiles;
mod segment;
mod control;
mod lock;
mod identity;
mod checkpoint_signer;
mod bell;
mod history;
mod watermark;
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

pub use amount::Amount;
pub use c2sp::{NodeIndex, SignatureFault};
pub use callback::in_callback;
pub use checkpoint::SignedCheckpoint;
pub use checkpoint_signer::{checkpoint_history, checkpoint_path};
pub use clock::{Clock, SystemClock};
pub use config::{
    Cadence, Compression, Config, Console, DEFAULT_LOG_DIR, Durability, JournalKind, OnFull, RateLimit,
    Retention,
};
pub use context::{Carrier, ContextFields, ContextGuard, DEFAULT_USER, RequestContext, Scoped};
pub use control::control_lines;
pub use control_record::{FORMAT_VERSION, retired_frontier};
pub use dir::Dir;
pub use encode::{MAX_LINE, is_hazard};
pub use entry::MetadataValue;
pub use error::{Error, HookError, Result};
pub use exchange::{
    BodyCapture, BodyTap, EmitAt, EndpointPolicy, Exchange, Headers, HttpAudit, HttpAuditBuilder, OnFailure,
    Problem, ProxyHeader, QueryPolicy, RequestFacts, ResponseFacts, SessionIds,
};
pub use follow::console::for_people;
pub use follow::cursor::{CURSOR_LEN, Cursor, saved_position, shipper_positions};
pub use key::{KeySource, Signer, SigningKey, VerifierKey};
pub use line::{Leaf, RecordedEntry, StoredEntry, erased_hash, leaf_of, parse_seq};
pub use lock::lock_holder;
pub use logger::{
    AuditLogger, Change, EntryBuilder, General, Inventory, KeyChange, Security, Service, Transaction, audit,
    configure, try_audit,
};
pub use maintenance::Retired;
pub use metrics::{FollowerMetrics, Metrics};
pub use moment::Moment;
pub use pending::{PendingEntries, pending_entries};
pub use proof::{ConsistencyProof, InclusionProof, ProofFault};
pub use rate_limit::RateLimitState;
pub use receipt::{Receipt, Recorded};
pub use redact::{REDACTED, Redaction};
pub use restore::RestoredTrail;
pub use row::{Field, FieldKind, Json, Row, unescaped};
pub use segment::{
    ACTIVE, AUDITX_DIR, Frame, IndexBlock, IndexKey, SealedSegment, SegmentIndex, TimeRange, TrailReader,
    bytes_from, sealed_segments,
};
pub use tiles::Tiles;
pub use tree::{CompactRange, Hash, hash_from_hex, leaf_hash, leaf_hashes, node_hash, node_hashes, to_hex};
pub use vocabulary::{AuditAction, BusinessModule, LogLevel};
