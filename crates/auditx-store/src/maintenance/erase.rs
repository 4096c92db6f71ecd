//! Erases the text of one line (GDPR, article 17) and keeps its hash, so that every other line can still be
//! proved.
//!
//! First a record of the erasure is made durable and signed. Then the line is replaced in its segment, whose
//! index is made again, and in security.jsonl. If the process is killed on the way, a second request
//! continues where it ended. Copies that hooks made elsewhere are out of reach.

use std::io::{self, BufRead, Write};
use std::time::{Duration, Instant};

use auditx_format::control_record::ControlRecord;
use auditx_format::line::RecordedEntry;
use auditx_format::{Error, Result};
use auditx_tlog::{Hash, Leaf, erased_line, leaf_of, parse_seq};

use super::{Housekeeping, Indexed, compress};
use crate::dir::{Access, Dir};
use crate::follow::projection;
use crate::kill_point::kill_point;
use crate::segment::{SealedSegment, TrailReader, index, open_segment, sealed_segments};

/// The limit for overwriting the journal's ring, which goes as fast as the disk takes entries.
const SCRUB_LIMIT: Duration = Duration::from_secs(60);

impl Housekeeping {
    /// Erases one line for a reason, which is recorded.
    pub(crate) fn erase(&self, seq: u64, reason: &str) -> Result<Hash> {
        let _hurry = self.pace.hurry();
        let mut indexed = self.lock();
        if reason.trim().is_empty() {
            return Err(Error::invalid(
                "an erasure needs a reason, which the trail records in place of the line",
            ));
        }
        let Leaf { hash, is_erased, .. } = self.erasable(seq)?;
        let stub = erased_line(seq, &hash);
        if !is_erased {
            if seq >= self.appender.lock().first_seq() {
                // The active segment is only ever appended to.
                self.appender.seal()?;
            }
            self.appender.push_signed(&ControlRecord::Erased {
                seq,
                leaf_hash: hash,
                reason: reason.to_owned(),
            })?;
            self.replace_in_segment(seq, &stub, &mut indexed)?;
        }
        let was_copied = self.remove_copies(seq)?;
        let was_projected = self.replace_in_projection(seq, &stub)?;
        self.sync_directory()?;
        kill_point("erase: files replaced");
        // Also for a line that is erased everywhere else: an earlier request may have ended here.
        if let Some(ring) = &self.ring {
            ring.scrub(Instant::now() + SCRUB_LIMIT)?;
        }
        if is_erased && !was_copied && !was_projected {
            return Err(Error::invalid(format!("line {seq} is erased already")));
        }
        Ok(hash)
    }

    /// Returns the leaf of a line that may be erased, or was erased in its segment.
    fn erasable(&self, seq: u64) -> Result<Leaf> {
        let mut reader = TrailReader::new(&self.trail.directory, seq);
        let (found, line) = reader
            .next_line()?
            .filter(|(found, _)| *found == seq)
            .ok_or_else(|| Error::invalid(format!("the trail has no line {seq}")))?;
        if RecordedEntry::from_line(line)?.parse()?.control_record.is_some() {
            return Err(Error::invalid(format!(
                "line {found} is a control record: it holds no personal data, and proofs depend on it"
            )));
        }
        leaf_of(line).ok_or_else(|| Error::corrupt(format!("line {found} cannot be read")))
    }

    /// Returns the sealed segment that holds the line.
    fn segment_of(&self, seq: u64) -> Result<SealedSegment> {
        let segments = sealed_segments(&self.trail.directory)?;
        let found = segments.into_iter().rfind(|segment| segment.first_seq <= seq);
        found.ok_or_else(|| Error::invalid(format!("the segment of line {seq} is missing")))
    }

    /// Removes what a process that was killed while compressing left beside a plain segment, which is the
    /// valid one. Returns whether there was anything.
    fn remove_copies(&self, seq: u64) -> Result<bool> {
        let segment = self.segment_of(seq)?;
        if segment.compressed {
            return Ok(false);
        }
        let mut was_there = false;
        for copy in compress::copies_of(&segment.name()) {
            match self.trail.directory.remove(&copy) {
                Ok(()) => was_there = true,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    return Err(Error::storage(
                        "cannot remove a copy of an erased line",
                        self.trail.directory.join(&copy),
                        error,
                    ));
                }
            }
        }
        Ok(was_there)
    }

    fn replace_in_projection(&self, seq: u64, stub: &str) -> Result<bool> {
        let mut is_replaced = self.trail.projection.lock();
        let name = projection::FILE_NAME;
        let replaced = rewrite(&self.trail.directory, name, false, seq, stub).map_err(|error| {
            Error::storage("cannot erase a line of the projection", self.trail.directory.join(name), error)
        })?;
        *is_replaced |= replaced;
        Ok(replaced)
    }

    fn replace_in_segment(&self, seq: u64, stub: &str, indexed: &mut Indexed) -> Result<()> {
        let segment = self.segment_of(seq)?;
        // Removed first, so that no index of a removed text is left.
        indexed.forget(&segment);
        index::remove(&self.trail.directory, segment.first_seq)?;
        kill_point("erase: index removed");
        let failed = |error| Error::storage("cannot erase a line of a sealed segment", &segment.path, error);
        let replaced =
            rewrite(&self.trail.directory, &segment.name(), segment.compressed, seq, stub).map_err(failed)?;
        if !replaced {
            return Err(Error::corrupt(format!("line {seq} is not in its segment")).at(&segment.path));
        }
        kill_point("erase: segment replaced");
        self.sync_directory()?;
        // If it cannot be made now, the next round tries again.
        self.index(&segment, indexed);
        Ok(())
    }

    fn sync_directory(&self) -> Result<()> {
        self.trail
            .directory
            .sync("")
            .map_err(|error| Error::storage("cannot sync the directory", self.trail.directory.path(), error))
    }
}

/// Rewrites the file with one line replaced. Leaves it alone if it does not hold the line, or holds the stub
/// already.
fn rewrite(directory: &Dir, name: &str, compressed: bool, seq: u64, stub: &str) -> io::Result<bool> {
    let source = match open_segment(directory, name, compressed) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        other => other?,
    };
    let temporary = format!("{name}.tmp");
    let target = directory.create(&temporary, false)?;
    let replaced = if compressed {
        let mut encoder = compress::encoder(io::BufWriter::new(&target))?;
        let replaced = copy(source, &mut encoder, seq, stub)?;
        encoder.finish()?.flush()?;
        replaced
    } else {
        let mut writer = io::BufWriter::new(&target);
        let replaced = copy(source, &mut writer, seq, stub)?;
        writer.flush()?;
        replaced
    };
    if !replaced {
        directory.remove(&temporary)?;
        return Ok(false);
    }
    // Retention counts from when the segment was sealed.
    target.set_modified(directory.open(name, Access::READ)?.metadata()?.modified()?)?;
    target.sync_all()?;
    directory.rename(&temporary, name)?;
    Ok(true)
}

fn copy(mut source: impl BufRead, target: &mut impl Write, seq: u64, stub: &str) -> io::Result<bool> {
    let (mut line, mut replaced) = (Vec::new(), false);
    loop {
        line.clear();
        if source.read_until(b'\n', &mut line)? == 0 {
            return Ok(replaced);
        }
        if parse_seq(&line) == Some(seq) {
            replaced |= line.strip_suffix(b"\n") != Some(stub.as_bytes());
            writeln!(target, "{stub}")?;
        } else {
            target.write_all(&line)?;
        }
    }
}
