//! Ships an audit trail to an engine that people already run: each process keeps its own trail, and a shipper copies it.
//!
//! ```no_run
//! use std::time::{Duration, Instant};
//! use auditx_ship::{Destination, Shipper, Settings};
//! # fn start(destination: impl Destination) -> Result<(), Box<dyn std::error::Error>> {
//!
//! let shipper = Shipper::spawn("/var/log/erp", destination, Settings::default())?;
//! // … the application runs, and records …
//! let progress = shipper.progress();
//! println!("{} of {} lines shipped", progress.next, progress.signed);
//! shipper.stop(Instant::now() + Duration::from_secs(5))?;
//! # Ok(())
//! # }
//! ```
//!
//! The trail is the buffer: what cannot be shipped stays in it, and no segment is retired before the cursor of each destination has
//! passed it. Only lines that a signed checkpoint covers are shipped: these are durable, are never taken back, and can be proved
//! where they arrive. A line is named by trail, sequence number and leaf hash, never by a file or a time; the destination says how
//! far it is, and a stale or lost cursor costs lines sent again, which the destination knows, never a gap.

mod error;
mod batch;
mod destination;
mod source;
mod feed;
mod ahead;
mod backoff;
mod dead;
mod progress;
mod settings;
mod patience;
mod worker;
mod archive;
mod sealed;
mod archiver;
mod shipper;
mod copy;

pub use archive::{Archive, PackedSegment};
pub use batch::{Batch, Note, Shipped, TrailName};
pub use copy::{StoredCopy, StoredTrail, restore};
pub use dead::dead_letters;
pub use destination::{Destination, DestinationId, Position, TrailId};
pub use error::{Error, Result, RetryKind, ShipError};
pub use feed::waiting_in;
pub use progress::{Progress, Retries, State};
pub use settings::Settings;
pub use shipper::Shipper;
pub use source::{Lines, Source, Waiting};
