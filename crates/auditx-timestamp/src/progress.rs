//! How far the thread that obtains time stamps is.

use crate::stamp::Stamped;

/// How far the stamping of a trail is.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Progress {
    /// The number of lines of the checkpoint that was stamped last, and what the stamp says.
    pub stamped: Option<(u64, Stamped)>,
    /// How many stamps were obtained.
    pub stamps: u64,
    /// Why the last attempt failed; `None` if it did not.
    pub failure: Option<String>,
}
