//! The answer to a request that cannot be recorded: `application/problem+json` (RFC 9457).

use std::fmt;

use serde_json::json;

use crate::error::Error;

const SERVICE_UNAVAILABLE: u16 = 503;
const CONTENT_TOO_LARGE: u16 = 413;
const INTERNAL_SERVER_ERROR: u16 = 500;

/// Says to a client that nothing was done, because it could not be recorded. Adapters and handlers answer with it; why it was
/// so is for the service's own eyes: [`Problem::reason`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    status: u16,
    detail: &'static str,
    reason: String,
    request_id: String,
}

impl Problem {
    /// The media type of [`Problem::to_json`].
    pub const CONTENT_TYPE: &'static str = "application/problem+json";

    /// The response's status: 503, 413 for an entry too large for a line, 500 for one that no trail would take.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// What the library said. It may name paths: not for clients.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The body: type, title, status, detail, and the request's id where it is known.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut body = json!({
            "type": "about:blank",
            "title": self.title(),
            "status": self.status,
            "detail": self.detail,
        });
        if !self.request_id.is_empty() {
            body["request_id"] = self.request_id.as_str().into();
        }
        body.to_string()
    }

    fn title(&self) -> &'static str {
        match self.status {
            CONTENT_TOO_LARGE => "Content Too Large",
            INTERNAL_SERVER_ERROR => "Internal Server Error",
            _ => "Service Unavailable",
        }
    }

    pub(super) fn of_request(mut self, request_id: &str) -> Self {
        request_id.clone_into(&mut self.request_id);
        self
    }

    /// The entries were accepted, and the disk did not take them.
    pub(super) fn not_durable(error: &Error) -> Self {
        Self {
            detail: "what this request did is not safely recorded; do not rely on it",
            ..Self::from(error)
        }
    }
}

impl From<&Error> for Problem {
    fn from(error: &Error) -> Self {
        let (status, detail) = if error.is_too_large() {
            (CONTENT_TOO_LARGE, "what this request says is more than one audit entry can hold")
        } else if error.is_invalid() {
            (INTERNAL_SERVER_ERROR, "this request could not be recorded")
        } else {
            (
                SERVICE_UNAVAILABLE,
                "the audit trail takes no entries at the moment; nothing was done, try again later",
            )
        };
        Self { status, detail, reason: error.to_string(), request_id: String::new() }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self::from(&error)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.detail)
    }
}

impl std::error::Error for Problem {}
