//! Why the service does not do what it was asked to.
//!
//! The whole reason is for the audit trail; of what went wrong inside, the client is told only that it did.

use std::fmt;

use serde_json::{Value, json};

/// A request that was not carried out.
#[derive(Debug)]
#[non_exhaustive]
pub enum Refusal {
    /// It cannot be understood.
    Malformed(String),
    /// Nobody knows who asks.
    Unauthenticated,
    /// Who asks may not have it.
    Forbidden(String),
    /// What it is about is not there.
    NotFound(String),
    /// It contradicts what is there.
    Conflict(String),
    /// It failed inside.
    Failed(String),
    /// What it needs is not there now.
    Unavailable(String),
    /// It could not be recorded, hence it was not done.
    NotRecorded(auditx_core::Error),
}

impl Refusal {
    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Malformed(_) => 400,
            Self::Unauthenticated => 401,
            Self::Forbidden(_) => 403,
            Self::NotFound(_) => 404,
            Self::Conflict(_) => 409,
            Self::Failed(_) => 500,
            Self::Unavailable(_) | Self::NotRecorded(_) => 503,
        }
    }

    /// What the client is told.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let told = match self {
            Self::Failed(_) => "internal error".to_owned(),
            Self::Unavailable(_) | Self::NotRecorded(_) => "try again later".to_owned(),
            other => other.to_string(),
        };
        json!({ "error": told })
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unauthenticated => f.write_str("authentication is needed"),
            Self::Malformed(why)
            | Self::Forbidden(why)
            | Self::NotFound(why)
            | Self::Conflict(why)
            | Self::Failed(why)
            | Self::Unavailable(why) => f.write_str(why),
            Self::NotRecorded(error) => write!(f, "it could not be recorded: {error}"),
        }
    }
}

impl std::error::Error for Refusal {}

impl From<auditx_core::Error> for Refusal {
    fn from(error: auditx_core::Error) -> Self {
        Self::NotRecorded(error)
    }
}
