//! Where trails are shipped to: a URL, whose scheme says which engine it is.

use std::path::Path;
use std::str::FromStr;

use auditx_postgres::{Postgres, PostgresCopy};
use auditx_ship::{Destination as _, DestinationId, Settings, Shipper};

use crate::failure::Failure;
use crate::terminal::harmless;

/// An engine and where it is.
#[derive(Debug, Clone)]
pub(crate) enum Engine {
    Postgres(String),
}

impl FromStr for Engine {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, String> {
        // The URL may hold a password: what is wrong is said without it.
        match url.split_once("://").map(|(scheme, _)| scheme) {
            Some("postgres" | "postgresql") => Ok(Self::Postgres(url.to_owned())),
            Some(scheme) => Err(format!("{scheme}:// is no engine that trails are shipped to: postgres://")),
            None => Err("a URL such as postgres://user@host/database is needed".to_owned()),
        }
    }
}

impl Engine {
    /// The name that its cursor, its metrics and its parked lines have.
    pub(crate) fn id(&self) -> Result<DestinationId, Failure> {
        match self {
            Self::Postgres(url) => Ok(postgres(url)?.id().clone()),
        }
    }

    pub(crate) fn spawn(&self, trail: &Path, settings: Settings) -> Result<Shipper, Failure> {
        match self {
            Self::Postgres(url) => Ok(Shipper::spawn(trail, postgres(url)?, settings)?),
        }
    }

    /// Makes there what shipping needs; says what was done.
    pub(crate) fn init(&self) -> Result<String, Failure> {
        match self {
            Self::Postgres(url) => {
                let before = wait_for(auditx_postgres::init(url))?.map_err(|error| said(&error))?;
                let version = auditx_postgres::VERSION;
                Ok(match before {
                    0 => format!("The schema auditx is made, version {version}."),
                    _ if before == version => {
                        format!("The schema auditx is there already, version {version}.")
                    }
                    _ => format!("The schema auditx is brought from version {before} to {version}."),
                })
            }
        }
    }

    /// What it holds, to be read.
    pub(crate) async fn copy(&self) -> Result<PostgresCopy, Failure> {
        match self {
            Self::Postgres(url) => PostgresCopy::open(url).await.map_err(|error| said(&error)),
        }
    }
}

fn postgres(url: &str) -> Result<Postgres, Failure> {
    Postgres::new(url).map_err(|error| said(&error))
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
    Ok(runtime.block_on(work))
}
