//! What entries are asked for.

use crate::row::Row;

/// A question that an entry answers with yes or no.
#[derive(Debug, Clone, Default)]
pub struct Query {}

impl Query {
    /// Every entry.
    #[must_use]
    pub fn everything() -> Self {
        Self::default()
    }

    /// Whether the entry is asked for.
    #[must_use]
    pub fn matches(&self, _row: &Row<'_>) -> bool {
        true
    }
}
