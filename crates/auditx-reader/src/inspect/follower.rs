//! Reads the cursors of followers without opening them for writing.

use std::fs;
use std::io::Read;
use std::path::Path;

use auditx_store::{AUDITX_DIR, CURSOR_LEN, saved_position};
use serde::Serialize;

use crate::file;

/// The saved position of one follower.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FollowerState {
    /// Its name.
    pub name: String,
    /// The sequence number of the line it takes next, as last saved; `None` if its cursor is empty.
    pub next_seq: Option<u64>,
}

/// Returns all followers in the order of their names. An unreadable cursor is not a finding: its follower
/// only repeats lines.
pub(super) fn read_all(directory: &Path) -> Vec<FollowerState> {
    let Ok(cursors) = fs::read_dir(directory.join(AUDITX_DIR).join("cursors")) else { return Vec::new() };
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
    let mut slots = Vec::new();
    file::open(path).ok()??.take(CURSOR_LEN).read_to_end(&mut slots).ok()?;
    saved_position(&slots)
}
