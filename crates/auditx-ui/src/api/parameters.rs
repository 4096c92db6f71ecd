//! The parameters of requests. One that a path does not have is refused: with a misspelt condition, a search
//! would find more than was asked for.

use auditx_reader::Order;
use serde::Deserialize;

use crate::problem::Problem;
use crate::selection::Parameters;

/// The default and the largest number of entries of one answer.
const DEFAULT_LIMIT: u64 = 100;
const MAX_LIMIT: u64 = 1_000;

/// The order of entries.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Direction {
    Asc,
    #[default]
    Desc,
}

impl From<Direction> for Order {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::Asc => Self::OldestFirst,
            Direction::Desc => Self::NewestFirst,
        }
    }
}

/// The entries that are searched.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Source {
    #[default]
    All,
    Security,
}

impl Source {
    fn name(self) -> String {
        match self {
            Self::All => String::new(),
            Self::Security => "security".to_owned(),
        }
    }
}

/// A number of entries that one answer may have.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(transparent)]
pub(super) struct Limit(u64);

impl Default for Limit {
    fn default() -> Self {
        Self(DEFAULT_LIMIT)
    }
}

impl Limit {
    pub(super) fn get(self) -> Result<u64, Problem> {
        let Self(limit) = self;
        if (1..=MAX_LIMIT).contains(&limit) {
            return Ok(limit);
        }
        Err(Problem::bad_request(format!("invalid limit {limit}: expected 1 to {MAX_LIMIT}")))
    }
}

/// No parameters.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// The trail of an entry.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct OfTrail {
    pub(super) trail: String,
}

/// Defines parameters that begin with what is searched. (With `flatten`, serde could not refuse others.)
macro_rules! searching {
    ($(#[$doc:meta])* struct $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Default, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub(super) struct $name {
            q: String,
            since: String,
            until: String,
            source: Source,
            tz: String,
            trail: String,
            $($(#[$field_doc])* pub(super) $field: $type,)*
        }

        impl $name {
            /// Returns what is searched.
            pub(super) fn parameters(&self) -> Parameters {
                Parameters {
                    q: self.q.clone(),
                    since: self.since.clone(),
                    until: self.until.clone(),
                    source: self.source.name(),
                    tz: self.tz.clone(),
                    trail: self.trail.clone(),
                    ..Parameters::default()
                }
            }
        }
    };
}

searching! {
    /// What is searched.
    struct Searched {}
}

searching! {
    /// What is searched, and which of the entries that are found an answer has.
    struct Listed {
        order: Direction,
        limit: Limit,
        /// Where the answer before this one ended.
        cursor: String,
    }
}

searching! {
    /// What is followed.
    struct Followed {
        /// The position after which it begins; empty for what is recorded from now on.
        after: String,
    }
}

/// A record, and which of its entries an answer has.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OfRecord {
    pub(super) entity: String,
    #[serde(default)]
    pub(super) since: String,
    #[serde(default)]
    pub(super) until: String,
    #[serde(default)]
    pub(super) tz: String,
    #[serde(default)]
    pub(super) trail: String,
    #[serde(default)]
    pub(super) order: Direction,
    #[serde(default)]
    pub(super) limit: Limit,
    #[serde(default)]
    pub(super) cursor: String,
}

/// Which of the related entries an answer has.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Part {
    pub(super) trail: String,
    pub(super) limit: Limit,
    pub(super) cursor: String,
}
