//! Records changes that committed in a database, and only those.
//!
//! An entry that is recorded before a commit is false if the transaction rolls back; one that is recorded
//! after it is lost if the process ends in between. So the application stores the entry in a table of the
//! same database, in the same transaction ([`EntryBuilder::encode`](auditx_core::EntryBuilder::encode)): the
//! *outbox*. A [`Collector`] moves entries from the outbox into the trail after their transaction has
//! committed, each exactly once.
//!
//! [`Outbox`] is what a database must offer.

mod error;
mod change;
mod series;
mod outbox;
mod progress;
mod recorded;
mod collector;

pub use change::{Change, Operation};
pub use collector::Collector;
pub use error::{Error, Result};
pub use outbox::{Content, Outbox, Waiting};
pub use progress::Progress;
pub use series::Series;
