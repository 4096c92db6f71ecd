//! Lines out of the trail, as far as they are signed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use auditx_core::{
    Field, Hash, Moment, Row, SignedCheckpoint, Tiles, TrailReader, checkpoint_history, checkpoint_path,
    leaf_of,
};

use crate::batch::{Note, Shipped, TrailName};
use crate::error::{Error, Result};
use crate::source::{Lines, Source, Waiting};

/// So many lines are read before somebody else has their turn: what was read before is being sent.
const TURN: usize = 32;

#[derive(Debug)]
pub(crate) struct Feed {
    directory: PathBuf,
    reader: TrailReader,
    signed: Option<(TrailName, SignedCheckpoint)>,
    /// What the lines are shipped up to before anything newer is aimed at: so a destination that is far behind, or never quite
    /// there, still holds notes that speak of all it has.
    aim: Option<Note>,
}

impl Feed {
    pub(crate) fn new(directory: &Path) -> Self {
        Self {
            directory: directory.to_path_buf(),
            reader: TrailReader::new(directory, 0),
            signed: None,
            aim: None,
        }
    }

    /// The next note of a boundary that lies before it, else the latest; none where nothing is signed beyond.
    fn aim(&mut self) -> Result<Option<Note>> {
        let position = self.reader.position();
        let Some((_, latest)) = self.signed.as_ref().filter(|(_, latest)| latest.size() > position) else {
            return Ok(None);
        };
        if let Some(aim) = self.aim.as_ref().filter(|aim| aim.checkpoint.size() > position) {
            return Ok(Some(aim.clone()));
        }
        let boundary = next_boundary(&self.directory, position, latest.size())?;
        let aim = match boundary.filter(|boundary| boundary.origin() == latest.origin()) {
            Some(checkpoint) => Note { checkpoint, is_boundary: true },
            None => Note { checkpoint: latest.clone(), is_boundary: false },
        };
        self.aim = Some(aim.clone());
        Ok(Some(aim))
    }
}

impl Source for Feed {
    /// Fails also where another trail than before was put in the directory.
    async fn look(&mut self) -> Result<Option<(TrailName, u64)>> {
        if let Some(checkpoint) = read_note(&checkpoint_path(&self.directory))? {
            let trail = name_of(&checkpoint)?;
            if self.signed.as_ref().is_some_and(|(known, _)| known.id != trail.id) {
                let directory = self.directory.display();
                return Err(Error::new(format!("another trail, {}, was put in {directory}", trail.id)));
            }
            self.signed = Some((trail, checkpoint));
        }
        Ok(self.signed.as_ref().map(|(trail, checkpoint)| (trail.clone(), checkpoint.size())))
    }

    fn go_to(&mut self, next: u64) {
        self.reader.restart(next);
        self.aim = None;
    }

    async fn read(&mut self, most_lines: usize, most_bytes: usize) -> Result<Option<Lines>> {
        let Some(note) = self.aim()? else { return Ok(None) };
        let (end, mut lines, mut bytes) = (note.checkpoint.size(), Vec::new(), 0);
        while self.reader.position() < end && lines.len() < most_lines && bytes < most_bytes {
            if lines.len() % TURN == TURN - 1 {
                tokio::task::yield_now().await;
            }
            let Some((seq, line)) = self.reader.next_line().map_err(Error::new)? else { break };
            let (Some(leaf), Ok(text)) = (leaf_of(line), std::str::from_utf8(line)) else {
                return Err(Error::new(format!("line {seq} is damaged: see `auditx verify`")));
            };
            bytes += text.len();
            lines.push(Shipped { seq, leaf_hash: leaf.hash, line: text.to_owned() });
        }
        Ok((!lines.is_empty()).then_some(Lines { lines, note: Some(note) }))
    }

    fn waiting(&self, next: u64, end: u64) -> Result<Option<Waiting>> {
        waiting_in(&self.directory, next, end).map(Some)
    }

    async fn leaf(&mut self, seq: u64) -> Result<Option<Hash>> {
        if self.signed.as_ref().is_none_or(|(_, checkpoint)| seq >= checkpoint.size()) {
            return Ok(None);
        }
        stored_leaf(&self.directory, seq)
    }
}

/// The lines of a trail from `next` on and before `end`; nothing where there are none.
///
/// # Errors
/// Where the trail cannot be read.
pub fn waiting_in(trail: &Path, next: u64, end: u64) -> Result<Waiting> {
    if next >= end {
        return Ok(Waiting::default());
    }
    let bytes_from = |seq| auditx_core::bytes_from(trail, seq).map_err(Error::new);
    let bytes = bytes_from(next)?.saturating_sub(bytes_from(end)?);
    let mut reader = TrailReader::new(trail, next);
    let first = reader.next_line().map_err(Error::new)?;
    let oldest = first.and_then(|(_, line)| recorded_at(std::str::from_utf8(line).ok()?));
    Ok(Waiting { bytes, oldest })
}

/// When a line was recorded, as it says.
pub(crate) fn recorded_at(line: &str) -> Option<SystemTime> {
    let moment = Moment::parse(&Row::read_text(line).ok()?.text(Field::Timestamp))?;
    Some(SystemTime::UNIX_EPOCH + Duration::from_micros(u64::try_from(moment.micros()).ok()?))
}

/// The leaf of a line, or of the tree where the line is retired; none where neither is there.
pub(crate) fn stored_leaf(trail: &Path, seq: u64) -> Result<Option<Hash>> {
    let mut reader = TrailReader::new(trail, seq);
    if let Some((found, line)) = reader.next_line().map_err(Error::new)?
        && found == seq
    {
        return Ok(leaf_of(line).map(|leaf| leaf.hash));
    }
    let mut leaf = [Hash::default()];
    Ok((Tiles::open(trail).leaves(seq, &mut leaf) == 1).then_some(leaf[0]))
}

/// The note of the first boundary after `position`, if there is one up to `end`.
fn next_boundary(trail: &Path, position: u64, end: u64) -> Result<Option<SignedCheckpoint>> {
    let history = checkpoint_history(trail);
    let failed = |error| Error::new(format!("cannot read {}: {error}", history.display()));
    let entries = match fs::read_dir(&history) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(failed)?,
    };
    let mut next = None;
    for entry in entries {
        let name = entry.map_err(failed)?.file_name();
        let size = name.to_str().and_then(|name| name.parse::<u64>().ok());
        if let Some(size) = size.filter(|size| *size > position && *size <= end) {
            next = Some(next.map_or(size, |known: u64| known.min(size)));
        }
    }
    next.map_or(Ok(None), |size| read_note(&history.join(size.to_string())))
}

/// The trail that a note is of.
pub(crate) fn name_of(note: &SignedCheckpoint) -> Result<TrailName> {
    let origin = note.origin().to_owned();
    Ok(TrailName { id: origin.rsplit('/').next().unwrap_or_default().parse()?, origin })
}

/// A note; none where there is no such file.
pub(crate) fn read_note(path: &Path) -> Result<Option<SignedCheckpoint>> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::new(format!("cannot read {}: {error}", path.display()))),
        Ok(note) => SignedCheckpoint::parse(&note).map(Some).map_err(Error::new),
    }
}
