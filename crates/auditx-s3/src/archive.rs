//! A bucket as an archive.

use std::fmt;

use auditx_ship::{Archive, DestinationId, PackedSegment, Position, ShipError, TrailName};

use crate::address::Address;
use crate::error::Result;
use crate::manifest::{LINES, MANIFEST, Manifest, digest, stem};
use crate::store::{Put, Store};

/// A bucket, reached when it is needed.
pub struct S3 {
    store: Store,
    id: DestinationId,
    /// The newest manifest that is known, behind which more are looked for.
    newest: Option<String>,
}

impl fmt::Debug for S3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3").field("id", &self.id.as_str()).finish_non_exhaustive()
    }
}

impl S3 {
    /// Takes `s3://[key:secret@]bucket[/prefix][?region=R&endpoint=URL]`; what else is needed comes out of the environment. Connects to nothing yet.
    ///
    /// # Errors
    /// Where the text is no address, or the environment holds what cannot be used.
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

/// Looks whether the bucket can be reached. It makes nothing: a bucket and its lock are made by whoever owns them. Gives what is to be said.
///
/// # Errors
/// Where it cannot be reached, or refuses.
pub async fn check(url: &str) -> Result<Vec<String>> {
    let address = Address::parse(url)?;
    let trails = Store::of(&address)?.folders().await?.len();
    Ok(vec![
        format!("The bucket {} can be reached; it holds {trails} trails.", address.bucket),
        "Look: whether it has Object Lock and a rule for how long, this program cannot see: \
         `aws s3api get-object-lock-configuration` says it."
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

    async fn keep(&mut self, segment: &PackedSegment) -> Result<(), ShipError> {
        let stem = stem(segment);
        let mut manifest = Manifest::of(segment);
        let lines = format!("{stem}{LINES}");
        if self.store.put(&lines, segment.packed.clone()).await? == Put::IsThere {
            let there = self.store.get(&lines).await?;
            let unpacked = zstd::decode_all(&there[..]).map_err(crate::Error::from)?;
            if digest(&unpacked) != manifest.sha256 {
                return Err(ShipError::Diverged { at: segment.first });
            }
            manifest.packed_sha256 = digest(&there);
        }
        let name = format!("{stem}{MANIFEST}");
        if self.store.put(&name, manifest.bytes()?).await? == Put::IsThere {
            let there = Manifest::parse(&self.store.get(&name).await?)?;
            if (&there.sha256, there.last) != (&manifest.sha256, manifest.last) {
                return Err(ShipError::Diverged { at: segment.first });
            }
        }
        self.newest = Some(name);
        Ok(())
    }
}
