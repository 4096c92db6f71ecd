//! What an engine holds, fetched to be verified.

use std::path::{Path, PathBuf};

use auditx_reader::Verification;
use auditx_ship::{StoredCopy, StoredTrail, restore};
use tempfile::TempDir;

use crate::destination::{Engine, wait_for};
use crate::failure::Failure;
use crate::progress::Progress;
use crate::terminal::harmless;

/// A trail made of a copy.
pub(super) struct Fetched {
    place: Place,
    name: String,
}

enum Place {
    Kept(PathBuf),
    /// Removed when dropped.
    Temporary(TempDir),
}

impl Fetched {
    pub(super) fn directory(&self) -> &Path {
        match &self.place {
            Place::Kept(directory) => directory,
            Place::Temporary(directory) => directory.path(),
        }
    }

    /// Says where the trail was really found, unless it is still there.
    pub(super) fn name(&mut self, verification: &mut Verification) {
        if matches!(self.place, Place::Temporary(_)) {
            verification.directory = PathBuf::from(&self.name);
        }
    }
}

/// Fetches the trail whose id begins so, or the only one.
pub(super) fn fetch(engine: &Engine, id: Option<&str>, keep: Option<&Path>) -> Result<Fetched, Failure> {
    let place = match keep {
        Some(directory) => Place::Kept(directory.to_path_buf()),
        None => Place::Temporary(TempDir::new().map_err(|error| {
            Failure::said(format!("cannot make a temporary directory for what is fetched: {error}"))
        })?),
    };
    let mut fetched = Fetched { place, name: String::new() };
    wait_for(async {
        let mut copy = engine.copy().await?;
        let trails = copy.trails().await?;
        let stored = chosen(&trails, id)?;
        let mut progress = Progress::of_lines("fetching");
        restore(&mut copy, stored, fetched.directory(), |done, of| progress.tell(done, of)).await?;
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
                harmless(&stored.origin),
                stored.first,
                stored.next.saturating_sub(1)
            )
        };
        trails.map(line).collect::<String>()
    };
    match fitting[..] {
        [stored] => Ok(stored),
        [] if trails.is_empty() => Err(Failure::said("no trail was ever shipped there")),
        [] => Err(Failure::said(format!(
            "no trail there begins with {id:?}; there are{}",
            list(&mut trails.iter())
        ))),
        _ => Err(Failure::said(format!(
            "there are several trails: choose one with --trail-id{}",
            list(&mut fitting.into_iter())
        ))),
    }
}
