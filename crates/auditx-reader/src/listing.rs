//! Which segments a trail has at one moment, while a writer may be sealing and compressing them.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use auditx_core::{ACTIVE, SealedSegment, sealed_segments};

use crate::error::{Error, Result};
use crate::file;
use crate::segment::Segment;

/// The segments of one moment.
pub(crate) struct Listing {
    /// In order.
    pub(crate) sealed: VecDeque<SealedSegment>,
    /// The active one, held open: it can be read to its end even when it is sealed meanwhile.
    pub(crate) active: Option<Result<Segment>>,
}

impl Listing {
    /// The active one is opened first: what was sealed before it is then there to be listed, and what is listed from its
    /// first line on is itself under its new name, or newer.
    ///
    /// # Errors
    /// `is_missing` where there is no such directory, `is_storage` where it cannot be listed.
    pub(crate) fn of(directory: &Path) -> Result<Self> {
        let path = active_path(directory);
        let active = file::open(&path).map(|file| file.map(|file| Segment::plain(&path, file))).transpose();
        let mut sealed = sealed_segments(directory).map_err(|error| match directory.try_exists() {
            Ok(false) => Error::missing("there is no such directory", directory),
            _ => Error::from_core(error),
        })?;
        let active_seq = active.as_ref().and_then(|active| active.as_ref().ok()?.first_seq());
        sealed.retain(|sealed| active_seq.is_none_or(|active_seq| sealed.first_seq < active_seq));
        Ok(Self { sealed: sealed.into(), active })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sealed.is_empty() && self.active.is_none()
    }
}

pub(crate) fn active_path(directory: &Path) -> PathBuf {
    directory.join(ACTIVE)
}
