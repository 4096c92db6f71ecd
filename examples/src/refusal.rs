//! The error of a request that the service refuses.
//!
//! The closing entry gets the full reason; the client gets no details of internal errors.

use std::fmt;

use serde_json::{Value, json};

/// A request that was not carried out.
#[derive(Debug)]
#[non_exhaustive]
pub enum Refusal {
    /// The request is malformed.
    Malformed(String),
    /// The user is unknown.
    Unauthenticated,
    /// The user lacks the permission.
    Forbidden(String),
    /// The requested object does not exist.
    NotFound(String),
    /// The request contradicts the current state.
    Conflict(String),
    /// The service failed.
    Failed(String),
    /// Another service is not available.
    Unavailable(String),
    /// The request could not be recorded, so it was not carried out.
    NotRecorded(auditx_core::Error),
}

impl Refusal {
    /// Returns the HTTP status.
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

    /// Returns the body of the response.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let message = match self {
            Self::Failed(_) => "internal error".to_owned(),
            Self::Unavailable(_) | Self::NotRecorded(_) => "try again later".to_owned(),
            other => other.to_string(),
        };
        json!({ "error": message })
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unauthenticated => f.write_str("authentication required"),
            Self::Malformed(why)
            | Self::Forbidden(why)
            | Self::NotFound(why)
            | Self::Conflict(why)
            | Self::Failed(why)
            | Self::Unavailable(why) => f.write_str(why),
            Self::NotRecorded(error) => write!(f, "cannot record the request: {error}"),
        }
    }
}

impl std::error::Error for Refusal {}

impl From<auditx_core::Error> for Refusal {
    fn from(error: auditx_core::Error) -> Self {
        Self::NotRecorded(error)
    }
}
