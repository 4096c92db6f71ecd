//! `auditx verify --from`: fetches a copy of a trail to verify it.

use std::path::{Path, PathBuf};

use auditx_reader::Verification;
use auditx_ship::{StoredCopy, StoredTrail, restore};
use tempfile::TempDir;

use crate::destination::Engine;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::runtime::wait_for;
use crate::terminal::sanitized;

/// A trail restored from a copy.
pub(super) struct Fetched {
    location: Location,
    name: String,
}

enum Location {
    Kept(PathBuf),
    /// Removed when dropped.
    Temporary(TempDir),
}

impl Fetched {
    pub(super) fn directory(&self) -> &Path {
        match &self.location {
            Location::Kept(directory) => directory,
            Location::Temporary(directory) => directory.path(),
        }
    }

    /// Replaces the temporary directory in the verification by the source of the copy.
    pub(super) fn name(&mut self, verification: &mut Verification) {
        if matches!(self.location, Location::Temporary(_)) {
            verification.directory = PathBuf::from(&self.name);
        }
    }
}

/// Fetches the trail whose id begins with `id`, or the only one.
pub(super) fn fetch(engine: &Engine, id: Option<&str>, keep: Option<&Path>) -> Result<Fetched, Failure> {
    let location = match keep {
        Some(directory) => Location::Kept(directory.to_path_buf()),
        None => Location::Temporary(TempDir::new().map_err(|error| {
            Failure::new(format!("cannot create a temporary directory for the copy: {error}"))
        })?),
    };
    let mut fetched = Fetched { location, name: String::new() };
    wait_for(async {
        let mut copy = engine.copy().await?;
        let trails = copy.trails().await?;
        let stored = chosen(&trails, id)?;
        let mut progress = Progress::of_lines("fetching");
        restore(&mut copy, stored, fetched.directory(), |done, of| progress.update(done, of)).await?;
        fetched.name = format!("the copy of {} in {}", stored.trail, engine.id()?.as_str());
        Ok(fetched)
    })?
}

fn chosen<'t>(trails: &'t [StoredTrail], id: Option<&str>) -> Result<&'t StoredTrail, Failure> {
    let id = id.unwrap_or_default();
    let fitting: Vec<&StoredTrail> =
        trails.iter().filter(|stored| stored.trail.to_string().starts_with(id)).collect();
    let list = |trails: &mut dyn Iterator<Item = &StoredTrail>| {
        let line = |stored: &StoredTrail| {
            format!(
                "\n  {}  {}, lines {} to {}",
                stored.trail,
                sanitized(&stored.origin),
                stored.first,
                stored.next.saturating_sub(1)
            )
        };
        trails.map(line).collect::<String>()
    };
    match fitting[..] {
        [stored] => Ok(stored),
        [] if trails.is_empty() => Err(Failure::new("the destination contains no trail")),
        [] => Err(Failure::new(format!(
            "the destination has no trail whose id begins with {id:?}; it has{}",
            list(&mut trails.iter())
        ))),
        _ => Err(Failure::new(format!(
            "the destination has several trails: choose one with --trail-id{}",
            list(&mut fitting.into_iter())
        ))),
    }
}
