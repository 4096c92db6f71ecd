//! The response to a request that cannot be recorded: `application/problem+json` (RFC 9457).

use std::fmt;

use auditx_format::Error;
use serde_json::json;

const SERVICE_UNAVAILABLE: u16 = 503;
const CONTENT_TOO_LARGE: u16 = 413;
const INTERNAL_SERVER_ERROR: u16 = 500;

/// The response that adapters and handlers send if a request could not be recorded.
///
/// The response does not contain the reason; the service finds it in [`Problem::reason`]. An [`Error`]
/// converts into a `Problem`.
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

    /// Returns the HTTP status: 413 if the entry does not fit into a line, 500 if the entry is invalid,
    /// otherwise 503.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Returns the message of the underlying error. It may contain paths and must not be sent to clients.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Returns the response body: type, title, status, detail, and the request id if it is known.
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

    /// Returns the problem of entries that were accepted but could not be made durable.
    pub(super) fn not_durable(error: &Error) -> Self {
        Self {
            detail: "the request was processed, but its audit entries may be lost; do not rely on its result",
            ..Self::from(error)
        }
    }
}

impl From<&Error> for Problem {
    fn from(error: &Error) -> Self {
        let (status, detail) = if error.is_too_large() {
            (CONTENT_TOO_LARGE, "the request does not fit into an audit entry")
        } else if error.is_invalid() {
            (INTERNAL_SERVER_ERROR, "the request could not be recorded")
        } else {
            (
                SERVICE_UNAVAILABLE,
                "the audit trail accepts no entries; the request was not processed, try again later",
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
