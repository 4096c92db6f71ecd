//! Ships audit trails to NATS JetStream 2.12 or newer, and from a stream to another destination.
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
//! A line is a message on `audit.<company>.<trail>`. Its payload is the exact text, which contains the
//! sequence number; the leaf hash is computed from it. Checkpoints are messages on `audit.$note.<trail>`,
//! after the last line they cover.
//!
//! A batch is published atomically (NATS ADR-50) on the condition that the last message of this trail is the
//! expected one (`Nats-Expected-Last-Subject-Sequence` for `audit.*.<trail>`): either all of it is stored, in
//! order and without a gap, or nothing. If the stream has one replica and its server does not sync each
//! message, large batches are published as fast batches instead (NATS ADR-50, server 2.14). Each message of a
//! fast batch is stored on the condition that the one before it is the last of the stream
//! (`Nats-Expected-Last-Sequence`), and the server ends the batch with the first message that it does not
//! store: a prefix or all of the batch is stored. A lost acknowledgement, a second shipper, or a retry days
//! later therefore stores nothing twice. This does not depend on the server's duplicate window.
//!
//! Acknowledged messages may exist only in the servers' memory until the servers sync their files. Set
//! `sync_interval: always` in the `jetstream` section of each server; clients cannot see this setting. In
//! published tests, acknowledged data was lost when machines failed at the same time. A stream is therefore
//! not sufficient to retire segments for good: ship to a database as well.

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
