//! Dead letters: lines that a destination refuses because of their content are stored with the trail, in
//! `.auditx/dead/<destination>/<seq>.json`.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use auditx_store::AUDITX_DIR;
use auditx_tlog::to_hex;
use serde_json::json;

use crate::batch::ShippedLine;
use crate::destination::DestinationId;
use crate::error::{Error, Result};

fn folder(trail: &Path, destination: &str) -> PathBuf {
    trail.join(AUDITX_DIR).join("dead").join(destination)
}

/// Stores a refused line durably and replaces it by the stub of an erased line, which has the same leaf hash.
pub(crate) fn park(
    trail: &Path,
    destination: &DestinationId,
    entry: &mut ShippedLine,
    why: &str,
) -> Result<()> {
    let folder = folder(trail, destination.as_str());
    let ShippedLine { seq, leaf_hash, line } = entry;
    let hash = to_hex(leaf_hash);
    let text = json!({ "seq": seq, "leaf_hash": hash, "why": why, "line": line }).to_string();
    write_durably(&folder, &format!("{seq}.json"), text.as_bytes()).map_err(|error| {
        Error::new(format!("cannot store a refused line in {}: {error}", folder.display()))
    })?;
    *line = format!("{{\"seq\":{seq},\"erased\":\"{hash}\"}}");
    Ok(())
}

fn write_durably(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let unfinished = folder.join(format!("{name}.tmp"));
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&unfinished, folder.join(name))?;
    File::open(folder)?.sync_all()
}

/// Returns the sequence numbers of the lines that this destination refused, in order.
///
/// # Errors
/// If the directory of refused lines exists and cannot be read.
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
