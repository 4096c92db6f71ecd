//! What a witness has cosigned: a file in which the last line of each log counts.
//!
//! The file is a sequence of batches. Each has one line for each checkpoint and ends with a line that has the
//! number of the batch and the CRC-32C of all before it in the batch. A batch is durable before the next one
//! is written, so only the last one can be incomplete, and nothing of it was answered.

use std::collections::HashMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use auditx_tlog::Hash;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use rustix::fs::{FlockOperation, flock};

use crate::error::{Error, Result};
use crate::step::{Step, reached};

/// The file, in the directory of the witness.
const NAME: &str = "cosigned";

/// The new file before it replaces the old one.
const UNFINISHED: &str = "cosigned.new";

/// The file whose lock says that a witness is running.
const LOCK: &str = "lock";

/// The word at the beginning of the last line of a batch.
const END: &str = "end ";

/// The file is rewritten when it has this many lines for each log, and not sooner than [`FEWEST_LINES`].
const LINES_FOR_EACH_LOG: usize = 16;
const FEWEST_LINES: usize = 100_000;

/// The newest checkpoint of a log that the witness cosigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) size: u64,
    pub(crate) root: Hash,
}

/// The newest checkpoint of each log, by its origin.
pub(crate) type Heads = HashMap<String, Head>;

#[derive(Debug)]
pub(crate) struct Journal {
    directory: PathBuf,
    file: File,
    lines: usize,
    batches: u64,
    /// Held as long as the journal is open.
    _lock: File,
}

impl Journal {
    /// Opens or creates the file, and returns what it says.
    ///
    /// # Errors
    /// If another process has it open, if it cannot be read or written, or if it is damaged elsewhere than in
    /// its last batch.
    pub(crate) fn open(directory: &Path) -> Result<(Self, Heads)> {
        let failed = |error| Error::storage("cannot open the state of the witness", directory, error);
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
        let lock = writable(&directory.join(LOCK)).map_err(failed)?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Err(Error::new(format!("another witness uses the directory {}", directory.display())));
        }
        let mut file = writable(&directory.join(NAME)).map_err(failed)?;
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(failed)?;
        let replayed = replay(&text).map_err(|why| {
            Error::new(format!(
                "the state of the witness, {}, is damaged: {why}. A witness that does not know what it cosigned \
                 must not go on under the same name",
                directory.join(NAME).display()
            ))
        })?;
        // Not yet durable, perhaps: it would be lost after the next batch was answered.
        file.set_len(replayed.len as u64).and_then(|()| file.sync_all()).map_err(failed)?;
        File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed)?;
        let file = OpenOptions::new().append(true).open(directory.join(NAME)).map_err(failed)?;
        let journal = Self {
            directory: directory.to_owned(),
            file,
            lines: replayed.lines,
            batches: replayed.batches,
            _lock: lock,
        };
        Ok((journal, replayed.heads))
    }

    /// Adds a batch durably. `heads` is all that the file says with it.
    ///
    /// # Errors
    /// If it cannot be written. What the file says then is not known until it is opened again.
    pub(crate) fn append(&mut self, batch: &[(String, Head)], heads: &Heads) -> io::Result<()> {
        if self.lines > FEWEST_LINES.max(heads.len() * LINES_FOR_EACH_LOG) {
            return self.rewrite(heads);
        }
        let heads = batch.iter().map(|(origin, head)| (origin, head));
        self.file.write_all(text_of(self.batches, heads).as_bytes())?;
        reached(Step::Written);
        self.file.sync_data()?;
        self.lines += batch.len();
        self.batches += 1;
        Ok(())
    }

    /// Replaces the file by one with a line for each log.
    fn rewrite(&mut self, heads: &Heads) -> io::Result<()> {
        let unfinished = self.directory.join(UNFINISHED);
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        file.write_all(text_of(0, heads.iter()).as_bytes())?;
        file.sync_all()?;
        reached(Step::Written);
        fs::rename(&unfinished, self.directory.join(NAME))?;
        File::open(&self.directory)?.sync_all()?;
        self.file = OpenOptions::new().append(true).open(self.directory.join(NAME))?;
        (self.lines, self.batches) = (heads.len(), 1);
        Ok(())
    }
}

fn writable(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// Returns the text of the batch with this number.
fn text_of<'h>(number: u64, heads: impl Iterator<Item = (&'h String, &'h Head)>) -> String {
    let mut text = String::new();
    for (origin, Head { size, root }) in heads {
        text += &format!("{size} {} {origin}\n", BASE64_STANDARD.encode(root));
    }
    text += &format!("{END}{number}");
    let crc = crc32c::crc32c(text.as_bytes());
    text + &format!(" {crc:08x}\n")
}

struct Replayed {
    heads: Heads,
    lines: usize,
    batches: u64,
    /// The length of the complete batches.
    len: usize,
}

/// Reads the batches. Fails if one that is not the last is damaged.
fn replay(text: &[u8]) -> std::result::Result<Replayed, String> {
    let mut replayed = Replayed { heads: Heads::new(), lines: 0, batches: 0, len: 0 };
    while let Some(batch) = next_batch(&text[replayed.len..]) {
        let Some(heads) = heads_of(batch, replayed.batches) else {
            let is_last = next_batch(&text[replayed.len + batch.len()..]).is_none();
            // If the last line of a batch is damaged, the next one ends both.
            let is_one = batch_number(batch).is_none_or(|number| number <= replayed.batches);
            if is_last && is_one {
                break;
            }
            let at = replayed.len;
            return Err(format!("the batch at byte {at} is not what was written, and others follow it"));
        };
        replayed.lines += heads.len();
        replayed.heads.extend(heads);
        replayed.batches += 1;
        replayed.len += batch.len();
    }
    Ok(replayed)
}

/// Returns the text up to the first last line of a batch, with its newline.
fn next_batch(text: &[u8]) -> Option<&[u8]> {
    let mut len = 0;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        len += line.len();
        if line.starts_with(END.as_bytes()) && line.ends_with(b"\n") {
            return Some(&text[..len]);
        }
    }
    None
}

/// Returns the number in the last line of a batch.
fn batch_number(batch: &[u8]) -> Option<u64> {
    let (_, end) = std::str::from_utf8(batch).ok()?.rsplit_once(END)?;
    end.split(' ').next()?.parse().ok()
}

/// Returns what the batch with this number says; `None` if it is damaged.
fn heads_of(batch: &[u8], number: u64) -> Option<Vec<(String, Head)>> {
    let (sum, crc) = std::str::from_utf8(batch).ok()?.strip_suffix('\n')?.rsplit_once(' ')?;
    let is_whole = u32::from_str_radix(crc, 16).is_ok_and(|crc| crc == crc32c::crc32c(sum.as_bytes()));
    let (lines, found) = sum.rsplit_once(END)?;
    if !is_whole || found != number.to_string() {
        return None;
    }
    let head = |line: &str| {
        let mut words = line.splitn(3, ' ');
        let size = words.next()?.parse().ok()?;
        let root = BASE64_STANDARD.decode(words.next()?).ok()?.try_into().ok()?;
        Some((words.next()?.to_owned(), Head { size, root }))
    };
    lines.lines().map(head).collect()
}

#[cfg(test)]
mod tests;
