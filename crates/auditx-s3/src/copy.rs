//! Reads the trails in a bucket, to restore and verify them.

use std::fmt;

use auditx_ship::{ShippedLine, StoredCopy, StoredTrail, TrailId};
use auditx_tlog::{SignedCheckpoint, leaf_of, parse_seq};

use crate::address::Address;
use crate::error::{Error, Result};
use crate::manifest::{LINES, MANIFEST, Manifest};
use crate::store::Store;

/// Reads copies of trails from a bucket. It holds one segment at a time in memory.
pub struct S3Copy {
    store: Store,
    /// The trail being read and the names of its segments, in order.
    segments: Option<(TrailId, Vec<String>)>,
}

impl fmt::Debug for S3Copy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Copy").finish_non_exhaustive()
    }
}

impl S3Copy {
    /// Creates a reader. The address is that of [`S3::new`](crate::S3::new). Does not connect yet.
    ///
    /// # Errors
    /// As [`S3::new`](crate::S3::new).
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
        // A checkpoint that also covers lines which are not archived yet cannot be checked.
        let mut boundaries: Vec<SignedCheckpoint> =
            manifests.iter().filter_map(Manifest::checkpoint).collect();
        boundaries.retain(|checkpoint| checkpoint.size() <= next);
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

    /// Returns the lines from `from` on of the first segment that contains such lines.
    async fn page(&mut self, trail: TrailId, from: u64) -> Result<Vec<ShippedLine>> {
        let names = self.segments(trail).await?;
        let Some(name) = names.iter().find(|name| last_of(name).is_none_or(|last| last >= from)) else {
            return Ok(Vec::new());
        };
        let unpacked = zstd::decode_all(&self.store.get(name).await?[..]).map_err(|error| {
            Error::refused(format!("{name} cannot be decompressed, so it was altered: {error}"))
        })?;
        let text = unpacked.strip_suffix(b"\n").unwrap_or(&unpacked);
        let mut next = first_of(name).unwrap_or(from);
        let mut lines = Vec::new();
        for line in text.split(|byte| *byte == b'\n') {
            // If a line has no sequence number, it is counted from the segment's name.
            let seq = parse_seq(line).unwrap_or(next);
            next = seq + 1;
            let leaf_hash = leaf_of(line).map(|leaf| leaf.hash).unwrap_or_default();
            lines.push(ShippedLine { seq, leaf_hash, line: String::from_utf8_lossy(line).into_owned() });
        }
        lines.retain(|line| line.seq >= from);
        if lines.is_empty() {
            return Err(Error::refused(format!("{name} does not contain the lines in its name")));
        }
        Ok(lines)
    }
}

/// Parses the range of lines in a name, `<trail>/<first>-<last>-<sha256>.jsonl.zst`.
fn range_of(name: &str) -> Option<(u64, u64)> {
    let mut parts = name.rsplit('/').next()?.split('-');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn first_of(name: &str) -> Option<u64> {
    range_of(name).map(|(first, _)| first)
}

fn last_of(name: &str) -> Option<u64> {
    range_of(name).map(|(_, last)| last)
}

impl StoredCopy for S3Copy {
    async fn trails(&mut self) -> auditx_ship::Result<Vec<StoredTrail>> {
        Ok(self.all().await?)
    }

    async fn lines(&mut self, trail: TrailId, from: u64) -> auditx_ship::Result<Vec<ShippedLine>> {
        Ok(self.page(trail, from).await?)
    }
}
