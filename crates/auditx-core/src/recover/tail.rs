//! The end of the active segment: the lines that no checkpoint speaks of yet, and what a crash left behind them.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::appender::Means;
use crate::encode::MAX_LINE;
use crate::error::{Error, Result};
use crate::line::{leaf_of, parse_seq};
use crate::own_record::{OwnRecord, TornTail};
use crate::segment::{ACTIVE, open_segment};
use crate::storage::{open_own, own_options};
use crate::tiles::Tiles;
use crate::tree::Hash;

/// Signed lines that are held against the cache at each open, for what it is worth: a full check is `auditx verify`.
const RECHECKED: u64 = 256;

/// Searching by halves ends in a window of this size, which is then read line by line.
const WINDOW: u64 = 256 * 1024;

#[derive(Debug)]
pub(super) struct Tail {
    /// The number of lines that are whole.
    pub(super) next_seq: u64,
    /// The hashes of those that no checkpoint speaks of.
    pub(super) unsigned: Vec<Hash>,
    /// The first signed line that is not what the cache says.
    pub(super) suspect: Option<u64>,
    /// Where the first line ends that is none, and how far the file goes.
    torn: Option<(u64, u64)>,
}

impl Tail {
    /// Reads the end of the active segment, whose first line has this number. All below `signed` are signed.
    pub(super) fn read(directory: &Path, first_seq: u64, tiles: Option<&Tiles>, signed: u64) -> Result<Self> {
        let path = directory.join(ACTIVE);
        let mut tail = Self { next_seq: first_seq, unsigned: Vec::new(), suspect: None, torn: None };
        let file = match open_own(&path, own_options().read(true)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(tail),
            Err(error) => return Err(Error::storage("cannot open the active segment", &path, error)),
        };
        let wanted = signed.saturating_sub(RECHECKED).max(first_seq);
        tail.walk(file, wanted, tiles, signed)
            .map_err(|error| Error::storage("cannot read the active segment", &path, error))?
            .map_err(|error| error.at(&path))?;
        Ok(tail)
    }

    fn walk(
        &mut self,
        mut file: File,
        wanted: u64,
        tiles: Option<&Tiles>,
        signed: u64,
    ) -> io::Result<Result<()>> {
        let len = file.metadata()?.len();
        let (begin, seq) = find(&file, len, wanted, self.next_seq)?;
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
            let Some(leaf) = leaf.filter(|leaf| leaf.seq == self.next_seq) else {
                if self.next_seq < signed && line.last() == Some(&b'\n') {
                    let what = format!("what stands in the place of line {} is not that line", self.next_seq);
                    return Ok(Err(super::disagreement(what, self.next_seq)));
                }
                // A power loss can leave zeros or half lines anywhere after the last fdatasync, and whole lines behind them.
                self.torn = Some((offset, len));
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

    /// Moves what follows the last whole line into a file of its own: nothing is thrown away. Gives what there is to say.
    pub(super) fn repair(&mut self, directory: &Path, means: &Means) -> Result<Option<OwnRecord>> {
        let unsigned_lines = self.unsigned_lines();
        let torn = match self.torn.take() {
            None => None,
            Some((begin, end)) => Some(move_away(directory, means, begin, end, self.next_seq)?),
        };
        Ok((torn.is_some() || unsigned_lines > 0).then_some(OwnRecord::Recovered { torn, unsigned_lines }))
    }

    fn unsigned_lines(&self) -> u64 {
        self.unsigned.len() as u64
    }
}

/// Whether a line can be one that was written whole.
fn is_whole(line: &[u8]) -> bool {
    line.len() < MAX_LINE && line.ends_with(b"}") && std::str::from_utf8(line).is_ok()
}

/// Where a line not after `wanted` begins, close to it, and its number. The file begins with line `first`.
fn find(file: &File, len: u64, wanted: u64, first: u64) -> io::Result<(u64, u64)> {
    let (mut begin, mut begin_seq, mut end) = (0, first, len);
    while end - begin > WINDOW {
        let middle = begin + (end - begin) / 2;
        match line_after(file, middle)? {
            Some((offset, seq)) if seq <= wanted && offset < end => (begin, begin_seq) = (offset, seq),
            // Beyond it, or no line at all: it is looked for before.
            _ => end = middle,
        }
    }
    Ok((begin, begin_seq))
}

/// The first line that begins after this offset.
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

fn move_away(directory: &Path, means: &Means, begin: u64, end: u64, next_seq: u64) -> Result<TornTail> {
    let active = directory.join(ACTIVE);
    let name_of = |number: u32| match number {
        0 => format!("audit.torn-{next_seq}"),
        number => format!("audit.torn-{next_seq}.{number}"),
    };
    let free = (0..).map(name_of).find(|name| !directory.join(name).exists());
    let torn_file = free.unwrap_or_else(|| name_of(0));
    let torn_path = directory.join(&torn_file);
    let failed = |what: &str, error| Error::storage(what, &active, error);
    let bytes = end - begin;
    let file = open_own(&active, own_options().read(true).write(true))
        .map_err(|error| failed("cannot open the active segment", error))?;
    let mut torn = vec![0; usize::try_from(bytes).unwrap_or(usize::MAX)];
    file.read_exact_at(&mut torn, begin)
        .map_err(|error| failed("cannot read the torn tail of the active segment", error))?;
    means
        .storage
        .replace(&torn_path, &torn)
        .map_err(|error| Error::storage("cannot save the torn tail", &torn_path, error))?;
    file.set_len(begin)
        .and_then(|()| file.sync_all())
        .map_err(|error| failed("cannot cut the torn tail off the active segment", error))?;
    Ok(TornTail { bytes, file: torn_file })
}

/// The number of a sealed segment's last line.
pub(super) fn last_seq_of_sealed(path: &Path, compressed: bool) -> Result<u64> {
    let failed = |error| Error::storage("cannot read a sealed segment", path, error);
    let mut reader = open_segment(path, compressed).map_err(failed)?;
    let (mut line, mut last) = (Vec::new(), Vec::new());
    while reader.read_until(b'\n', &mut line).map_err(failed)? > 0 {
        std::mem::swap(&mut line, &mut last);
        line.clear();
    }
    parse_seq(&last).ok_or_else(|| {
        Error::corrupt(
            "the last line of a segment has no sequence number: it was not written by auditx, or was altered",
        )
        .at(path)
    })
}
