//! Replaces `destination.rs` if the feature `ship` is off.
//!
//! [`Engine`] has no values: every option that takes one fails when it is parsed.

use std::convert::Infallible;
use std::path::Path;
use std::str::FromStr;

use auditx_ship::{DestinationId, Settings, ShippedLine, Shipper, StoredCopy, StoredTrail, TrailId};

use crate::failure::Failure;

/// Cannot be constructed.
#[derive(Debug, Clone)]
pub(crate) struct Engine(Infallible);

/// The copies of trails in a destination, for reading.
pub(crate) enum Copy {}

impl FromStr for Engine {
    type Err = String;

    fn from_str(_: &str) -> Result<Self, String> {
        Err("this auditx was built without destinations: install it with \
             `cargo install auditx-cli --features ship`"
            .to_owned())
    }
}

impl Engine {
    pub(crate) fn never(&self) -> ! {
        match self.0 {}
    }

    pub(crate) fn id(&self) -> Result<DestinationId, Failure> {
        match self.0 {}
    }

    pub(crate) fn spawn(&self, _: &Path, _: Settings) -> Result<Shipper, Failure> {
        match self.0 {}
    }

    pub(crate) fn relay(&self, _: &Self, _: TrailId, _: &Path, _: Settings) -> Result<Shipper, Failure> {
        match self.0 {}
    }

    pub(crate) fn init(&self) -> Result<Vec<String>, Failure> {
        match self.0 {}
    }

    pub(crate) async fn copy(&self) -> Result<Copy, Failure> {
        match self.0 {}
    }
}

impl StoredCopy for Copy {
    async fn trails(&mut self) -> auditx_ship::Result<Vec<StoredTrail>> {
        match *self {}
    }

    async fn lines(&mut self, _: TrailId, _: u64) -> auditx_ship::Result<Vec<ShippedLine>> {
        match *self {}
    }
}
