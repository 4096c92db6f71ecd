//! Reads the unreleased entries of a ring while another process pushes and drains, with read(2) alone,
//! without the lock and without a mapping.
//!
//! Nothing is written, and the other process is not disturbed. The position up to which the ring is released
//! is read before and after: what was released meanwhile may be overwritten, and is left out, since it is in
//! the trail.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{Ordering, fence};

use auditx_format::{Error, Result};

use super::file::{RING, is_this_boot};
use super::layout::{ALIGN, CONTROL, HEAD, HEADER_LEN, Header, WORD};
use super::salvage::{RingImage, Salvaged};
use crate::dir::{Access, Dir};

/// How often the ring may be started again while it is read before that is an error.
const ATTEMPTS: usize = 10;

/// The entries of a ring at one moment.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// The trail the ring belongs to.
    pub(crate) trail_id: [u8; 16],
    /// Some of the entries may be in the trail already.
    pub(crate) held: Salvaged,
}

/// Reads the ring of the trail in this directory; `None` if there is no file. Costs reading one page if the
/// ring is empty, else twice what is in it.
///
/// # Errors
/// `is_corrupt` if the file is not a ring, `is_storage` if it cannot be read.
pub(crate) fn snapshot(directory: &Dir) -> Result<Option<Snapshot>> {
    let path = directory.join(RING);
    let failed = |error| Error::storage("cannot read the journal's ring", &path, error);
    let mut is_ring = true;
    for _ in 0..ATTEMPTS {
        let file = match directory.open(RING, Access::READ) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let control = read_control(&file).map_err(failed)?;
        if control[..HEADER_LEN].iter().all(|byte| *byte == 0) {
            // Just created, and nothing was ever in it.
            return Ok(None);
        }
        let Some(image) = RingImage::new(&control) else {
            // Its header may be in the middle of being written.
            is_ring = false;
            continue;
        };
        is_ring = true;
        let header = *image.header();
        let read = if is_this_boot(&header) {
            read_live(&file, &control, &header)
        } else {
            read_dead(&file, &control, &header).map(Some)
        };
        if let Some(held) = read.map_err(failed)? {
            return Ok(Some(Snapshot { trail_id: header.trail_id, held }));
        }
    }
    Err(if is_ring {
        failed(io::Error::other("it changed during every attempt to read it; try again"))
    } else {
        Error::corrupt("the file in the place of the journal's ring is not a ring").at(&path)
    })
}

/// Reads the ring of another boot of the machine, which no process writes to.
fn read_dead(file: &File, control: &[u8], header: &Header) -> io::Result<Salvaged> {
    let mut bytes = buffer(header)?;
    let len = bytes.len();
    bytes[..CONTROL].copy_from_slice(control);
    fill(file, &mut bytes, CONTROL..len)?;
    Ok(RingImage::new(&bytes).map(|image| image.salvage(false)).unwrap_or_default())
}

/// Reads a ring that may be in use; `None` if it was started again meanwhile.
fn read_live(file: &File, control: &[u8], header: &Header) -> io::Result<Option<Salvaged>> {
    let Some(unreleased) = RingImage::new(control).and_then(|image| image.unreleased()) else {
        return Ok(None);
    };
    if unreleased.is_empty() {
        return Ok(RingImage::new(control).map(|image| image.without_entries()));
    }
    let (mut early, mut bytes) = (buffer(header)?, buffer(header)?);
    bytes[..CONTROL].copy_from_slice(control);
    for range in &unreleased {
        fill(file, &mut early, range.clone())?;
    }
    // ORDERING: pairs with the Release stores of a record's first word. A record that the first pass saw
    // committed is complete for the second one, and keeps the earlier state here: if the drain is storing its
    // crc just now, the crc is not compared. Without the fence the payload could be read before the state
    // that vouches for it.
    fence(Ordering::SeqCst);
    for range in &unreleased {
        fill(file, &mut bytes, range.clone())?;
        for at in range.clone().step_by(size(ALIGN)) {
            bytes[at..at + WORD].copy_from_slice(&early[at..at + WORD]);
        }
    }
    // ORDERING: pairs with the Release store of HEAD. A producer overwrites a record only after HEAD has
    // passed it, so if the second pass read overwritten bytes, the page read below shows a HEAD after them,
    // and `walk` leaves them out.
    fence(Ordering::SeqCst);
    let now = read_control(file)?;
    if RingImage::new(&now).is_none_or(|image| image.header() != header) {
        return Ok(None);
    }
    // The number of lines stays the one read first: it must not be ahead of the position.
    bytes[HEAD * WORD..][..WORD].copy_from_slice(&now[HEAD * WORD..][..WORD]);
    Ok(RingImage::new(&bytes)
        .map(|image| if image.unreleased().is_some() { image.walk() } else { image.without_entries() }))
}

/// Returns a buffer for a whole ring. Pages that are not read cost nothing.
fn buffer(header: &Header) -> io::Result<Vec<u8>> {
    Ok(vec![0; usize::try_from(header.file_len()).map_err(io::Error::other)?])
}

fn size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

fn read_control(file: &File) -> io::Result<Vec<u8>> {
    let mut control = vec![0; CONTROL];
    fill(file, &mut control, 0..CONTROL)?;
    Ok(control)
}

/// Reads a range of the file into the same range of `bytes`. If the file was truncated, the rest stays zeros,
/// which are not a record.
fn fill(file: &File, bytes: &mut [u8], range: Range<usize>) -> io::Result<()> {
    let mut at = range.start;
    while at < range.end {
        match file.read_at(&mut bytes[at..range.end], at as u64) {
            Ok(0) => break,
            Ok(read) => at += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
