//! Ships audit trails to a database, a message stream or an object store: each process writes its own trail,
//! and a shipper copies it to a destination.
//!
//! ```no_run
//! use std::time::{Duration, Instant};
//! use auditx_ship::{Destination, Shipper, Settings};
//! # fn start(destination: impl Destination) -> Result<(), Box<dyn std::error::Error>> {
//!
//! let shipper = Shipper::spawn("/var/log/erp", destination, Settings::default())?;
//! // … the application runs and records entries …
//! let progress = shipper.progress();
//! println!("{} of {} lines shipped", progress.next, progress.signed);
//! shipper.stop(Instant::now() + Duration::from_secs(5))?;
//! # Ok(())
//! # }
//! ```
//!
//! The trail is the buffer: lines that cannot be shipped stay in it, and a segment is retired only after the
//! cursor of every destination has passed it. Only lines that a signed checkpoint covers are shipped: they
//! are durable, are never rolled back, and can be proved at the destination. With [`Settings::policy`], only
//! lines that witnesses cosigned are shipped.
//!
//! A line is identified by trail, sequence number and leaf hash, never by a file or a time. The destination
//! reports the last line it holds. A stale or lost cursor therefore never causes a gap; at most, lines are
//! sent again, and the destination recognises them.

mod error;
mod settings;
mod position;
mod batch;
mod destination;
mod source;
mod covering;
mod feed;
mod read_ahead;
mod backoff;
mod dead;
mod progress;
mod timeout;
mod worker;
mod archive;
mod sealed;
mod archiver;
mod shipper;
mod copy;

pub use archive::{Archive, PackedSegment};
pub use batch::{Batch, CoveringCheckpoint, ShippedLine, TrailName};
pub use copy::{StoredCopy, StoredTrail, restore};
pub use dead::dead_letters;
pub use destination::{Destination, DestinationId};
pub use error::{Error, Result, RetryKind, ShipError};
pub use feed::trail_backlog;
pub use position::{Position, TrailId};
pub use progress::{Progress, Retries, State};
pub use settings::Settings;
pub use shipper::Shipper;
pub use source::{Backlog, Lines, Source};
