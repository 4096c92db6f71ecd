//! Where followers stand: their cursors, read without opening them for writing.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

use serde::Serialize;

use crate::file;

use super::OWN_DIR;

/// Two slots this far apart, written in turn; see docs/FORMAT.md.
const SLOT_LEN: u64 = 4096;

/// generation, position, crc32c of both; little-endian.
const RECORD_LEN: usize = 20;

/// Where one follower stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FollowerState {
    /// Its name.
    pub name: String,
    /// The sequence number of the line it takes next, as last saved; none where its cursor holds none yet.
    pub next_seq: Option<u64>,
}

/// In the order of their names. A cursor that cannot be read costs its follower a repetition, so it is no finding.
pub(super) fn read_all(directory: &Path) -> Vec<FollowerState> {
    let Ok(cursors) = fs::read_dir(directory.join(OWN_DIR).join("cursors")) else { return Vec::new() };
    let mut followers: Vec<FollowerState> = cursors
        .flatten()
        .map(|cursor| FollowerState {
            name: cursor.file_name().to_string_lossy().into_owned(),
            next_seq: read(&cursor.path()),
        })
        .collect();
    followers.sort_by(|left, right| left.name.cmp(&right.name));
    followers
}

fn read(path: &Path) -> Option<u64> {
    let file = file::open(path).ok()??;
    let slot = |number: u64| {
        let mut record = [0; RECORD_LEN];
        file.read_exact_at(&mut record, number * SLOT_LEN).ok()?;
        let (facts, checksum) = record.split_last_chunk::<4>()?;
        let generation = u64::from_le_bytes(*facts.first_chunk()?);
        let next_seq = u64::from_le_bytes(*facts.last_chunk()?);
        (crc32c::crc32c(facts) == u32::from_le_bytes(*checksum)).then_some((generation, next_seq))
    };
    [0, 1].into_iter().filter_map(slot).max().map(|(_, next_seq)| next_seq)
}
