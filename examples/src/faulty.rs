//! An extractor that panics before any handler runs.

/// The fiscal period of a report; reading it from a request always panics.
#[derive(Debug)]
pub struct Period;

impl Period {
    /// Reads it from a request.
    ///
    /// # Panics
    /// Always.
    #[must_use]
    pub fn from_request() -> Self {
        panic!("period: the calendar has no such year");
    }
}
