//! What is known of a response once its head is.

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
    /// The status.
    #[must_use]
    pub fn new(status: u16) -> Self {
        Self { status, expected_bytes: None, headers: None }
    }

    /// Default: unknown. The exact length of the body.
    #[must_use]
    pub fn expected_bytes(mut self, expected_bytes: Option<u64>) -> Self {
        self.expected_bytes = expected_bytes;
        self
    }

    /// Default: none. They say whether the response is gRPC's, and how that ended where there is no body.
    #[must_use]
    pub fn headers(mut self, headers: &'r dyn Headers) -> Self {
        self.headers = Some(headers);
        self
    }
}
