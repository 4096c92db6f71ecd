//! What a witness has cosigned: a file in which the last line of each log counts.
//!
//! The file begins with the key of the witness. A sequence of batches follows. Each has one line for each
//! checkpoint and ends with a line that has the number of the batch and the CRC-32C of all before it in the
//! batch. When it is durable, one more line says so, and only then it is answered. So only a last batch without
//! this line can be incomplete.

use std::collections::HashMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use auditx_tlog::Hash;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

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

/// The line after a batch that is durable. It need not be durable itself: a batch without it is whole or was not
/// answered. No name of a log contains a tab.
const DURABLE: &str = "\tdurable\n";

/// The word before the key.
const KEY: &str = "key ";

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
    /// The first line.
    key: String,
    file: File,
    lines: usize,
    batches: u64,
    /// Held as long as the journal is open.
    _lock: File,
}

impl Journal {
    /// Creates the file.
    ///
    /// # Errors
    /// If there is one, or it cannot be written.
    pub(crate) fn create(directory: &Path, key: &str) -> Result<()> {
        let failed = |error| Error::storage("cannot create the state of the witness", directory, error);
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
        let path = directory.join(NAME);
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(failed)?;
        file.write_all(format!("{KEY}{key}\n").as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
        // The directory may be new too.
        let above = directory.parent().filter(|parent| !parent.as_os_str().is_empty());
        for directory in [Some(directory), above].into_iter().flatten() {
            File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed)?;
        }
        Ok(())
    }

    /// Opens the file, and returns what it says.
    ///
    /// # Errors
    /// If the file does not exist, is that of another key or damaged, or cannot be read or written, or another
    /// process has it open.
    pub(crate) fn open(directory: &Path, key: &str) -> Result<(Self, Heads)> {
        let failed = |error| Error::storage("cannot open the state of the witness", directory, error);
        let path = directory.join(NAME);
        if !path.exists() {
            return Err(Error::new(format!(
                "there is no witness in {}: check the directory. A witness that has lost what it cosigned must \
                 not go on with the same key",
                directory.display()
            )));
        }
        let lock = writable(&directory.join(LOCK)).map_err(failed)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let message = format!("another witness uses the directory {}", directory.display());
                return Err(Error::new(message));
            }
            Err(error) => return Err(failed(error.into())),
        }
        let mut file = writable(&path).map_err(failed)?;
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(failed)?;
        let first = format!("{KEY}{key}\n");
        let Some(batches) = text.strip_prefix(first.as_bytes()) else {
            return Err(Error::new(format!(
                "{} is not the state of the witness {key}: use the key and the name with which it was created",
                path.display()
            )));
        };
        let replayed = replay(batches).map_err(|why| {
            Error::new(format!(
                "the state of the witness, {}, is damaged: {why}. A witness that does not know what it cosigned \
                 must not go on with the same key",
                path.display()
            ))
        })?;
        // A batch that is whole may not be durable yet.
        let len = first.len() + replayed.len;
        file.set_len(len as u64).and_then(|()| file.sync_all()).map_err(failed)?;
        let file = OpenOptions::new().append(true).open(&path).map_err(failed)?;
        let Replayed { heads, lines, batches, .. } = replayed;
        let directory = directory.to_owned();
        Ok((Self { directory, key: key.to_owned(), file, lines, batches, _lock: lock }, heads))
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
        self.file.write_all(DURABLE.as_bytes())?;
        self.lines += batch.len();
        self.batches += 1;
        Ok(())
    }

    /// Replaces the file by one with a line for each log.
    fn rewrite(&mut self, heads: &Heads) -> io::Result<()> {
        let unfinished = self.directory.join(UNFINISHED);
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        let text = format!("{KEY}{}\n{}{DURABLE}", self.key, text_of(0, heads.iter()));
        file.write_all(text.as_bytes())?;
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

/// Reads the batches. Fails if one that was answered is damaged.
fn replay(text: &[u8]) -> std::result::Result<Replayed, String> {
    let mut replayed = Replayed { heads: Heads::new(), lines: 0, batches: 0, len: 0 };
    loop {
        let rest = &text[replayed.len..];
        let found =
            next_batch(rest).and_then(|batch| Some((batch.len(), heads_of(batch, replayed.batches)?)));
        let Some((len, heads)) = found else {
            if rest.windows(DURABLE.len()).any(|bytes| bytes == DURABLE.as_bytes()) {
                let at = replayed.len;
                return Err(format!("the batch at byte {at} after the key is not what was written"));
            }
            return Ok(replayed);
        };
        replayed.lines += heads.len();
        replayed.heads.extend(heads);
        replayed.batches += 1;
        let durable = if rest[len..].starts_with(DURABLE.as_bytes()) { DURABLE.len() } else { 0 };
        replayed.len += len + durable;
    }
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
