//! Reads audit trails: prints the last lines, follows new ones, searches, inspects a directory, and verifies
//! that the lines are the ones that were signed.
//!
//! ```
//! use auditx_core::{AuditLogger, Config};
//! use auditx_reader::Lines;
//! use std::time::Duration;
//! # let directory = tempfile::tempdir()?;
//! # let log_dir = directory.path();
//!
//! let logger = AuditLogger::open(Config::new(log_dir))?;
//! for number in 1..=30 {
//!     logger.log(format!("Invoice {number} posted")).record()?;
//! }
//! logger.flush(Duration::from_secs(5))?;
//!
//! let mut descriptions = Vec::new();
//! for line in Lines::last(log_dir, 3)? {
//!     descriptions.push(line?.parse()?.description);
//! }
//! assert_eq!(descriptions, ["Invoice 28 posted", "Invoice 29 posted", "Invoice 30 posted"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! This crate opens files for reading only and creates none. It does not take the writer's lock, so a trail
//! can be read while it is written, sealed, compressed and retired. What cannot be read is reported with its
//! file and byte offset, and the rest is read.

mod error;
mod query;
mod changes;
mod file;
mod pool;
mod line;
mod segment;
mod listing;
mod trails;
mod backwards;
mod lines;
mod keys;
mod timestamps;
mod identity;
mod checkpoint;
mod signed_leaves;
mod verify;
mod head;
mod find;
mod inspect;
mod search;
mod state;
mod prove;
#[cfg(test)]
mod sample;

pub use auditx_format::moment::Moment;
pub use auditx_format::row::{Field, Json, Row};
pub use changes::{Change, changes};
pub use checkpoint::{KeptStamp, cosigned_checkpoints, kept_stamp, latest_checkpoint, stamp_sizes};
pub use error::{Error, Result};
pub use find::find_line;
pub use identity::Identity;
pub use inspect::{
    Finding, FindingKind, FollowerState, History, Inspection, SegmentState, Severity, TornTail, inspect,
};
pub use keys::{RecordedKey, key_in_directory, recorded_keys};
pub use line::Line;
pub use lines::{Lines, Unfinished};
pub use prove::{Prover, prove, prove_consistency, prove_with_parent, recorded_signer, submission};
pub use query::{
    Query, QueryError, SqlCondition, SqlParameter, TimeBase, Warning, Zone, ZoneError, end_moment_of,
    field_named, is_equal, length_of, moment_of, nearest_field, sortable_number,
};
pub use search::{Cursor, Found, Order, ReadErrors, Search, SearchError, Source, Summary};
pub use state::{EntryRef, Existence, KnownField, RecordAt, RecordState, Since};
pub use trails::{FoundTrails, find_trails, is_trail};
pub use verify::{
    Answer, Fault, FaultKind, Occurrence, ParentEntry, ParentTrail, Reason, Remark, RemarkKind, Signatory,
    StampedCheckpoint, TimeStamp, TimeStamps, Verification, VerifyOptions, Witnessed, verify,
};

// The code blocks of the README are compiled and run as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
