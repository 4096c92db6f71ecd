//! Taking the text of one line away (GDPR, article 17) and leaving its hash, so that everything else still proves.
//!
//! First a record of it, durable and signed; then the line is replaced in its segment, whose index is made anew, and in
//! security.jsonl. Killed on the way, it is asked for again and goes on where it was. What hooks have copied elsewhere is not
//! within reach.

use std::io::{self, BufRead, Write};
use std::time::{Duration, Instant};

use super::{Housekeeping, Indexed, compress};
use crate::control_record::ControlRecord;
use crate::dir::{Access, Dir};
use crate::error::{Error, Result};
use crate::follow::projection;
use crate::kill_point::kill_point;
use crate::line::{Leaf, RecordedEntry, erased_line, leaf_of, parse_seq};
use crate::segment::{SealedSegment, TrailReader, index, open_segment, sealed_segments};
use crate::tree::Hash;

/// The journal's ring is overwritten as fast as the disk takes entries; nothing else takes longer than this.
const SCRUB_LIMIT: Duration = Duration::from_secs(60);

impl Housekeeping {
    /// Erases one line for this reason, which is recorded.
    pub(crate) fn erase(&self, seq: u64, reason: &str) -> Result<Hash> {
        let mut indexed = self.occupy();
        if reason.trim().is_empty() {
            return Err(Error::invalid(
                "an erasure needs a reason: it is what the trail keeps in the place of the line",
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
        if is_erased && !was_copied && !was_projected {
            return Err(Error::invalid(format!("line {seq} is erased already")));
        }
        self.sync_directory()?;
        if let Some(ring) = &self.ring {
            ring.scrub(Instant::now() + SCRUB_LIMIT)?;
        }
        Ok(hash)
    }

    /// A line that may be erased, or was erased in its segment.
    fn erasable(&self, seq: u64) -> Result<Leaf> {
        let mut reader = TrailReader::new(&self.directory, seq);
        let (found, line) = reader
            .next_line()?
            .filter(|(found, _)| *found == seq)
            .ok_or_else(|| Error::invalid(format!("the trail holds no line {seq}")))?;
        if RecordedEntry::from_line(line)?.parse()?.control_record.is_some() {
            return Err(Error::invalid(format!(
                "line {found} is a record of the trail's own: it holds nobody's data, and without it nothing can be proved"
            )));
        }
        leaf_of(line).ok_or_else(|| Error::corrupt(format!("line {found} cannot be read")))
    }

    /// The sealed segment that holds the line, which is the active one's no longer.
    fn segment_of(&self, seq: u64) -> Result<SealedSegment> {
        let segments = sealed_segments(&self.directory)?;
        let found = segments.into_iter().rfind(|segment| segment.first_seq <= seq);
        found.ok_or_else(|| Error::invalid(format!("the segment of line {seq} is not there")))
    }

    /// What a process that was killed while it compressed left beside a plain segment, which counts. Whether there was any.
    fn remove_copies(&self, seq: u64) -> Result<bool> {
        let segment = self.segment_of(seq)?;
        if segment.compressed {
            return Ok(false);
        }
        let mut was_there = false;
        for copy in compress::copies_of(&segment.name()) {
            match self.directory.remove(&copy) {
                Ok(()) => was_there = true,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    return Err(Error::storage(
                        "cannot remove a copy of an erased line",
                        self.directory.join(&copy),
                        error,
                    ));
                }
            }
        }
        Ok(was_there)
    }

    fn replace_in_projection(&self, seq: u64, stub: &str) -> Result<bool> {
        let mut is_replaced = self.projection.hold();
        let name = projection::FILE_NAME;
        let replaced = rewrite(&self.directory, name, false, seq, stub).map_err(|error| {
            Error::storage("cannot erase a line of the projection", self.directory.join(name), error)
        })?;
        *is_replaced |= replaced;
        Ok(replaced)
    }

    fn replace_in_segment(&self, seq: u64, stub: &str, indexed: &mut Indexed) -> Result<()> {
        let segment = self.segment_of(seq)?;
        // First, so that there is none of a text that is no longer there.
        indexed.forget(&segment);
        index::remove(&self.directory, segment.first_seq)?;
        kill_point("erase: index removed");
        let failed = |error| Error::storage("cannot erase a line of a sealed segment", &segment.path, error);
        let replaced =
            rewrite(&self.directory, &segment.name(), segment.compressed, seq, stub).map_err(failed)?;
        if !replaced {
            return Err(Error::corrupt(format!("line {seq} is not in its segment")).at(&segment.path));
        }
        kill_point("erase: segment replaced");
        self.sync_directory()?;
        // Where it cannot be made now, the next round tries again.
        self.index(&segment, indexed);
        Ok(())
    }

    fn sync_directory(&self) -> Result<()> {
        self.directory
            .sync("")
            .map_err(|error| Error::storage("cannot sync the directory", self.directory.path(), error))
    }
}

/// Writes the file anew with one line replaced; leaves it alone where it does not hold the line, or the stub already.
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
    // Retention counts from when it was sealed.
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
