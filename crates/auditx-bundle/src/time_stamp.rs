//! The time stamp of an archive.

use std::io::{Seek, Write};
use std::path::Path;

use auditx_reader::{kept_stamp, prove_consistency, stamp_sizes};
use auditx_tlog::SignedCheckpoint;

use crate::archive::Archive;
use crate::error::{Error, Result};

/// Writes the first time stamp (RFC 3161) of a checkpoint that covers the lines up to `last`, and a proof
/// that this checkpoint and that of the archive belong to one history. Writes nothing if no stamp covers
/// them. The stamp is not verified: that needs the root certificate of the authority.
pub(crate) fn write<W: Write + Seek>(
    archive: &mut Archive<W>,
    trail: &Path,
    last: u64,
    checkpoint: &SignedCheckpoint,
) -> Result<()> {
    for size in stamp_sizes(trail)?.into_iter().filter(|size| *size > last) {
        let stamp = kept_stamp(trail, size);
        let Ok(stamped) = SignedCheckpoint::parse(&stamp.checkpoint) else { continue };
        if stamped.size() != size || stamp.response.is_empty() {
            continue;
        }
        let head = |checkpoint: &SignedCheckpoint| (checkpoint.size(), *checkpoint.root());
        let mut proof = None;
        if head(&stamped) != head(checkpoint) {
            let mut ends = [stamped, checkpoint.clone()];
            ends.sort_by_key(SignedCheckpoint::size);
            let [older, newer] = ends;
            let Ok(proved) = prove_consistency(trail, older, newer) else { continue };
            proof = Some(proved.to_string());
        }
        for (name, bytes) in [("checkpoint", &stamp.checkpoint), ("tsr", &stamp.response)] {
            let name = format!("timestamp/{name}");
            archive.file(&name, |out| out.write_all(bytes).map_err(Error::output))?;
        }
        if let Some(proof) = proof {
            archive.text("timestamp/consistency-proof", &proof)?;
        }
        return Ok(());
    }
    Ok(())
}
