//! Lines that a destination refuses for what they say: kept beside the trail, `.auditx/dead/<destination>/<seq>.json`.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use auditx_core::{AUDITX_DIR, to_hex};
use serde_json::json;

use crate::batch::Shipped;
use crate::destination::DestinationId;
use crate::error::{Error, Result};

fn folder(trail: &Path, destination: &str) -> PathBuf {
    trail.join(AUDITX_DIR).join("dead").join(destination)
}

/// Keeps a line durably, and leaves in its place the stub that has the same leaf.
pub(crate) fn park(trail: &Path, destination: &DestinationId, entry: &mut Shipped, why: &str) -> Result<()> {
    let folder = folder(trail, destination.as_str());
    let Shipped { seq, leaf_hash, line } = entry;
    let hash = to_hex(leaf_hash);
    let text = json!({ "seq": seq, "leaf_hash": hash, "why": why, "line": line }).to_string();
    keep(&folder, &format!("{seq}.json"), text.as_bytes()).map_err(|error| {
        Error::new(format!("cannot keep a refused line in {}: {error}", folder.display()))
    })?;
    *line = format!("{{\"seq\":{seq},\"erased\":\"{hash}\"}}");
    Ok(())
}

fn keep(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let unfinished = folder.join(format!("{name}.tmp"));
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&unfinished, folder.join(name))?;
    File::open(folder)?.sync_all()
}

/// The numbers of the lines that this destination refused, in order.
///
/// # Errors
/// Where the folder is there and cannot be read.
pub fn dead_letters(trail: &Path, destination: &str) -> Result<Vec<u64>> {
    let folder = folder(trail, destination);
    let failed = |error| Error::new(format!("cannot read {}: {error}", folder.display()));
    let entries = match fs::read_dir(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(failed)?,
    };
    let mut seqs = Vec::new();
    for entry in entries {
        let name = entry.map_err(failed)?.file_name();
        seqs.extend(name.to_str().and_then(|name| name.strip_suffix(".json")?.parse::<u64>().ok()));
    }
    seqs.sort_unstable();
    Ok(seqs)
}
