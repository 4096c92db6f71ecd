//! Retires sealed segments that are no longer kept: first a signed record of it, then the deletion.

use std::time::SystemTime;

use auditx_format::control_record::ControlRecord;
use auditx_format::{Error, Result};
use auditx_tlog::{CompactRange, NodeIndex};

use super::{Housekeeping, Indexed};
use crate::config::{Retention, SHIPPER_PREFIX};
use crate::control;
use crate::dir::{Access, Dir};
use crate::follow::cursor;
use crate::kill_point::kill_point;
use crate::segment::{SealedSegment, index};
use crate::tiles::Tiles;

/// The outcome of retiring segments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retired {
    /// The names of the segments that were removed, oldest first.
    pub segments: Vec<String>,
    /// The follower that has not read the next segment yet, which is why it stays.
    pub held_by: Option<String>,
}

/// Which followers must have read a segment before it is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readers {
    /// The hooks of this logger, and shippers.
    Required,
    /// Every owner of a cursor in the trail.
    All,
}

impl Housekeeping {
    /// Removes what `retention` no longer keeps. The record is durable and signed before the file is removed:
    /// no segment is ever missing without a record.
    pub(super) fn retire_for(
        &self,
        retention: Retention,
        readers: Readers,
        indexed: &mut Indexed,
    ) -> Result<Retired> {
        let mut retired = Retired::default();
        let segments = self.signed_segments()?;
        for (index, (segment, end)) in segments.iter().enumerate() {
            let Some(why) =
                reason_to_retire(&self.trail.directory, retention, segment, segments.len() - index)?
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
            control::store(&self.trail.directory, &*self.trail.storage, seq)?;
            // Removed first: no program would look for it without its segment.
            indexed.forget(segment);
            index::remove(&self.trail.directory, segment.first_seq)?;
            kill_point("retire: index removed");
            self.trail.registry.remove(segment.first_seq);
            self.trail
                .directory
                .remove(&name)
                .and_then(|()| self.trail.directory.sync(""))
                .map_err(|error| Error::storage("cannot remove a retired segment", &segment.path, error))?;
            self.trail.counters.retired.add(1);
            retired.segments.push(name);
        }
        Ok(retired)
    }

    /// Returns the first follower that has not passed this line.
    fn held_by(&self, end: u64, readers: Readers) -> Result<Option<String>> {
        if let Some(follower) = self.followers.iter().find(|follower| !follower.has_passed(end)) {
            return Ok(Some(follower.name().to_owned()));
        }
        let is_ours = |name: &str| match readers {
            Readers::Required => !name.starts_with(SHIPPER_PREFIX),
            Readers::All => self.followers.iter().any(|follower| follower.name() == name),
        };
        let saved = cursor::saved_positions(&self.trail.directory)?;
        Ok(saved.into_iter().find(|(name, position)| *position < end && !is_ours(name)).map(|(name, _)| name))
    }

    /// Returns the hashes that represent the lines up to `end` once these are removed: from the tile cache,
    /// and checked against the signed checkpoint.
    fn frontier(&self, end: u64) -> Result<CompactRange> {
        let differs = || {
            Error::corrupt(format!(
                "the tree up to line {end} is not the one that was signed, so nothing is retired; \
                 run `auditx verify`"
            ))
        };
        let tiles = Tiles::open(&self.trail.directory);
        let frontier = tiles.frontier(end).ok_or_else(differs)?;
        let (Some(root), Some(latest)) = (frontier.root(), self.checkpoint_signer.latest()) else {
            return Err(differs());
        };
        let mut nodes = |wanted: &[NodeIndex]| {
            wanted.iter().map(|(level, index)| tiles.node(*level, *index).ok_or_else(differs)).collect()
        };
        let path = auditx_tlog::prove_consistency(end, latest.size(), &mut nodes)?;
        let is_prefix = auditx_tlog::is_consistent(&path, (end, &root), (latest.size(), latest.root()));
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
