//! Ships audit trails to NATS JetStream 2.12 or newer, and from there to another engine.
//!
//! ```no_run
//! use auditx_nats::Nats;
//! use auditx_ship::{Settings, Shipper};
//!
//! let destination = Nats::new("nats://erp@nats-1:4222,nats-2:4222,nats-3:4222/AUDIT")?;
//! let shipper = Shipper::spawn("/var/log/erp", destination, Settings::default())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A line is a message on `audit.<company>.<trail>`, and its payload the exact text, which says its number; its hash is computed. The notes
//! that were signed over lines are messages on `audit.$note.<trail>`, behind the last line they speak of.
//!
//! Each batch is one atomic publish (NATS ADR-50) on the condition that the last message of this trail is the one we know
//! (`Nats-Expected-Last-Subject-Sequence` over `audit.*.<trail>`): all of it is stored, in order and without a gap, or nothing. Where one
//! server keeps the stream and does not sync each message, batches of many lines are fast batches instead (NATS ADR-50, server 2.14), which
//! the server ends with the first message that it does not store, each on the condition that the one before it is the last of the stream
//! (`Nats-Expected-Last-Sequence`): a first part is stored, or all. So a lost acknowledgement, a second shipper, or a retry days later stores
//! nothing twice; no window of time is relied on.
//!
//! An acknowledged batch is in the memory of the machines that hold it until the server syncs its files: give each server
//! `sync_interval: always` under `jetstream`, which a client cannot see. Data that was acknowledged has been lost in published tests
//! where machines failed together, so what is only here never permits to retire a segment for good: ship to a database too.

mod error;
mod address;
mod message;
mod connection;
mod stream;
mod reader;
mod publish;
mod destination;
mod copy;
mod source;

pub use copy::NatsCopy;
pub use destination::Nats;
pub use error::{Error, Result};
pub use source::NatsSource;
pub use stream::init;
