//! Reads the lines of a trail that a signed checkpoint covers, and no others.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use auditx_format::moment::Moment;
use auditx_format::row::{Field, Row};
use auditx_store::{Tiles, TrailReader};
use auditx_tlog::{Hash, Policy, SignedCheckpoint, leaf_of};

use crate::batch::{CoveringCheckpoint, ShippedLine, TrailName};
use crate::covering::Checkpoints;
use crate::error::{Error, Result};
use crate::source::{Backlog, Lines, Source};

/// The number of lines read before yielding, so that the previous batch is sent meanwhile.
const LINES_PER_YIELD: usize = 32;

#[derive(Debug)]
pub(crate) struct Feed {
    directory: PathBuf,
    checkpoints: Checkpoints,
    reader: TrailReader,
    signed: Option<(TrailName, SignedCheckpoint)>,
    /// The checkpoint up to which lines are shipped before a newer one is chosen. A destination that is far
    /// behind, or never catches up, thus still receives checkpoints that cover all lines it holds.
    target: Option<CoveringCheckpoint>,
}

impl Feed {
    /// With a policy, only lines that its witnesses cosigned are read.
    pub(crate) fn new(directory: &Path, policy: Option<Policy>) -> Self {
        Self {
            directory: directory.to_path_buf(),
            checkpoints: Checkpoints::new(directory, policy),
            reader: TrailReader::new(directory, 0),
            signed: None,
            target: None,
        }
    }

    /// Returns the next boundary's checkpoint, or the latest checkpoint if there is no boundary before it.
    /// `None` if no lines beyond the current position are signed.
    fn target(&mut self) -> Result<Option<CoveringCheckpoint>> {
        let position = self.reader.next_seq();
        let Some((_, latest)) = self.signed.as_ref().filter(|(_, latest)| latest.size() > position) else {
            return Ok(None);
        };
        if let Some(target) = self.target.as_ref().filter(|target| target.signed.size() > position) {
            return Ok(Some(target.clone()));
        }
        self.checkpoints.compare(position, latest)?;
        let boundary = self.checkpoints.next_boundary(position, latest.size())?;
        let target = match boundary.filter(|boundary| boundary.origin() == latest.origin()) {
            Some(signed) => CoveringCheckpoint { signed, is_boundary: true },
            None => CoveringCheckpoint { signed: latest.clone(), is_boundary: false },
        };
        self.target = Some(target.clone());
        Ok(Some(target))
    }
}

impl Source for Feed {
    /// Also fails if the directory now contains another trail.
    async fn refresh(&mut self) -> Result<Option<(TrailName, u64)>> {
        let known = self.signed.as_ref().map(|(_, checkpoint)| checkpoint);
        if let Some(checkpoint) = self.checkpoints.latest(known)? {
            let trail = name_of(&checkpoint)?;
            if self.signed.as_ref().is_some_and(|(known, _)| known.id != trail.id) {
                let directory = self.directory.display();
                return Err(Error::new(format!("{directory} now contains another trail, {}", trail.id)));
            }
            self.signed = Some((trail, checkpoint));
        }
        Ok(self.signed.as_ref().map(|(trail, checkpoint)| (trail.clone(), checkpoint.size())))
    }

    fn seek(&mut self, next: u64) {
        self.reader.restart(next);
        self.target = None;
    }

    async fn read(&mut self, max_lines: usize, max_bytes: usize) -> Result<Option<Lines>> {
        let Some(target) = self.target()? else { return Ok(None) };
        let (end, mut lines, mut bytes) = (target.signed.size(), Vec::new(), 0);
        while self.reader.next_seq() < end && lines.len() < max_lines && bytes < max_bytes {
            if lines.len() % LINES_PER_YIELD == LINES_PER_YIELD - 1 {
                tokio::task::yield_now().await;
            }
            let Some((seq, line)) = self.reader.next_line().map_err(Error::new)? else { break };
            let (Some(leaf), Ok(text)) = (leaf_of(line), std::str::from_utf8(line)) else {
                return Err(Error::new(format!("line {seq} is damaged; run `auditx verify` for details")));
            };
            bytes += text.len();
            lines.push(ShippedLine { seq, leaf_hash: leaf.hash, line: text.to_owned() });
        }
        Ok((!lines.is_empty()).then_some(Lines { lines, checkpoint: Some(target) }))
    }

    fn backlog(&self, next: u64, end: u64) -> Result<Option<Backlog>> {
        trail_backlog(&self.directory, next, end).map(Some)
    }

    async fn leaf(&mut self, seq: u64) -> Result<Option<Hash>> {
        if self.signed.as_ref().is_none_or(|(_, checkpoint)| seq >= checkpoint.size()) {
            return Ok(None);
        }
        stored_leaf(&self.directory, seq)
    }
}

/// Returns the size and age of a trail's lines from `next` up to but not including `end`.
///
/// # Errors
/// If the trail cannot be read.
pub fn trail_backlog(trail: &Path, next: u64, end: u64) -> Result<Backlog> {
    if next >= end {
        return Ok(Backlog::default());
    }
    let bytes_from = |seq| auditx_store::bytes_from(trail, seq).map_err(Error::new);
    let bytes = bytes_from(next)?.saturating_sub(bytes_from(end)?);
    let mut reader = TrailReader::new(trail, next);
    let first = reader.next_line().map_err(Error::new)?;
    let oldest = first.and_then(|(_, line)| recorded_at(std::str::from_utf8(line).ok()?));
    Ok(Backlog { bytes, oldest })
}

/// Returns the timestamp of a line.
pub(crate) fn recorded_at(line: &str) -> Option<SystemTime> {
    let moment = Moment::parse(&Row::read_text(line).ok()?.text(Field::Timestamp))?;
    Some(SystemTime::UNIX_EPOCH + Duration::from_micros(u64::try_from(moment.micros()).ok()?))
}

/// Returns the leaf hash of a line, from the line itself or, if it is retired, from the tile cache. `None` if
/// neither is present.
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

/// Returns the trail of a checkpoint.
pub(crate) fn name_of(checkpoint: &SignedCheckpoint) -> Result<TrailName> {
    let origin = checkpoint.origin().to_owned();
    Ok(TrailName { id: origin.rsplit('/').next().unwrap_or_default().parse()?, origin })
}
