//! The head of a response.

use super::request::Headers;

/// The head of a response.
#[non_exhaustive]
pub struct ResponseFacts<'r> {
    pub(super) status: u16,
    pub(super) expected_bytes: Option<u64>,
    pub(super) headers: Option<&'r dyn Headers>,
}

impl std::fmt::Debug for ResponseFacts<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResponseFacts").field("status", &self.status).finish_non_exhaustive()
    }
}

impl<'r> ResponseFacts<'r> {
    /// Creates the facts from the HTTP status.
    #[must_use]
    pub fn new(status: u16) -> Self {
        Self { status, expected_bytes: None, headers: None }
    }

    /// Sets the exact length of the body. Default: unknown.
    #[must_use]
    pub fn expected_bytes(mut self, expected_bytes: Option<u64>) -> Self {
        self.expected_bytes = expected_bytes;
        self
    }

    /// Sets the headers. Default: none. They are needed to capture the body, and for the status of gRPC
    /// calls.
    #[must_use]
    pub fn headers(mut self, headers: &'r dyn Headers) -> Self {
        self.headers = Some(headers);
        self
    }
}
