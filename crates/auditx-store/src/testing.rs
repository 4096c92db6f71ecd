//! Support for the tests of `auditx-core`: failing storage, and access to internals.

use std::io::{self, BufRead};
use std::time::Duration;

use auditx_format::Result;
use auditx_tlog::SigningKey;

use crate::dir::Dir;

pub use crate::storage::power::PowerDisk;
pub use crate::storage::testing::{Faults, FaultyDisk};

/// The timeout of waits in this crate's tests. Much longer than any of them takes, even on a busy machine.
#[cfg(test)]
pub(crate) const TIMEOUT: Duration = Duration::from_secs(120);

/// The interval at which an open trail checks the names of its files.
pub const WATCH_INTERVAL: Duration = crate::watch::INTERVAL;

/// The path, within a trail, of the copies of control records.
pub const CONTROL: &str = crate::control::CONTROL;

/// Calls `call` as if it were a hook.
pub fn calling<T>(call: impl FnOnce() -> T) -> T {
    crate::callback::calling(call)
}

/// Stages a key, as an interrupted rotation leaves it.
///
/// # Errors
/// `is_storage` if it cannot be written.
pub fn stage_key(directory: &Dir, key: &SigningKey) -> Result<()> {
    crate::key_source::stage_key(directory, key).map(drop)
}

/// Makes the bytes of a ring look as they do after the machine was restarted.
///
/// # Panics
/// If they are not those of a ring.
pub fn of_another_boot(ring: &mut [u8]) {
    crate::ring::of_another_boot(ring);
}

/// Makes the bytes of a ring those of version 1, which had no slots.
///
/// # Panics
/// If they are not those of a ring.
pub fn of_version_1(ring: &mut Vec<u8>) {
    crate::ring::of_version_1(ring);
}

/// Returns why this directory cannot have a ring; `None` if it can.
#[must_use]
pub fn unsupported_reason(directory: &Dir) -> Option<String> {
    crate::ring::unsupported_reason(directory)
}

/// Opens a segment for reading, decompressed if necessary.
///
/// # Errors
/// Those of opening the file.
pub fn open_segment(directory: &Dir, name: &str, compressed: bool) -> io::Result<Box<dyn BufRead + Send>> {
    crate::segment::open_segment(directory, name, compressed)
}
