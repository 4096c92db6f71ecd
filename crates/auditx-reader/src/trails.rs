//! Finds the trails in a directory.
//!
//! A directory without a trail of its own, but with trails below it, holds a family: the instances of
//! `Config::instance`, perhaps in a directory for each tenant. Its trails are read together.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use auditx_store::{ACTIVE, AUDITX_DIR};

/// How deep below a directory trails are found: region/tenant/instance.
const MAX_DEPTH: usize = 3;

/// `auditx recover --accept-loss` moves a broken trail into a directory of this name below the new one.
const SET_ASIDE: &str = "audit.set-aside-";

/// A directory at the root of a file system that only root may list. It holds no trail.
const LOST_AND_FOUND: &str = "lost+found";

/// The trails in a directory and below it.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct FoundTrails {
    /// Whether the directory itself is a trail.
    pub is_trail: bool,
    /// The paths of the trails below it, relative to it and sorted, without those that were set aside.
    pub below: Vec<PathBuf>,
    /// The paths of broken trails that `auditx recover --accept-loss` set aside.
    pub set_aside: Vec<PathBuf>,
    /// A directory that could not be listed, in which there may be a trail, and why.
    pub unlisted: Option<(PathBuf, io::Error)>,
}

/// Finds the trails in a directory and up to three directories below it. Symbolic links are not followed.
///
/// # Errors
/// If the directory cannot be listed.
pub fn find_trails(directory: &Path) -> io::Result<FoundTrails> {
    let Contents { is_trail, directories } = Contents::of(directory)?;
    let mut found = FoundTrails { is_trail, ..FoundTrails::default() };
    let mut waiting: Vec<(PathBuf, usize)> = directories.into_iter().map(|below| (below, 1)).collect();
    while let Some((place, depth)) = waiting.pop() {
        match Contents::of(&place) {
            Ok(contents) => {
                if contents.is_trail {
                    let path = place.strip_prefix(directory).unwrap_or(&place).to_path_buf();
                    let trails = if is_aside(&path) { &mut found.set_aside } else { &mut found.below };
                    trails.push(path);
                }
                if depth < MAX_DEPTH {
                    waiting.extend(contents.directories.into_iter().map(|below| (below, depth + 1)));
                }
            }
            // Removed since its parent was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => found.unlisted = Some((place, error)),
        }
    }
    for trails in [&mut found.below, &mut found.set_aside] {
        trails.sort_by_key(|path| path.to_string_lossy().into_owned());
    }
    Ok(found)
}

/// Whether the directory itself is a trail.
///
/// # Errors
/// If the directory cannot be listed.
pub fn is_trail(directory: &Path) -> io::Result<bool> {
    Ok(Contents::of(directory)?.is_trail)
}

fn is_aside(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(SET_ASIDE))
}

/// What a directory holds.
struct Contents {
    is_trail: bool,
    /// Where trails may be below it. Symbolic links are not followed: they could lead to a trail twice.
    directories: Vec<PathBuf>,
}

impl Contents {
    fn of(directory: &Path) -> io::Result<Self> {
        let mut contents = Self { is_trail: false, directories: Vec::new() };
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            contents.is_trail |= is_of_trail(&name);
            // The name of an instance does not begin with a dot.
            let is_searched = !name.starts_with('.') && name != LOST_AND_FOUND;
            match entry.file_type() {
                Ok(file_type) if is_searched && file_type.is_dir() => contents.directories.push(entry.path()),
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(contents)
    }
}

/// Returns `true` for names that only a trail contains: `.auditx`, its segments, and what the Python package
/// rotated. A copy may have some of them only.
fn is_of_trail(name: &str) -> bool {
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_sealed = || {
        let number = name.strip_prefix("audit-").and_then(|rest| rest.split_once(".jsonl"));
        number.is_some_and(|(number, suffix)| is_digits(number) && matches!(suffix, "" | ".zst"))
    };
    let is_rotated =
        || name.strip_prefix(ACTIVE).and_then(|rest| rest.strip_prefix('.')).is_some_and(is_digits);
    name == AUDITX_DIR || name == ACTIVE || is_sealed() || is_rotated()
}
