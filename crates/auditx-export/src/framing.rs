//! The framing of syslog messages.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// How messages are delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Framing {
    /// A newline after each message (RFC 6587, section 3.4.2): for files, and for receivers that read lines.
    #[default]
    Newline,
    /// The length in bytes and a space before each message (RFC 5425, section 4.3; RFC 6587, section 3.4.1):
    /// for TCP and TLS.
    OctetCounting,
}

impl Framing {
    /// All framings.
    pub const ALL: [Self; 2] = [Self::Newline, Self::OctetCounting];

    /// The name on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Newline => "newline",
            Self::OctetCounting => "octet-counting",
        }
    }
}

impl fmt::Display for Framing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Framing {
    type Err = Error;

    /// Parses a name in any case. `is_invalid` for any other text.
    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|framing| framing.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| Error::unknown("framing", text, Self::ALL.map(Self::as_str)))
    }
}
