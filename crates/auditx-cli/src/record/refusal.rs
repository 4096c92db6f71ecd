//! Why one entry was refused, while others may be recorded.

use std::fmt;

use auditx_core::Error;

use crate::failure::Failure;
use crate::signals;
use crate::terminal::sanitized;

/// Longer messages quote a value that nobody reads to its end.
const MAX_CHARS: usize = 400;

/// The field that was wrong, and what was expected.
#[derive(Debug, Clone)]
pub(super) struct Refusal(String);

impl Refusal {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    /// Returns the refusal of an entry that the library did not record. Fails if the next entry would fare
    /// no better: the disk cannot be written, or the trail is not what it was.
    pub(super) fn of_record(error: Error) -> Result<Self, Failure> {
        if error.is_closed() {
            // The trail is closed by a signal, which is about to end the process.
            signals::wait_for_end();
        }
        if error.is_invalid() || error.is_too_large() || error.is_full() {
            Ok(error.into())
        } else {
            Err(error.into())
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self(error.to_string())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = sanitized(&self.0);
        match message.char_indices().nth(MAX_CHARS) {
            Some((end, _)) => write!(f, "{}…", &message[..end]),
            None => f.write_str(&message),
        }
    }
}

impl std::error::Error for Refusal {}
