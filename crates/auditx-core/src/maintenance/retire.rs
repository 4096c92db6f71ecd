//! Sealed segments that are no longer kept: first the record of it, signed, then the deletion.

use std::time::SystemTime;

use super::{Housekeeping, Indexed};
use crate::c2sp::{self, NodeIndex};
use crate::config::Retention;
use crate::control;
use crate::control_record::ControlRecord;
use crate::dir::{Access, Dir};
use crate::error::{Error, Result};
use crate::follow::cursor;
use crate::kill_point::kill_point;
use crate::segment::{SealedSegment, index};
use crate::tiles::Tiles;
use crate::tree::CompactRange;

/// What a call to retire segments did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retired {
    /// The names of the segments that were removed, oldest first.
    pub segments: Vec<String>,
    /// The follower that has not read the next one yet, so that it stays.
    pub held_by: Option<String>,
}

/// Who must have read a segment before it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readers {
    /// The hooks of this logger, and those who ship the trail elsewhere.
    Ours,
    /// Everybody who keeps a cursor in the trail.
    Everybody,
}

impl Housekeeping {
    /// Removes what `retention` no longer keeps. The record is durable and signed before the file goes: a segment is never
    /// missing without a word.
    pub(super) fn retire_for(
        &self,
        retention: Retention,
        readers: Readers,
        indexed: &mut Indexed,
    ) -> Result<Retired> {
        let mut retired = Retired::default();
        let segments = self.signed_segments()?;
        for (place, (segment, end)) in segments.iter().enumerate() {
            let Some(why) = reason_to_retire(&self.directory, retention, segment, segments.len() - place)?
            else {
                break;
            };
            let end = *end;
            retired.held_by = self.held_by(end, readers)?;
            if retired.held_by.is_some() {
                break;
            }
            let name = segment.name();
            let seq = self.appender.push_signed(&ControlRecord::Retired {
                segment: name.clone(),
                first_seq: segment.first_seq,
                frontier: self.frontier(end)?,
                why,
            })?;
            control::keep(&self.directory, &*self.storage, seq)?;
            // First, since nobody would look for it without its segment.
            indexed.forget(segment);
            index::remove(&self.directory, segment.first_seq)?;
            kill_point("retire: index removed");
            self.registry.remove(segment.first_seq);
            self.directory
                .remove(&name)
                .and_then(|()| self.directory.sync(""))
                .map_err(|error| Error::storage("cannot remove a retired segment", &segment.path, error))?;
            self.counters.retired.add(1);
            retired.segments.push(name);
        }
        Ok(retired)
    }

    /// The first follower that has not passed this line.
    fn held_by(&self, end: u64, readers: Readers) -> Result<Option<String>> {
        if let Some(follower) = self.followers.iter().find(|follower| !follower.has_passed(end)) {
            return Ok(Some(follower.name().to_owned()));
        }
        let is_ours = |name: &str| match readers {
            Readers::Ours => !name.starts_with(cursor::SHIPPER_PREFIX),
            Readers::Everybody => self.followers.iter().any(|follower| follower.name() == name),
        };
        let saved = cursor::saved_positions(&self.directory)?;
        Ok(saved.into_iter().find(|(name, position)| *position < end && !is_ours(name)).map(|(name, _)| name))
    }

    /// The hashes that stand for the lines up to here once these are gone: from the cache, and held against what was signed.
    fn frontier(&self, end: u64) -> Result<CompactRange> {
        let differs = || {
            Error::corrupt(format!(
                "the tree up to line {end} is not the one that was signed: nothing is retired"
            ))
        };
        let tiles = Tiles::open(&self.directory);
        let frontier = tiles.frontier(end).ok_or_else(differs)?;
        let (Some(root), Some(latest)) = (frontier.root(), self.checkpoint_signer.latest()) else {
            return Err(differs());
        };
        let mut nodes = |wanted: &[NodeIndex]| {
            wanted.iter().map(|(level, place)| tiles.node(*level, *place).ok_or_else(differs)).collect()
        };
        let path = c2sp::prove_consistency(end, latest.size(), &mut nodes)?;
        let is_prefix = c2sp::is_consistent(&path, (end, &root), (latest.size(), latest.root()));
        if is_prefix { Ok(frontier) } else { Err(differs()) }
    }
}

fn reason_to_retire(
    directory: &Dir,
    retention: Retention,
    segment: &SealedSegment,
    remaining: usize,
) -> Result<Option<String>> {
    match retention {
        Retention::KeepEverything => Ok(None),
        Retention::BackupCount(count) => {
            Ok((remaining > count).then(|| format!("more than {count} sealed segments")))
        }
        Retention::RetainFor(age) => {
            let sealed = directory
                .open(segment.name(), Access::READ)
                .and_then(|file| file.metadata()?.modified())
                .map_err(|error| Error::storage("cannot examine a sealed segment", &segment.path, error))?;
            let is_old = SystemTime::now().duration_since(sealed).is_ok_and(|since| since > age);
            Ok(is_old.then(|| format!("sealed longer than {} ago", humantime::format_duration(age))))
        }
    }
}
