//! What a witness answers.

/// The answer to a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// It was cosigned; the signature line.
    Cosigned(String),
    /// It cannot be read, for this reason.
    Malformed(String),
    /// No log of this name is known.
    UnknownLog,
    /// No known key of the log signed it.
    NotSigned,
    /// The proof does not begin at the checkpoint that the witness cosigned last, or that one has the same
    /// size and another root. The size of that one.
    Conflict(u64),
    /// The proof does not show that the log only grew.
    Inconsistent,
    /// The witness cannot cosign, for this reason.
    Failed(String),
}

impl Answer {
    pub(crate) fn failed(why: &str) -> Self {
        Self::Failed(why.to_owned())
    }

    /// Returns the status of HTTP and the body.
    #[must_use]
    pub fn http(&self) -> (u16, String) {
        match self {
            Self::Cosigned(line) => (200, line.clone()),
            Self::Malformed(why) => (400, format!("{why}\n")),
            Self::UnknownLog => (404, "this witness does not know the log of the checkpoint: its operator adds it with --log\n".to_owned()),
            Self::NotSigned => {
                (403, "no key of the log that this witness knows signed the checkpoint; after a new key, its operator \
                 replaces the old one\n".to_owned())
            }
            Self::Conflict(size) => (409, format!("{size}\n")),
            Self::Inconsistent => {
                (422, "the log does not begin with what this witness cosigned\n".to_owned())
            }
            Self::Failed(why) => (500, format!("the witness cannot cosign: {why}\n")),
        }
    }
}
