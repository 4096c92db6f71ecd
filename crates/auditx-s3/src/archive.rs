//! A bucket as an archive of segments.

use std::fmt;

use auditx_ship::{Archive, DestinationId, PackedSegment, Position, ShipError, TrailName};

use crate::address::Address;
use crate::error::Result;
use crate::manifest::{LINES, MANIFEST, Manifest, digest, stem};
use crate::store::{Put, Store};

/// A bucket as an archive. It connects when needed.
pub struct S3 {
    store: Store,
    id: DestinationId,
    /// The newest known manifest; only later names are listed.
    newest: Option<String>,
}

impl fmt::Debug for S3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3").field("id", &self.id.as_str()).finish_non_exhaustive()
    }
}

impl S3 {
    /// Creates an archive from `s3://[key:secret@]bucket[/prefix][?region=R&endpoint=URL]`; other settings
    /// are taken from the environment. Does not connect yet.
    ///
    /// # Errors
    /// If the address or a setting in the environment is invalid.
    pub fn new(url: &str) -> Result<Self> {
        let address = Address::parse(url)?;
        let id = DestinationId::new(&format!("s3-{}-{}", address.bucket, address.prefix));
        Ok(Self { store: Store::of(&address)?, id, newest: None })
    }

    async fn newest(&mut self, trail: &TrailName) -> Result<Option<Position>> {
        let folder = trail.id.to_string();
        let known = self.newest.clone().filter(|name| name.starts_with(&folder));
        let names = self.store.list(&folder, known.as_deref().unwrap_or(&folder)).await?;
        let newest = names.into_iter().rfind(|name| name.ends_with(MANIFEST)).or(known);
        let Some(newest) = newest else { return Ok(None) };
        let manifest = Manifest::parse(&self.store.get(&newest).await?)?;
        self.newest = Some(newest);
        manifest.last().map(Some)
    }
}

/// Checks whether the bucket can be reached. It creates nothing: the owner creates the bucket and its lock.
/// Returns messages for the user.
///
/// # Errors
/// If the bucket cannot be reached or refuses.
pub async fn check(url: &str) -> Result<Vec<String>> {
    let address = Address::parse(url)?;
    let trails = Store::of(&address)?.folders().await?.len();
    Ok(vec![
        format!("Bucket {} can be reached and contains {trails} trails.", address.bucket),
        "Note: this program cannot see whether the bucket has Object Lock and a retention rule; check with \
         `aws s3api get-object-lock-configuration`."
            .to_owned(),
    ])
}

impl Archive for S3 {
    fn id(&self) -> &DestinationId {
        &self.id
    }

    async fn last(&mut self, trail: &TrailName) -> Result<Option<Position>, ShipError> {
        Ok(self.newest(trail).await?)
    }

    async fn store(&mut self, segment: &PackedSegment) -> Result<(), ShipError> {
        let stem = stem(segment);
        let mut manifest = Manifest::of(segment);
        let lines = format!("{stem}{LINES}");
        if self.store.put(&lines, segment.packed.clone()).await? == Put::Exists {
            let stored = self.store.get(&lines).await?;
            let unpacked = zstd::decode_all(&stored[..]).map_err(crate::Error::from)?;
            if digest(&unpacked) != manifest.sha256 {
                return Err(ShipError::Diverged { at: segment.first });
            }
            manifest.packed_sha256 = digest(&stored);
        }
        let name = format!("{stem}{MANIFEST}");
        if self.store.put(&name, manifest.bytes()?).await? == Put::Exists {
            let stored = Manifest::parse(&self.store.get(&name).await?)?;
            if (&stored.sha256, stored.last) != (&manifest.sha256, manifest.last) {
                return Err(ShipError::Diverged { at: segment.first });
            }
        }
        self.newest = Some(name);
        Ok(())
    }
}
