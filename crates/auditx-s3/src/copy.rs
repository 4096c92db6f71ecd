//! What a bucket holds, read back for whoever doubts it.

use std::fmt;

use auditx_core::{SignedCheckpoint, leaf_of, parse_seq};
use auditx_ship::{Shipped, StoredCopy, StoredTrail, TrailId};

use crate::address::Address;
use crate::error::{Error, Result};
use crate::manifest::{LINES, MANIFEST, Manifest};
use crate::store::Store;

/// Reads archives. A segment is held in memory while its lines are given.
pub struct S3Copy {
    store: Store,
    /// The names of segments that are read, in order.
    segments: Option<(TrailId, Vec<String>)>,
}

impl fmt::Debug for S3Copy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Copy").finish_non_exhaustive()
    }
}

impl S3Copy {
    /// Takes what [`S3::new`](crate::S3::new) takes. Connects to nothing yet.
    ///
    /// # Errors
    /// As for that.
    pub fn open(url: &str) -> Result<Self> {
        Ok(Self { store: Store::of(&Address::parse(url)?)?, segments: None })
    }

    async fn trail_of(&self, trail: TrailId) -> Result<Option<StoredTrail>> {
        let folder = trail.to_string();
        let mut manifests = Vec::new();
        for name in self.store.list(&folder, &folder).await?.iter().filter(|name| name.ends_with(MANIFEST)) {
            manifests.push(Manifest::parse(&self.store.get(name).await?)?);
        }
        let (Some(first), Some(last)) = (manifests.first(), manifests.last()) else { return Ok(None) };
        let next = last.last + 1;
        // One that speaks of lines that are not archived yet proves nothing of those that are.
        let mut boundaries: Vec<SignedCheckpoint> =
            manifests.iter().filter_map(Manifest::checkpoint).collect();
        boundaries.retain(|note| note.size() <= next);
        boundaries.sort_by_key(SignedCheckpoint::size);
        Ok(Some(StoredTrail {
            trail,
            origin: last.origin.clone(),
            first: first.first,
            next,
            checkpoint: boundaries.last().cloned(),
            boundaries,
        }))
    }

    async fn all(&mut self) -> Result<Vec<StoredTrail>> {
        let mut trails = Vec::new();
        for folder in self.store.folders().await? {
            if let Ok(trail) = folder.parse::<TrailId>() {
                trails.extend(self.trail_of(trail).await?);
            }
        }
        Ok(trails)
    }

    async fn segments(&mut self, trail: TrailId) -> Result<Vec<String>> {
        if let Some((_, segments)) = self.segments.as_ref().filter(|(known, _)| *known == trail) {
            return Ok(segments.clone());
        }
        let folder = trail.to_string();
        let mut names = self.store.list(&folder, &folder).await?;
        names.retain(|name| name.ends_with(LINES));
        self.segments = Some((trail, names.clone()));
        Ok(names)
    }

    /// The lines of the first segment that has one from there on.
    async fn page(&mut self, trail: TrailId, from: u64) -> Result<Vec<Shipped>> {
        let names = self.segments(trail).await?;
        let Some(name) = names.iter().find(|name| last_of(name).is_none_or(|last| last >= from)) else {
            return Ok(Vec::new());
        };
        let unpacked = zstd::decode_all(&self.store.get(name).await?[..])
            .map_err(|error| Error::said(format!("{name} cannot be unpacked, so it was altered: {error}")))?;
        let text = unpacked.strip_suffix(b"\n").unwrap_or(&unpacked);
        let mut next = first_of(name).unwrap_or(from);
        let mut lines = Vec::new();
        for line in text.split(|byte| *byte == b'\n') {
            // What its name says, where the line itself says nothing.
            let seq = parse_seq(line).unwrap_or(next);
            next = seq + 1;
            let leaf_hash = leaf_of(line).map(|leaf| leaf.hash).unwrap_or_default();
            lines.push(Shipped { seq, leaf_hash, line: String::from_utf8_lossy(line).into_owned() });
        }
        lines.retain(|line| line.seq >= from);
        if lines.is_empty() {
            return Err(Error::said(format!("{name} does not hold the lines that it is named by")));
        }
        Ok(lines)
    }
}

/// `<trail>/<first>-<last>-<sha256>.jsonl.zst`
fn numbers_of(name: &str) -> Option<(u64, u64)> {
    let mut parts = name.rsplit('/').next()?.split('-');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn first_of(name: &str) -> Option<u64> {
    numbers_of(name).map(|(first, _)| first)
}

fn last_of(name: &str) -> Option<u64> {
    numbers_of(name).map(|(_, last)| last)
}

impl StoredCopy for S3Copy {
    async fn trails(&mut self) -> auditx_ship::Result<Vec<StoredTrail>> {
        Ok(self.all().await?)
    }

    async fn lines(&mut self, trail: TrailId, from: u64) -> auditx_ship::Result<Vec<Shipped>> {
        Ok(self.page(trail, from).await?)
    }
}
