//! The tail of the trail: the lines that no checkpoint covers yet, and what a crash left after them. They are
//! in the active segment, and in segments that were sealed but not yet signed when the process crashed.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;

use auditx_format::control_record::{ControlRecord, TornTail};
use auditx_format::{Error, Result};
use auditx_tlog::{Hash, Leaf, MAX_LINE, leaf_of, parse_seq};

use crate::dir::{Access, Dir};
use crate::segment::{ACTIVE, SealedSegment, first_seq_of, open_segment};
use crate::tiles::Tiles;
use crate::trail::Trail;

/// The number of bytes of signed lines at the end of the active segment that are compared with the tile cache
/// at each open. It is small enough that opening takes milliseconds; `auditx verify` checks everything.
const RECHECKED: u64 = 16 << 20;

/// The binary search for the first of these lines ends with a range of this size, which is read line by line.
const WINDOW: u64 = 256 * 1024;

/// A file of the tail.
#[derive(Debug)]
struct Part {
    name: String,
    first_seq: u64,
}

#[derive(Debug)]
pub(super) struct Tail {
    /// The files that may contain unsigned lines: sealed segments, then the active one.
    parts: Vec<Part>,
    /// Sealed segments whose lines the active segment contains again, because a process died while it rolled
    /// back to the durable lines.
    superseded: Vec<String>,
    /// The sequence number after the last whole line.
    pub(super) next_seq: u64,
    /// The leaf hashes of the lines that no checkpoint covers.
    pub(super) unsigned: Vec<Hash>,
    /// The first sequence number in the active segment, if it has a whole line.
    pub(super) active_first: Option<u64>,
    /// The first signed line that differs from the tile cache.
    pub(super) suspect: Option<u64>,
    /// The first invalid line: the index of its part, its offset, and the length of the file.
    torn: Option<(usize, u64, u64)>,
}

impl Tail {
    /// Reads the tail of a trail with these sealed segments. The lines below `signed` are signed.
    pub(super) fn read(
        directory: &Dir,
        sealed: &[SealedSegment],
        tiles: Option<&Tiles>,
        signed: u64,
    ) -> Result<Self> {
        let active_first = match first_seq_of(directory, ACTIVE) {
            // After a power loss, even the first line of a new segment may be incomplete.
            Err(error) if error.is_corrupt() && (signed > 0 || !sealed.is_empty()) => None,
            other => other?,
        };
        let count =
            sealed.partition_point(|segment| active_first.is_none_or(|active| segment.first_seq < active));
        let (sealed, superseded) = sealed.split_at(count);
        let superseded = check_superseded(directory, superseded)?;
        let mut parts = Vec::new();
        for (index, segment) in sealed.iter().enumerate() {
            let end = sealed.get(index + 1).map(|next| next.first_seq).or(active_first);
            // Compressed segments were signed before they were compressed.
            if !segment.compressed && end.is_none_or(|end| end > signed) {
                parts.push(Part { name: segment.name(), first_seq: segment.first_seq });
            }
        }
        let first_seq = match (parts.first(), active_first, sealed.last()) {
            (Some(part), _, _) => part.first_seq,
            (None, Some(first_seq), _) => first_seq,
            (None, None, Some(last)) => last_seq_of_sealed(directory, last)? + 1,
            (None, None, None) => 0,
        };
        if first_seq > signed && !sealed.is_empty() {
            return Err(super::disagreement(
                format!("the trail continues at line {first_seq}, but its checkpoint covers {signed} lines"),
                signed,
            ));
        }
        parts.push(Part { name: ACTIVE.to_owned(), first_seq: active_first.unwrap_or(first_seq) });
        let mut tail = Self {
            parts,
            superseded,
            next_seq: first_seq,
            unsigned: Vec::new(),
            active_first,
            suspect: None,
            torn: None,
        };
        for part in 0..tail.parts.len() {
            tail.read_part(directory, part, tiles, signed)?;
            if tail.torn.is_some() {
                break;
            }
        }
        if active_first.is_none()
            && let Some(active) = tail.parts.last_mut()
        {
            // A process died between the two steps of a seal.
            active.first_seq = tail.next_seq;
        }
        Ok(tail)
    }

    fn read_part(&mut self, directory: &Dir, part: usize, tiles: Option<&Tiles>, signed: u64) -> Result<()> {
        let name = &self.parts[part].name;
        let path = directory.join(name);
        let file = match directory.open(name, Access::READ) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(Error::storage("cannot open a segment", &path, error)),
        };
        self.walk(part, file, tiles, signed)
            .map_err(|error| Error::storage("cannot read a segment", &path, error))?
            .map_err(|error| error.at(&path))
    }

    fn walk(
        &mut self,
        part: usize,
        mut file: File,
        tiles: Option<&Tiles>,
        signed: u64,
    ) -> io::Result<Result<()>> {
        let len = file.metadata()?.len();
        let (begin, seq) = begin_of_last(&file, len, signed, self.next_seq)?;
        self.next_seq = seq;
        file.seek(SeekFrom::Start(begin))?;
        let mut reader = BufReader::with_capacity(128 * 1024, file);
        let (mut line, mut offset) = (Vec::new(), begin);
        loop {
            line.clear();
            reader.read_until(b'\n', &mut line)?;
            if line.is_empty() {
                return Ok(Ok(()));
            }
            let leaf = line.strip_suffix(b"\n").filter(|line| is_whole(line)).and_then(leaf_of);
            let is_expected =
                |leaf: &Leaf| leaf.seq == self.next_seq && (leaf.seq < signed || is_json(&line));
            let Some(leaf) = leaf.filter(is_expected) else {
                if self.next_seq < signed && line.last() == Some(&b'\n') {
                    let what = format!("found something else where line {} was expected", self.next_seq);
                    return Ok(Err(super::disagreement(what, self.next_seq)));
                }
                // A power loss can leave zeros or partial lines anywhere after the last fdatasync, followed
                // by whole lines.
                self.torn = Some((part, offset, len));
                return Ok(Ok(()));
            };
            if leaf.seq >= signed {
                self.unsigned.push(leaf.hash);
            } else if tiles.and_then(|tiles| tiles.node(0, leaf.seq)).is_some_and(|known| known != leaf.hash)
            {
                self.suspect.get_or_insert(leaf.seq);
            }
            self.next_seq += 1;
            offset += line.len() as u64;
        }
    }

    /// Moves everything after the last whole line into separate files, so that nothing is lost. Returns the
    /// control record, if any, and the first sequence number of the new active segment.
    pub(super) fn repair(&mut self, trail: &Trail) -> Result<(Option<ControlRecord>, u64)> {
        let unsigned_lines = self.unsigned_lines();
        let active = self.parts.last().map_or(self.next_seq, |part| part.first_seq);
        let mut torn = TornTail { bytes: 0, file: torn_name(&trail.directory, self.next_seq)? };
        for superseded in &self.superseded {
            torn.bytes += move_whole(trail, superseded, self.next_seq)?;
        }
        let first_seq = match self.torn.take() {
            None => active,
            Some((part, begin, end)) => {
                self.move_later_parts(trail, part, &mut torn)?;
                self.move_rest(trail, (part, begin, end), &mut torn)?
            }
        };
        let torn = (torn.bytes > 0).then_some(torn);
        let record = (torn.is_some() || unsigned_lines > 0).then_some(ControlRecord::Recovered {
            torn,
            unsigned_lines,
            replayed: 0,
        });
        Ok((record, first_seq))
    }

    /// Moves away the files that follow a torn one, last first, so that a killed process leaves no gap.
    fn move_later_parts(&self, trail: &Trail, part: usize, torn: &mut TornTail) -> Result<()> {
        for later in self.parts[part + 1..].iter().rev() {
            torn.bytes += move_whole(trail, &later.name, self.next_seq)?;
        }
        Ok(())
    }

    /// Moves away what follows the last whole line in its file, which then becomes the active segment.
    fn move_rest(
        &self,
        trail: &Trail,
        (part, begin, end): (usize, u64, u64),
        torn: &mut TornTail,
    ) -> Result<u64> {
        let directory = &trail.directory;
        let Part { name, first_seq } = &self.parts[part];
        if begin == 0 && name != ACTIVE {
            torn.bytes += move_whole(trail, name, self.next_seq)?;
            return Ok(self.next_seq);
        }
        torn.bytes += move_away(trail, name, begin..end, self.next_seq)?;
        if name != ACTIVE {
            trail
                .storage
                .rename(directory, name, ACTIVE)
                .and_then(|()| trail.storage.sync_directory(directory))
                .map_err(|error| {
                    Error::storage("cannot make a torn segment the active one", directory.join(name), error)
                })?;
        }
        Ok(if begin == 0 { self.next_seq } else { *first_seq })
    }

    fn unsigned_lines(&self) -> u64 {
        self.unsigned.len() as u64
    }
}

/// Returns the names of segments whose lines the active segment contains again, because a process died while
/// it rolled back to the durable lines. Fails for a file that does not begin as its name says, since it does
/// not belong to the trail.
fn check_superseded(directory: &Dir, superseded: &[SealedSegment]) -> Result<Vec<String>> {
    let names = superseded.iter().map(|segment| {
        let name = segment.name();
        let is_ours = !segment.compressed
            && first_seq_of(directory, &name)
                .is_ok_and(|found| found.is_none_or(|seq| seq == segment.first_seq));
        if is_ours {
            return Ok(name);
        }
        let what = format!("`{name}` is named after lines of the active segment, but does not contain them");
        Err(super::disagreement(what, segment.first_seq).at(&segment.path))
    });
    names.collect()
}

/// Returns whether a line can be a completely written one.
fn is_whole(line: &[u8]) -> bool {
    line.len() < MAX_LINE && line.ends_with(b"}") && std::str::from_utf8(line).is_ok()
}

/// Returns whether the line is valid JSON. A power loss can leave zeros in the middle of a line whose end was
/// written, and for unsigned lines nothing else detects that.
fn is_json(line: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok()
}

/// Returns the offset and the sequence number of the line from which on a file is compared with the tile
/// cache: a line at or before `signed`. The file begins with line `first`.
fn begin_of_last(file: &File, len: u64, signed: u64, first: u64) -> io::Result<(u64, u64)> {
    let (mut begin, mut begin_seq, mut end) = (0, first, len.saturating_sub(RECHECKED));
    while end - begin > WINDOW {
        let middle = begin + (end - begin) / 2;
        match line_after(file, middle)? {
            Some((offset, seq)) if seq <= signed && offset < end => (begin, begin_seq) = (offset, seq),
            // Beyond `signed`, or not a line: continue in the first half.
            _ => end = middle,
        }
    }
    Ok((begin, begin_seq))
}

/// Returns the offset and the sequence number of the first line that begins after `offset`.
fn line_after(file: &File, offset: u64) -> io::Result<Option<(u64, u64)>> {
    let mut block = vec![0; MAX_LINE + 64];
    let mut filled = 0;
    while filled < block.len() {
        match file.read_at(&mut block[filled..], offset + filled as u64)? {
            0 => break,
            read => filled += read,
        }
    }
    let block = &block[..filled];
    Ok(memchr::memchr(b'\n', block)
        .and_then(|newline| Some((offset + newline as u64 + 1, parse_seq(&block[newline + 1..])?))))
}

/// Returns a free name for the torn lines from this sequence number on.
fn torn_name(directory: &Dir, next_seq: u64) -> Result<String> {
    let name = format!("audit.torn-{next_seq}");
    let free = directory
        .free_name(Path::new(&name))
        .map_err(|error| Error::storage("cannot list the trail's directory", directory.path(), error))?;
    Ok(free.to_string_lossy().into_owned())
}

/// Renames a whole file to a torn one. Returns its length, or 0 if it does not exist.
fn move_whole(trail: &Trail, name: &str, next_seq: u64) -> Result<u64> {
    let directory = &trail.directory;
    let failed = |error| Error::storage("cannot move a segment away", directory.join(name), error);
    let Some(found) = directory.stat(name).map_err(failed)? else { return Ok(0) };
    let bytes = found.len();
    let torn = torn_name(directory, next_seq)?;
    trail
        .storage
        .rename(directory, name, &torn)
        .and_then(|()| trail.storage.sync_directory(directory))
        .map_err(failed)?;
    Ok(bytes)
}

fn move_away(trail: &Trail, name: &str, range: std::ops::Range<u64>, next_seq: u64) -> Result<u64> {
    let directory = &trail.directory;
    let torn_name = torn_name(directory, next_seq)?;
    let failed = |what: &str, error| Error::storage(what, directory.join(name), error);
    let bytes = range.end - range.start;
    let file = directory
        .open(name, Access::READ_WRITE)
        .map_err(|error| failed("cannot open the torn segment", error))?;
    let mut torn = vec![0; usize::try_from(bytes).unwrap_or(usize::MAX)];
    file.read_exact_at(&mut torn, range.start)
        .map_err(|error| failed("cannot read the torn tail of a segment", error))?;
    trail
        .storage
        .replace(directory, &torn_name, &torn)
        .map_err(|error| Error::storage("cannot save the torn tail", directory.join(&torn_name), error))?;
    file.set_len(range.start)
        .and_then(|()| file.sync_all())
        .map_err(|error| failed("cannot remove the torn tail from a segment", error))?;
    Ok(bytes)
}

/// Returns the sequence number of a sealed segment's last line.
fn last_seq_of_sealed(directory: &Dir, segment: &SealedSegment) -> Result<u64> {
    let failed = |error| Error::storage("cannot read a sealed segment", &segment.path, error);
    let mut reader = open_segment(directory, &segment.name(), segment.compressed).map_err(failed)?;
    let (mut line, mut last) = (Vec::new(), Vec::new());
    while reader.read_until(b'\n', &mut line).map_err(failed)? > 0 {
        std::mem::swap(&mut line, &mut last);
        line.clear();
    }
    parse_seq(&last).ok_or_else(|| {
        Error::corrupt(
            "the last line of a segment has no sequence number: it was not written by auditx, or was altered",
        )
        .at(&segment.path)
    })
}
