//! The ring: preallocated, file-backed, mapped memory through which many threads hand entries to one.
//!
//! Encoded entries leave it as the same bytes, in the order in which their positions were reserved. The pages
//! belong to the kernel, so an accepted entry outlives the process without a system call. The ring knows
//! nothing of lines, trees or segments.
//!
//! A reservation is a plain compare-and-swap, as in Aeron's many-to-one ring buffer: nothing is reserved that
//! might have to be undone. A record's first word holds its own position, so what an earlier lap left there
//! never matches, and nothing needs to be zeroed.
//!
//! `queue` holds the protocol, `layout` the file's format, `file` the file's life from creation to removal,
//! `moving` how processes join it and follow it to another file,
//! `salvage` what recovery reads from it, and `snapshot` what other processes read from it. Several processes
//! push into one ring: `slot_locks` shows which of them live. All unsafe code is in `map` and `slot_locks`.

mod file;
mod layout;
mod map;
mod moving;
mod queue;
mod salvage;
mod slot_locks;
mod snapshot;
mod word;

pub(crate) use file::{PreviousRing, RING, RingFile, unsupported_reason};
#[cfg(any(test, feature = "testing"))]
pub(crate) use file::{of_another_boot, of_version_1};
pub(crate) use layout::is_capacity;
pub(crate) use map::Map;
pub(crate) use moving::Found;
pub(crate) use queue::{Next, Queue, Refused};
pub(crate) use slot_locks::SlotLocks;
pub(crate) use snapshot::snapshot;
