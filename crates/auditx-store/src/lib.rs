//! Writes, recovers and reads the files of an audit trail: segments, Merkle tree, journal and cursors.
//! Programs can read or copy a trail while its writer runs.
//!
//! ```
//! use auditx_core::{AuditLogger, Config};
//! use auditx_store::TrailReader;
//! # let directory = tempfile::tempdir()?;
//! # let log_dir = directory.path();
//!
//! AuditLogger::open(Config::new(log_dir))?.log("Invoice posted").record()?.wait_durable()?;
//!
//! let mut lines = TrailReader::new(log_dir, 2);     // after the two control records of a new trail
//! let (seq, line) = lines.next_line()?.expect("a durable line");
//! assert!(seq == 2 && line.starts_with(br#"{"seq":2,"#));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Applications use `auditx-core`, which re-exports what they need. The names at the root are for programs
//! that read or copy a trail; `auditx-core` builds on the modules.

mod kill_point;
pub mod background;
mod inherited;
mod reach;
mod entry_id;
pub mod callback;
pub mod metrics;
mod dir;
pub mod storage;
mod ring;
pub mod key_source;
pub mod config;
mod app_log;
mod tiles;
mod segment;
mod sensitive;
mod control;
mod lock;
mod identity;
mod checkpoint_signer;
mod kept;
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
pub mod maintenance;
mod restore;
pub mod writer;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use checkpoint_signer::{checkpoint_history, checkpoint_path, cosigned_history, timestamp_history};
pub use config::DEFAULT_LOG_DIR;
pub use control::control_lines;
pub use dir::Dir;
pub use follow::console::console_line;
pub use follow::cursor::{CURSOR_LEN, Cursor, saved_position, shipper_positions};
pub use kept::{KeptFiles, kept_sizes, read_kept};
pub use lock::lock_holder;
pub use pending::{PendingEntries, pending_entries};
pub use recover::LINES_BEFORE_FIRST_CHECKPOINT;
pub use restore::RestoredTrail;
pub use segment::{
    ACTIVE, AUDITX_DIR, Frame, IndexBlock, IndexKey, SealedSegment, SegmentIndex, TimeRange, TrailReader,
    bytes_from, sealed_segments,
};
pub use tiles::Tiles;
