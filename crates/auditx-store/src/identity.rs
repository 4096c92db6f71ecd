//! The identity of a trail: its format version, id and origin, in `.auditx/trail.json`.

use std::io::Read;

use auditx_format::control_record::FORMAT_VERSION;
use auditx_format::id;
use auditx_format::{Error, Result};
use auditx_tlog::{log_name, to_hex};
use serde::{Deserialize, Serialize};

use crate::dir::{Access, Dir};
use crate::storage::Storage;

/// The name of the file in the trail's directory.
pub(crate) const IDENTITY: &str = ".auditx/trail.json";

/// The size limit for reading, more than any identity needs.
const MAX_BYTES: u64 = 64 * 1024;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct TrailIdentity {
    pub(crate) format: u32,
    pub(crate) trail_id: String,
    pub(crate) origin: String,
}

impl TrailIdentity {
    /// Creates the identity of a new trail, with a random 128-bit id.
    pub(crate) fn new(origin: &str) -> Self {
        let mut trail_id = [0; 16];
        id::fill(&mut trail_id);
        Self { format: FORMAT_VERSION, trail_id: to_hex(&trail_id), origin: origin.to_owned() }
    }

    /// Returns the name under which its checkpoints are signed.
    pub(crate) fn log_name(&self) -> String {
        log_name(&self.origin, &self.trail_id)
    }

    /// Returns the id as bytes; zeros if it is not a hexadecimal number.
    pub(crate) fn id(&self) -> [u8; 16] {
        u128::from_str_radix(&self.trail_id, 16).unwrap_or_default().to_be_bytes()
    }

    pub(crate) fn read(directory: &Dir) -> Result<Self> {
        let path = directory.join(IDENTITY);
        let bytes = directory
            .read(IDENTITY)
            .map_err(|error| Error::storage("cannot read the trail's identity", &path, error))?;
        let identity: Self = serde_json::from_slice(&bytes).map_err(|error| {
            Error::corrupt("the trail's identity cannot be read").at(&path).because(error)
        })?;
        if identity.format != FORMAT_VERSION {
            return Err(Error::corrupt(format!(
                "the trail has format {}, but this version writes format {FORMAT_VERSION}: \
                 it can be read, but not continued; begin a new trail",
                identity.format
            ))
            .at(&path));
        }
        Ok(identity)
    }

    /// Reads the identity of a trail of any owner; `None` if it cannot be read.
    pub(crate) fn read_foreign(directory: &Dir) -> Option<Self> {
        let file = directory.open_foreign(IDENTITY, Access::READ).ok()?;
        serde_json::from_reader(file.take(MAX_BYTES)).ok()
    }

    pub(crate) fn write(&self, directory: &Dir, storage: &dyn Storage) -> Result<()> {
        let failed =
            |error| Error::storage("cannot write the trail's identity", directory.join(IDENTITY), error);
        let json = serde_json::to_vec_pretty(self).map_err(|error| failed(error.into()))?;
        storage.replace(directory, IDENTITY, &json).map_err(failed)
    }
}
