//! A fault before any handler runs.

/// The fiscal period a report is for; finding it out never ends well.
#[derive(Debug)]
pub struct Period;

impl Period {
    /// Reads it from a request.
    ///
    /// # Panics
    /// Always.
    #[must_use]
    pub fn of_request() -> Self {
        panic!("period: the calendar has no such year");
    }
}
