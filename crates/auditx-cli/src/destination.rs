//! Destinations of shipping: a URL whose scheme selects PostgreSQL, NATS or S3.

use std::path::Path;
use std::str::FromStr;

use auditx_nats::{Nats, NatsCopy, NatsSource};
use auditx_postgres::{Postgres, PostgresCopy};
use auditx_s3::{S3, S3Copy};
use auditx_ship::{
    Archive as _, Destination as _, DestinationId, Settings, ShippedLine, Shipper, StoredCopy, StoredTrail,
    TrailId,
};

use crate::failure::Failure;
use crate::runtime::wait_for;
use crate::terminal::sanitized;

/// The URL of a destination.
#[derive(Debug, Clone)]
pub(crate) enum Engine {
    Postgres(String),
    Nats(String),
    S3(String),
}

/// The copies of trails in a destination, for reading.
pub(crate) enum Copy {
    Postgres(PostgresCopy),
    Nats(Box<NatsCopy>),
    S3(S3Copy),
}

impl FromStr for Engine {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, String> {
        // The URL may contain a password, so error messages must not quote it.
        match url.split_once("://").map(|(scheme, _)| scheme) {
            Some("postgres" | "postgresql") => Ok(Self::Postgres(url.to_owned())),
            Some("nats" | "tls") => Ok(Self::Nats(url.to_owned())),
            Some("s3") => Ok(Self::S3(url.to_owned())),
            Some(scheme) => {
                Err(format!("unsupported scheme {scheme}://: expected postgres://, nats:// or s3://"))
            }
            None => Err("expected a URL, such as postgres://user@host/database or nats://host".to_owned()),
        }
    }
}

impl Engine {
    /// Returns the name that is used for the cursor, the metrics and the parked lines.
    pub(crate) fn id(&self) -> Result<DestinationId, Failure> {
        Ok(match self {
            Self::Postgres(url) => postgres(url)?.id().clone(),
            Self::Nats(url) => nats(url)?.id().clone(),
            Self::S3(url) => s3(url)?.id().clone(),
        })
    }

    /// Starts to ship a trail of this machine.
    pub(crate) fn spawn(&self, trail: &Path, settings: Settings) -> Result<Shipper, Failure> {
        Ok(match self {
            Self::Postgres(url) => Shipper::spawn(trail, postgres(url)?, settings)?,
            Self::Nats(url) => Shipper::spawn(trail, nats(url)?, settings)?,
            Self::S3(url) => Shipper::spawn_archive(trail, s3(url)?, settings)?,
        })
    }

    /// Starts to ship a trail from the stream `from`.
    pub(crate) fn relay(
        &self,
        from: &Self,
        trail: TrailId,
        directory: &Path,
        settings: Settings,
    ) -> Result<Shipper, Failure> {
        let Self::Nats(stream) = from else {
            return Err(Failure::new(
                "--from requires a stream (nats://…); use --dir to ship a trail of this machine",
            ));
        };
        let source = NatsSource::new(stream, trail).map_err(|error| failure(&error))?;
        Ok(match self {
            Self::Postgres(url) => Shipper::relay(source, directory, postgres(url)?, settings)?,
            Self::Nats(url) => Shipper::relay(source, directory, nats(url)?, settings)?,
            Self::S3(_) => {
                return Err(Failure::new(
                    "a bucket stores sealed segments of a trail (--dir), not the lines of a stream",
                ));
            }
        })
    }

    /// Creates what shipping needs in the destination, and returns messages about what was done.
    pub(crate) fn init(&self) -> Result<Vec<String>, Failure> {
        match self {
            Self::Postgres(url) => {
                let before = wait_for(auditx_postgres::init(url))?.map_err(|error| failure(&error))?;
                let version = auditx_postgres::VERSION;
                Ok(vec![match before {
                    0 => format!("Created the schema auditx, version {version}."),
                    _ if before == version => {
                        format!("The schema auditx already exists, version {version}.")
                    }
                    _ => format!("Upgraded the schema auditx from version {before} to {version}."),
                }])
            }
            Self::Nats(url) => wait_for(auditx_nats::init(url))?.map_err(|error| failure(&error)),
            Self::S3(url) => wait_for(auditx_s3::check(url))?.map_err(|error| failure(&error)),
        }
    }

    /// Opens the copies in the destination for reading.
    ///
    /// # Errors
    /// Fails if the destination cannot be reached, or does not answer within the time that a shipper waits.
    pub(crate) async fn copy(&self) -> Result<Copy, Failure> {
        let timeout = Settings::default().timeout;
        let timed_out = |_| Err(Failure::new(format!("no answer within {timeout:?}")));
        tokio::time::timeout(timeout, self.open()).await.unwrap_or_else(timed_out)
    }

    async fn open(&self) -> Result<Copy, Failure> {
        Ok(match self {
            Self::S3(url) => Copy::S3(S3Copy::open(url).map_err(|error| failure(&error))?),
            Self::Postgres(url) => {
                Copy::Postgres(PostgresCopy::open(url).await.map_err(|error| failure(&error))?)
            }
            Self::Nats(url) => {
                Copy::Nats(Box::new(NatsCopy::open(url).await.map_err(|error| failure(&error))?))
            }
        })
    }
}

impl StoredCopy for Copy {
    async fn trails(&mut self) -> auditx_ship::Result<Vec<StoredTrail>> {
        match self {
            Self::Postgres(copy) => copy.trails().await,
            Self::Nats(copy) => copy.trails().await,
            Self::S3(copy) => copy.trails().await,
        }
    }

    async fn lines(&mut self, trail: TrailId, from: u64) -> auditx_ship::Result<Vec<ShippedLine>> {
        match self {
            Self::Postgres(copy) => copy.lines(trail, from).await,
            Self::Nats(copy) => copy.lines(trail, from).await,
            Self::S3(copy) => copy.lines(trail, from).await,
        }
    }
}

fn postgres(url: &str) -> Result<Postgres, Failure> {
    Postgres::new(url).map_err(|error| failure(&error))
}

fn nats(url: &str) -> Result<Nats, Failure> {
    Nats::new(url).map_err(|error| failure(&error))
}

fn s3(url: &str) -> Result<S3, Failure> {
    S3::new(url).map_err(|error| failure(&error))
}

fn failure(error: &impl std::fmt::Display) -> Failure {
    Failure::new(sanitized(&error.to_string()))
}
