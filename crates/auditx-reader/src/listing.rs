//! Which segments a trail has at one moment, while a writer may be sealing and compressing them.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use auditx_core::{ACTIVE, SealedSegment, sealed_segments};

use crate::error::{Error, Result};
use crate::file::{self, Place};
use crate::segment::Segment;

/// How often the active segment may be sealed between two looks before that is an error.
const ATTEMPTS: usize = 20;

/// The segments of one moment.
pub(crate) struct Listing {
    /// In order.
    pub(crate) sealed: VecDeque<SealedSegment>,
    /// The active one, held open: it can be read to its end even when it is sealed meanwhile.
    pub(crate) active: Option<Result<Segment>>,
}

impl Listing {
    /// Looks until the active segment has stayed the same for one look, so that none is missed and none is met twice.
    ///
    /// # Errors
    /// `is_missing` where there is no such directory, `is_storage` where it cannot be listed.
    pub(crate) fn of(directory: &Path) -> Result<Self> {
        let path = active_path(directory);
        for _ in 0..ATTEMPTS {
            let active =
                file::open(&path).map(|file| file.map(|file| Segment::plain(&path, file))).transpose();
            let sealed = sealed_segments(directory).map_err(|error| match directory.try_exists() {
                Ok(false) => Error::missing("there is no such directory", directory),
                _ => Error::from_core(error),
            })?;
            let is_the_same = match &active {
                Some(Ok(segment)) => segment.place() == Place::named(&path),
                Some(Err(_)) => true,
                None => Place::named(&path).is_none(),
            };
            if is_the_same {
                return Ok(Self { sealed: sealed.into(), active });
            }
        }
        Err(Error::storage(
            "cannot list the segments",
            directory,
            "they are sealed faster than they can be listed",
        ))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sealed.is_empty() && self.active.is_none()
    }
}

pub(crate) fn active_path(directory: &Path) -> PathBuf {
    directory.join(ACTIVE)
}
