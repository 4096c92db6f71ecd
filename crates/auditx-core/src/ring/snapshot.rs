//! What a ring holds while another process pushes and drains: read with read(2) alone, without the lock and without a mapping.
//!
//! Comes in: the ring's file. Goes out: the accepted entries that were not released at one moment. Nothing is written, and nobody
//! notices. The drain's position is read before and after: what was released meanwhile may be overwritten, and is left out, since
//! it is in the trail.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{Ordering, fence};

use super::file::{RING, is_this_boot};
use super::layout::{ALIGN, CONTROL, HEAD, HEADER_LEN, Header, WORD};
use super::salvage::{Salvaged, Wreck};
use crate::dir::{Access, Dir};
use crate::error::{Error, Result};

/// How often a ring may begin anew while it is read before that is an error.
const ATTEMPTS: usize = 10;

/// What a ring held at one moment.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// The trail it is the ring of.
    pub(crate) trail_id: [u8; 16],
    /// Some of the entries may be in the trail already.
    pub(crate) held: Salvaged,
}

/// The ring of the trail in this directory; none where there is no file. Costs reading one page where nothing is in it, else twice what
/// is in it.
///
/// # Errors
/// `is_corrupt` where the file is no ring, `is_storage` where it cannot be read.
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
            // Just made, and nothing was ever in it.
            return Ok(None);
        }
        let Some(wreck) = Wreck::new(&control) else {
            // Its header may be being written.
            is_ring = false;
            continue;
        };
        is_ring = true;
        let header = *wreck.header();
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
        failed(io::Error::other("it changed each time it was read"))
    } else {
        Error::corrupt("what stands in the place of the journal's ring is none").at(&path)
    })
}

/// The ring of another boot of the machine, to which nobody writes.
fn read_dead(file: &File, control: &[u8], header: &Header) -> io::Result<Salvaged> {
    let mut bytes = room(header)?;
    let len = bytes.len();
    bytes[..CONTROL].copy_from_slice(control);
    fill(file, &mut bytes, CONTROL..len)?;
    Ok(Wreck::new(&bytes).map(|wreck| wreck.salvage(false)).unwrap_or_default())
}

/// One that may be in use. None where it began anew meanwhile.
fn read_live(file: &File, control: &[u8], header: &Header) -> io::Result<Option<Salvaged>> {
    let Some(held) = Wreck::new(control).and_then(|wreck| wreck.held()) else { return Ok(None) };
    if held.is_empty() {
        return Ok(Wreck::new(control).map(|wreck| wreck.nothing()));
    }
    let (mut early, mut bytes) = (room(header)?, room(header)?);
    bytes[..CONTROL].copy_from_slice(control);
    for range in &held {
        fill(file, &mut early, range.clone())?;
    }
    // A record that was committed by then is whole from now on, and keeps that state here: its crc may be being noted.
    fence(Ordering::SeqCst);
    for range in &held {
        fill(file, &mut bytes, range.clone())?;
        for at in range.clone().step_by(size(ALIGN)) {
            bytes[at..at + WORD].copy_from_slice(&early[at..at + WORD]);
        }
    }
    fence(Ordering::SeqCst);
    let now = read_control(file)?;
    if Wreck::new(&now).is_none_or(|wreck| wreck.header() != header) {
        return Ok(None);
    }
    // The number of lines stays that of before: it must not be ahead of the position.
    bytes[HEAD * WORD..][..WORD].copy_from_slice(&now[HEAD * WORD..][..WORD]);
    Ok(Wreck::new(&bytes).map(|wreck| if wreck.held().is_some() { wreck.walk() } else { wreck.nothing() }))
}

/// For a whole ring. Pages that are not read cost nothing.
fn room(header: &Header) -> io::Result<Vec<u8>> {
    Ok(vec![0; CONTROL + usize::try_from(header.capacity).map_err(io::Error::other)?])
}

fn size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

fn read_control(file: &File) -> io::Result<Vec<u8>> {
    let mut control = vec![0; CONTROL];
    fill(file, &mut control, 0..CONTROL)?;
    Ok(control)
}

/// Reads a range of the file into the same range of `bytes`. Behind the end of a file that somebody cut are zeros, which are no
/// record.
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
