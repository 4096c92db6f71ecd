//! What entries are asked for.

use crate::moment::Moment;
use auditx_core::Row;

/// A question that an entry answers with yes or no.
#[derive(Debug, Clone, Default)]
pub struct Query {
    pub literal: Option<Vec<u8>>,
    pub key: Option<(auditx_core::Field, String)>,
}

pub(crate) struct Plan {
    pub(crate) since: Option<Moment>,
    pub(crate) until: Option<Moment>,
    pub(crate) needle: Needle,
    pub(crate) keys: Option<Vec<(auditx_core::Field, String)>>,
}

pub(crate) enum Needle {
    Any,
    OneOf(Vec<Literal>),
}

pub(crate) struct Literal {
    pub(crate) bytes: Vec<u8>,
    pub(crate) ignores_case: bool,
}

impl Query {
    /// Every entry.
    #[must_use]
    pub fn everything() -> Self {
        Self::default()
    }

    /// Whether the entry is asked for.
    #[must_use]
    pub fn matches(&self, row: &Row<'_>) -> bool {
        self.literal.as_ref().is_none_or(|l| memchr::memmem::find(row.line().as_bytes(), l).is_some())
    }

    pub(crate) fn plan(&self) -> Plan {
        Plan {
            keys: self.key.clone().map(|k| vec![k]),
            since: None,
            until: None,
            needle: match &self.literal {
                None => Needle::Any,
                Some(l) => Needle::OneOf(vec![Literal { bytes: l.clone(), ignores_case: false }]),
            },
        }
    }
}
