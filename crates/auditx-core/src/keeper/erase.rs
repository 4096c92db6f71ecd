//! Taking the text of one line away (GDPR, article 17) and leaving its hash, so that everything else still proves.
//!
//! First a record of it, durable and signed; then the line is replaced in its segment and in security.jsonl. Killed between
//! the two, it is simply asked for again. What hooks have copied elsewhere is not within reach.

use std::fs;
use std::io::{self, BufRead, Write};
use std::path::Path;

use super::{Housekeeping, compress};
use crate::error::{Error, Result};
use crate::follow::projection;
use crate::line::{RecordedEntry, erased_hash, erased_line, leaf_of, parse_seq};
use crate::own_record::OwnRecord;
use crate::segment::{TrailReader, open_segment, sealed_segments};
use crate::storage::{Disk, Storage, open_own, own_options};
use crate::tree::Hash;

impl Housekeeping {
    /// Erases one line for this reason, which is recorded.
    pub(crate) fn erase(&self, seq: u64, reason: &str) -> Result<Hash> {
        let _busy = self.occupy();
        if reason.trim().is_empty() {
            return Err(Error::invalid(
                "an erasure needs a reason: it is what the trail keeps in the place of the line",
            ));
        }
        let leaf_hash = self.erasable(seq)?;
        if seq >= self.journal.appender().first_seq() {
            // The active segment is only ever appended to.
            self.journal.seal()?;
        }
        self.journal.push_signed(&OwnRecord::Erased { seq, leaf_hash, reason: reason.to_owned() })?;
        let stub = erased_line(seq, &leaf_hash);
        self.replace_in_segment(seq, &stub)?;
        let _still = self.projection.hold();
        let path = self.directory.join(projection::FILE_NAME);
        let replaced = rewrite(&path, false, seq, &stub)
            .map_err(|error| Error::storage("cannot erase a line of the projection", &path, error))?;
        if replaced { self.sync_directory() } else { Ok(()) }.map(|()| leaf_hash)
    }

    /// The hash of a line that may be erased.
    fn erasable(&self, seq: u64) -> Result<Hash> {
        let mut reader = TrailReader::new(&self.directory, seq);
        let (found, line) = reader
            .next_line()?
            .filter(|(found, _)| *found == seq)
            .ok_or_else(|| Error::invalid(format!("the trail holds no line {seq}")))?;
        if erased_hash(line).is_some() {
            return Err(Error::invalid(format!("line {found} is erased already")));
        }
        if RecordedEntry::from_line(line)?.parse()?.own_record.is_some() {
            return Err(Error::invalid(format!(
                "line {found} is a record of the trail's own: it holds nobody's data, and without it nothing can be proved"
            )));
        }
        leaf_of(line)
            .map(|leaf| leaf.hash)
            .ok_or_else(|| Error::corrupt(format!("line {found} cannot be read")))
    }

    fn replace_in_segment(&self, seq: u64, stub: &str) -> Result<()> {
        let segments = sealed_segments(&self.directory)?;
        let segment = segments
            .iter()
            .rfind(|segment| segment.first_seq <= seq)
            .ok_or_else(|| Error::invalid(format!("the segment of line {seq} is not there")))?;
        let failed = |error| Error::storage("cannot erase a line of a sealed segment", &segment.path, error);
        let replaced = rewrite(&segment.path, segment.compressed, seq, stub).map_err(failed)?;
        if !replaced {
            return Err(Error::corrupt(format!("line {seq} is not in its segment")).at(&segment.path));
        }
        self.sync_directory()
    }

    fn sync_directory(&self) -> Result<()> {
        Disk.sync_directory(&self.directory)
            .map_err(|error| Error::storage("cannot sync the directory", &self.directory, error))
    }
}

/// Writes the file anew with one line replaced; leaves it alone where it does not hold the line.
fn rewrite(path: &Path, compressed: bool, seq: u64, stub: &str) -> io::Result<bool> {
    let source = match open_segment(path, compressed) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        other => other?,
    };
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let temporary = Path::new(&temporary);
    let target = open_own(temporary, own_options().write(true).create(true).truncate(true))?;
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
        fs::remove_file(temporary)?;
        return Ok(false);
    }
    // Retention counts from when it was sealed.
    target.set_modified(fs::metadata(path)?.modified()?)?;
    target.sync_all()?;
    fs::rename(temporary, path)?;
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
            replaced = true;
            writeln!(target, "{stub}")?;
        } else {
            target.write_all(&line)?;
        }
    }
}
