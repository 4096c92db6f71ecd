//! The columns of CSV and their names.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

macro_rules! columns {
    ($($(#[$doc:meta])* $column:ident = $name:literal,)*) => {
        /// A column of [`Format::Csv`](crate::Format::Csv). The names are those of the line's fields, except
        /// for the last.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        #[expect(missing_docs, reason = "the columns are the line's fields, described in docs/FORMAT.md")]
        pub enum Column {
            $($(#[$doc])* $column,)*
        }

        impl Column {
            /// All columns, in the default order.
            pub const ALL: &'static [Self] = &[$(Self::$column,)*];

            /// The name in the header line.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$column => $name,)*
                }
            }
        }
    };
}

columns! {
    Seq = "seq",
    Id = "id",
    Timestamp = "timestamp",
    Level = "level",
    Module = "module",
    Action = "action",
    Description = "description",
    User = "user",
    UserRole = "user_role",
    OnBehalfOf = "on_behalf_of",
    CompanyId = "company_id",
    BranchId = "branch_id",
    EntityType = "entity_type",
    EntityId = "entity_id",
    ReferenceNo = "reference_no",
    Amount = "amount",
    Currency = "currency",
    OldValues = "old_values",
    NewValues = "new_values",
    Metadata = "metadata",
    RequestId = "request_id",
    SessionId = "session_id",
    Ip = "ip",
    Hostname = "hostname",
    Method = "method",
    Endpoint = "endpoint",
    Status = "status",
    Success = "success",
    Erased = "erased",
    ControlRecord = "auditx",
    /// The line's leaf hash, in hexadecimal.
    LeafHash = "leaf_hash",
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Column {
    type Err = Error;

    /// Parses a name in any case. `is_invalid` for any other text.
    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|column| column.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| Error::unknown("column", text, Self::ALL.iter().map(|column| column.as_str())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_parse_by_their_names_in_the_header() {
        for column in Column::ALL {
            assert_eq!(column.to_string().parse::<Column>().unwrap(), *column);
        }
        assert!(
            "price"
                .parse::<Column>()
                .unwrap_err()
                .to_string()
                .starts_with("unknown column \"price\": expected one of seq, id, ")
        );
    }
}
