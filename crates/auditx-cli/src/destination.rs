//! Where trails are shipped to: a URL, whose scheme says which engine it is.

use std::path::Path;
use std::str::FromStr;

use auditx_nats::{Nats, NatsCopy, NatsSource};
use auditx_postgres::{Postgres, PostgresCopy};
use auditx_s3::{S3, S3Copy};
use auditx_ship::{
    Archive as _, Destination as _, DestinationId, Settings, Shipped, Shipper, StoredCopy, StoredTrail,
    TrailId,
};

use crate::failure::Failure;
use crate::terminal::harmless;

/// An engine and where it is.
#[derive(Debug, Clone)]
pub(crate) enum Engine {
    Postgres(String),
    Nats(String),
    S3(String),
}

/// What an engine holds.
pub(crate) enum Copy {
    Postgres(PostgresCopy),
    Nats(Box<NatsCopy>),
    S3(S3Copy),
}

impl FromStr for Engine {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, String> {
        // The URL may hold a password: what is wrong is said without it.
        match url.split_once("://").map(|(scheme, _)| scheme) {
            Some("postgres" | "postgresql") => Ok(Self::Postgres(url.to_owned())),
            Some("nats" | "tls") => Ok(Self::Nats(url.to_owned())),
            Some("s3") => Ok(Self::S3(url.to_owned())),
            Some(scheme) => Err(format!(
                "{scheme}:// is no engine that trails are shipped to: postgres://, nats:// or s3://"
            )),
            None => Err("a URL is needed, such as postgres://user@host/database or nats://host".to_owned()),
        }
    }
}

impl Engine {
    /// The name that its cursor, its metrics and its parked lines have.
    pub(crate) fn id(&self) -> Result<DestinationId, Failure> {
        Ok(match self {
            Self::Postgres(url) => postgres(url)?.id().clone(),
            Self::Nats(url) => nats(url)?.id().clone(),
            Self::S3(url) => s3(url)?.id().clone(),
        })
    }

    /// Ships a trail of this machine there.
    pub(crate) fn spawn(&self, trail: &Path, settings: Settings) -> Result<Shipper, Failure> {
        Ok(match self {
            Self::Postgres(url) => Shipper::spawn(trail, postgres(url)?, settings)?,
            Self::Nats(url) => Shipper::spawn(trail, nats(url)?, settings)?,
            Self::S3(url) => Shipper::spawn_archive(trail, s3(url)?, settings)?,
        })
    }

    /// Ships a trail there that `from` holds.
    pub(crate) fn relay(
        &self,
        from: &Self,
        trail: TrailId,
        directory: &Path,
        settings: Settings,
    ) -> Result<Shipper, Failure> {
        let Self::Nats(stream) = from else {
            return Err(Failure::said(
                "lines are taken from a trail (--dir) or from a stream (--from nats://…)",
            ));
        };
        let source = NatsSource::new(stream, trail).map_err(|error| said(&error))?;
        Ok(match self {
            Self::Postgres(url) => Shipper::relay(source, directory, postgres(url)?, settings)?,
            Self::Nats(url) => Shipper::relay(source, directory, nats(url)?, settings)?,
            Self::S3(_) => {
                return Err(Failure::said(
                    "a bucket takes the sealed segments of a trail (--dir), and no stream",
                ));
            }
        })
    }

    /// Makes there what shipping needs; says what was done.
    pub(crate) fn init(&self) -> Result<Vec<String>, Failure> {
        match self {
            Self::Postgres(url) => {
                let before = wait_for(auditx_postgres::init(url))?.map_err(|error| said(&error))?;
                let version = auditx_postgres::VERSION;
                Ok(vec![match before {
                    0 => format!("The schema auditx is made, version {version}."),
                    _ if before == version => {
                        format!("The schema auditx is there already, version {version}.")
                    }
                    _ => format!("The schema auditx is brought from version {before} to {version}."),
                }])
            }
            Self::Nats(url) => wait_for(auditx_nats::init(url))?.map_err(|error| said(&error)),
            Self::S3(url) => wait_for(auditx_s3::check(url))?.map_err(|error| said(&error)),
        }
    }

    /// What it holds, to be read.
    ///
    /// # Errors
    /// Where it cannot be reached, or does not answer for as long as a shipper waits for one answer.
    pub(crate) async fn copy(&self) -> Result<Copy, Failure> {
        let patience = Settings::default().patience;
        let late = |_| Err(Failure::said(format!("no answer within {patience:?}")));
        tokio::time::timeout(patience, self.open()).await.unwrap_or_else(late)
    }

    async fn open(&self) -> Result<Copy, Failure> {
        Ok(match self {
            Self::S3(url) => Copy::S3(S3Copy::open(url).map_err(|error| said(&error))?),
            Self::Postgres(url) => {
                Copy::Postgres(PostgresCopy::open(url).await.map_err(|error| said(&error))?)
            }
            Self::Nats(url) => Copy::Nats(Box::new(NatsCopy::open(url).await.map_err(|error| said(&error))?)),
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

    async fn lines(&mut self, trail: TrailId, from: u64) -> auditx_ship::Result<Vec<Shipped>> {
        match self {
            Self::Postgres(copy) => copy.lines(trail, from).await,
            Self::Nats(copy) => copy.lines(trail, from).await,
            Self::S3(copy) => copy.lines(trail, from).await,
        }
    }
}

fn postgres(url: &str) -> Result<Postgres, Failure> {
    Postgres::new(url).map_err(|error| said(&error))
}

fn nats(url: &str) -> Result<Nats, Failure> {
    Nats::new(url).map_err(|error| said(&error))
}

fn s3(url: &str) -> Result<S3, Failure> {
    S3::new(url).map_err(|error| said(&error))
}

fn said(error: &impl std::fmt::Display) -> Failure {
    Failure::said(harmless(&error.to_string()))
}

impl From<auditx_ship::Error> for Failure {
    fn from(error: auditx_ship::Error) -> Self {
        said(&error)
    }
}

/// Runs it to its end on this thread.
pub(crate) fn wait_for<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::said(format!("cannot reach anything: {error}")))?;
    let done = runtime.block_on(work);
    // A name that is still being looked up is not waited for.
    runtime.shutdown_background();
    Ok(done)
}
