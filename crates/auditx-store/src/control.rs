//! Copies of the control records that a reader needs before it has read the trail, in
//! `.auditx/control.jsonl`: `genesis`, every `key`, and the newest `retired`.
//!
//! They contain the keys that may sign and the first line of the trail. Without the file, a reader must look
//! for them in every line. The file need not be trusted: a line of it belongs to the trail if its leaf hash
//! is in the signed tree.

use std::fs::File;
use std::io::{self, Read};

use auditx_format::control_record::StoredRecord;
use auditx_format::{Error, Result};
use auditx_tlog::{VerifierKey, leaf_of, parse_seq};

use crate::dir::{Access, Dir};
use crate::segment::{TrailReader, line_at};
use crate::storage::Storage;
use crate::tiles::Tiles;

/// The name of the file in the trail's directory.
pub(crate) const CONTROL: &str = ".auditx/control.jsonl";

/// The size limit for reading, enough for thousands of key rotations.
const MAX_BYTES: u64 = 4 << 20;

/// Returns the lines of the file without their newlines, or `None` if there is no file.
///
/// # Errors
/// `is_storage` if it cannot be read.
pub fn control_lines(directory: impl Into<Dir>) -> Result<Option<Vec<Vec<u8>>>> {
    let directory = directory.into();
    let opened = directory.open_foreign(CONTROL, Access::READ);
    match opened.and_then(|file| read_some(&file)) {
        Ok(bytes) => Ok(Some(lines_of(&bytes))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            Err(Error::storage("cannot read the copies of control records", directory.join(CONTROL), error))
        }
    }
}

/// Reads the file, or only its beginning if it is longer than any that this module writes.
fn read_some(file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut bytes).map(|_| bytes)
}

fn lines_of(bytes: &[u8]) -> Vec<Vec<u8>> {
    bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect()
}

/// Adds the control record in the line with this sequence number. A newer `retired` replaces the older one.
/// If there is no file, the whole trail is read for the other records.
///
/// # Errors
/// `is_storage` if a file cannot be read or written; `is_corrupt` if the line is not in the trail.
pub(crate) fn store(directory: &Dir, storage: &dyn Storage, seq: u64) -> Result<()> {
    let lines = match control_lines(directory)? {
        None => with_records_of_trail(directory, Vec::new(), |_| false)?,
        Some(mut lines) => {
            add(&mut lines, &line_at(directory, seq)?);
            lines
        }
    };
    write(directory, storage, &lines)
}

/// Rewrites the file from the trail if it is missing, does not contain `key`, or contains a line that is not
/// in the tree. Copies that are in the tree are kept, since the record itself may have been retired. Costs
/// one look at the first line if the first key signs and nothing was retired, otherwise one pass over the
/// whole trail.
///
/// # Errors
/// `is_storage` if a file cannot be read or written; `is_corrupt` if the trail is damaged.
pub(crate) fn repair(directory: &Dir, storage: &dyn Storage, key: &VerifierKey) -> Result<()> {
    let tiles = Tiles::open(directory);
    let is_recorded = |line: &Vec<u8>| leaf_of(line).is_some_and(|leaf| tiles.holds(leaf));
    let names_key =
        |line: &[u8]| StoredRecord::read(line).is_some_and(|record| record.signing_key() == Some(key));
    let mut lines = control_lines(directory)?.unwrap_or_default();
    let count = lines.len();
    lines.retain(is_recorded);
    if lines.len() == count && lines.iter().any(|line| names_key(line)) {
        return Ok(());
    }
    let is_last = |line: &[u8]| parse_seq(line) == Some(0) && names_key(line);
    let lines = with_records_of_trail(directory, lines, is_last)?;
    write(directory, storage, &lines)
}

/// Adds the control records of the trail to `lines`, up to the first line that satisfies `is_last`.
fn with_records_of_trail(
    directory: &Dir,
    mut lines: Vec<Vec<u8>>,
    is_last: impl Fn(&[u8]) -> bool,
) -> Result<Vec<Vec<u8>>> {
    let mut reader = TrailReader::new(directory, 0);
    while let Some((_, line)) = reader.next_line()? {
        add(&mut lines, line);
        if is_last(line) {
            break;
        }
    }
    Ok(lines)
}

fn add(lines: &mut Vec<Vec<u8>>, line: &[u8]) {
    let kind = StoredRecord::kind(line);
    match kind.as_deref() {
        Some("genesis" | "key") => lines.retain(|known| parse_seq(known) != parse_seq(line)),
        Some("retired") => lines.retain(|known| StoredRecord::kind(known).as_deref() != Some("retired")),
        _ => return,
    }
    lines.push(line.to_vec());
    lines.sort_by_key(|line| parse_seq(line));
}

fn write(directory: &Dir, storage: &dyn Storage, lines: &[Vec<u8>]) -> Result<()> {
    let text: Vec<u8> = lines.iter().flat_map(|line| line.iter().chain(b"\n")).copied().collect();
    storage.replace(directory, CONTROL, &text).map_err(|error| {
        Error::storage("cannot write the copies of control records", directory.join(CONTROL), error)
    })
}

/// Removes the file, for a trail that is being replaced.
///
/// # Errors
/// `is_storage` if it cannot be removed.
pub(crate) fn remove(directory: &Dir) -> Result<()> {
    match directory.remove(CONTROL) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            let what = "cannot remove the copies of control records";
            Err(Error::storage(what, directory.join(CONTROL), error))
        }
        _ => Ok(()),
    }
}
