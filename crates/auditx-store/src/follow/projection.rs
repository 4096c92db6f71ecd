//! The projection `security.jsonl`: the lines whose level is SECURITY or CRITICAL, bytes unchanged, each
//! exactly once.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::Arc;

use auditx_format::HookError;
use auditx_format::line::RecordedEntry;
use auditx_format::{Error, Result};
use auditx_tlog::{MAX_LINE, erased_hash, parse_seq};

use super::Sink;
use crate::config::PROJECTION;
use crate::dir::{Access, Dir, FileStat};
use crate::sensitive::may_be_sensitive;
use crate::trail::Trail;

pub(crate) const FILE_NAME: &str = PROJECTION;

pub(super) struct Projection {
    trail: Arc<Trail>,
    file: File,
    next_seq: u64,
}

impl Projection {
    /// Continues after the last whole line. An unfinished one, which the trail still holds, is rolled back.
    pub(super) fn open(trail: Arc<Trail>) -> Result<Self> {
        let directory = &trail.directory;
        let failed = |what: &str, error| Error::storage(what, directory.join(FILE_NAME), error);
        let file = open(directory).map_err(|error| failed("cannot open security.jsonl", error))?;
        let next_seq = repair(&file).map_err(|error| failed("cannot repair security.jsonl", error))?;
        Ok(Self { trail, file, next_seq })
    }

    /// Returns the seq after that of the last line in the file.
    pub(super) fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// Opens a new file if another program moved the old one away, for instance to archive it.
    fn follow_name(&mut self) -> io::Result<()> {
        let named = self.trail.directory.stat(FILE_NAME)?;
        let ours = FileStat::of(&self.file)?;
        if !named.is_some_and(|named| named.is_same(&ours)) {
            self.file = open(&self.trail.directory)?;
        }
        Ok(())
    }
}

impl Sink for Projection {
    fn skips(&self, line: &[u8]) -> bool {
        !may_be_sensitive(line)
    }

    fn next_needed(&self, from: u64, limit: u64) -> u64 {
        self.trail.sensitive.next(from, limit)
    }

    fn take(&mut self, entry: &RecordedEntry<'_>) -> Result<(), HookError> {
        if erased_hash(entry.line().as_bytes()).is_some() {
            return Ok(());
        }
        let level = entry.level().ok_or("the line has no level field where it must be")?;
        if !level.is_sensitive() {
            return Ok(());
        }
        let trail = self.trail.clone();
        let _held = trail.projection.lock();
        self.follow_name()?;
        let before = self.file.metadata()?.len();
        if let Err(error) = self.file.write_all(format!("{}\n", entry.line()).as_bytes()) {
            // The whole line is written again later.
            self.file.set_len(before)?;
            return Err(error.into());
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), HookError> {
        Ok(self.file.sync_data()?)
    }
}

/// Creates the file if it does not exist. Anything else of that name is moved aside.
pub(crate) fn ensure_exists(directory: &Dir) -> io::Result<()> {
    if directory.stat(FILE_NAME)?.is_some_and(|found| !found.is_file()) {
        directory.set_aside(FILE_NAME)?;
    }
    open(directory).map(drop)
}

fn open(directory: &Dir) -> io::Result<File> {
    directory.open(FILE_NAME, Access::APPEND.or_create())
}

fn repair(mut file: &File) -> io::Result<u64> {
    let len = file.metadata()?.len();
    let start = len.saturating_sub(2 * MAX_LINE as u64 + 2);
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(start))?;
    file.read_to_end(&mut tail)?;
    let Some(end) = memchr::memrchr(b'\n', &tail) else {
        file.set_len(start)?;
        return Ok(0);
    };
    file.set_len(start + end as u64 + 1)?;
    let line = &tail[memchr::memrchr(b'\n', &tail[..end]).map_or(0, |newline| newline + 1)..end];
    Ok(parse_seq(line).map_or(0, |seq| seq + 1))
}
