//! The ring: preallocated, file-backed, mapped memory through which many threads hand entries to one.
//!
//! Comes in: encoded entries. Goes out: the same bytes, in the order in which their places were reserved. The pages are the
//! kernel's, so what was accepted outlives the process without a system call. It knows nothing of lines, trees or segments.
//!
//! Reservation is a plain compare-and-swap, in the manner of Aeron's many-to-one ring buffer: nothing is reserved that
//! might have to be undone. A record's first word holds its own position, so what an earlier lap left behind never matches
//! and nothing needs to be zeroed.

mod file;
#[cfg(test)]
pub(crate) mod forking;
mod layout;
mod map;
mod queue;
mod salvage;
mod snapshot;
mod word;

#[cfg(test)]
pub(crate) use file::of_another_boot;
pub(crate) use file::{Opened, RING, RingFile, refusal};
pub(crate) use layout::is_capacity;
pub(crate) use map::Map;
pub(crate) use queue::{Next, Queue, Refused};
pub(crate) use snapshot::snapshot;
