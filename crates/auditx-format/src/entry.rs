//! An entry before it is encoded. Text given as `&str` is borrowed, not allocated.

mod pairs;

use std::borrow::Cow;
use std::net::IpAddr;

use rust_decimal::Decimal;
use serde_json::Value;

use crate::amount::Amount;
use crate::snapshot::Snapshot;
use crate::vocabulary::{AuditAction, BusinessModule, LogLevel};

pub use pairs::Fact;
pub(crate) use pairs::Pairs;

/// A text field of an entry. Empty text is omitted from the line.
pub(crate) type Text<'a> = Cow<'a, str>;

/// An entry before it is encoded. Fields that are not set come from the context, or are omitted.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    /// The severity.
    pub level: LogLevel,
    /// The business module.
    pub module: BusinessModule,
    /// What was done.
    pub action: AuditAction,
    /// What happened, in words.
    pub(crate) description: Text<'a>,
    /// The user who acts.
    pub user: Text<'a>,
    /// The role of the user.
    pub user_role: Text<'a>,
    /// The person on whose behalf the user acts.
    pub on_behalf_of: Text<'a>,
    /// The id of the company.
    pub company_id: Text<'a>,
    /// The id of the branch.
    pub branch_id: Text<'a>,
    /// The type of the entity, such as `invoice`.
    pub entity_type: Text<'a>,
    /// The id of the entity.
    pub entity_id: Text<'a>,
    /// The reference number of the document.
    pub reference_no: Text<'a>,
    /// The amount of money.
    pub amount: Option<Amount>,
    /// The currency of the amount.
    pub currency: Text<'a>,
    /// The values before a change.
    pub old_values: Option<Values>,
    /// The values after a change.
    pub new_values: Option<Values>,
    /// Metadata that precedes the further metadata, which replaces facts with the same keys. Borrowed, so that
    /// it costs no allocation.
    pub facts: &'a [Fact<'a>],
    /// Further metadata.
    pub(crate) metadata: Pairs<'a>,
    /// The id of the request.
    pub request_id: Text<'a>,
    /// The id of the session.
    pub session_id: Text<'a>,
    /// The client's address.
    pub ip: Option<IpAddr>,
    /// The HTTP method.
    pub method: Text<'a>,
    /// The HTTP path and query.
    pub endpoint: Text<'a>,
    /// The HTTP status.
    pub status: Option<u16>,
    /// Whether the action succeeded.
    pub success: bool,
    /// The reserved top-level object of control records, which callers cannot set.
    pub(crate) control_record: Option<Value>,
}

impl<'a> Entry<'a> {
    /// Creates a successful entry of level AUDIT.
    #[inline(always)]
    pub fn new(description: impl Into<Text<'a>>, module: BusinessModule, action: AuditAction) -> Self {
        const ABSENT: Text<'static> = Cow::Borrowed("");
        Self {
            level: LogLevel::Audit,
            module,
            action,
            description: description.into(),
            user: ABSENT,
            user_role: ABSENT,
            on_behalf_of: ABSENT,
            company_id: ABSENT,
            branch_id: ABSENT,
            entity_type: ABSENT,
            entity_id: ABSENT,
            reference_no: ABSENT,
            amount: None,
            currency: ABSENT,
            old_values: None,
            new_values: None,
            facts: &[],
            metadata: Pairs::new(),
            request_id: ABSENT,
            session_id: ABSENT,
            ip: None,
            method: ABSENT,
            endpoint: ABSENT,
            status: None,
            success: true,
            control_record: None,
        }
    }

    /// Adds or replaces one metadata key; an empty value removes the key.
    #[inline(always)]
    pub fn put_metadata(&mut self, key: impl Into<Text<'a>>, value: impl Into<MetadataValue<'a>>) {
        self.metadata.put(key.into(), value.into());
    }
}

/// The values of a record before or after a change.
#[derive(Debug, Clone)]
pub enum Values {
    /// Given by the caller.
    Json(Value),
    /// Computed by `changes()`.
    Exact(Snapshot),
}

impl From<Value> for Values {
    fn from(value: Value) -> Self {
        Self::Json(value)
    }
}

impl From<Snapshot> for Values {
    fn from(snapshot: Snapshot) -> Self {
        Self::Exact(snapshot)
    }
}

/// A metadata value of an entry. Text, numbers, booleans, [`Amount`], IP addresses and JSON convert into it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum MetadataValue<'a> {
    /// Text.
    Text(Cow<'a, str>),
    /// A boolean.
    Bool(bool),
    /// A signed integer.
    Integer(i64),
    /// An unsigned integer.
    Unsigned(u64),
    /// A floating-point number. NaN and the infinities, which JSON does not have, are written as text.
    Float(f64),
    /// An exact decimal number.
    Amount(Amount),
    /// An IP address.
    Address(IpAddr),
    /// Any JSON value.
    Json(Value),
}

impl MetadataValue<'_> {
    #[inline]
    fn is_absent(&self) -> bool {
        match self {
            Self::Text(text) => text.is_empty(),
            Self::Json(Value::Null) => true,
            Self::Json(Value::String(text)) => text.is_empty(),
            Self::Json(Value::Object(map)) => map.is_empty(),
            _ => false,
        }
    }
}

macro_rules! metadata_from {
    ($($from:ty => |$value:ident| $made:expr,)*) => {
        $(impl<'a> From<$from> for MetadataValue<'a> {
            #[inline]
            fn from($value: $from) -> Self {
                $made
            }
        })*
    };
}

metadata_from! {
    &'a str => |value| Self::Text(Cow::Borrowed(value)),
    &'a String => |value| Self::Text(Cow::Borrowed(value)),
    String => |value| Self::Text(Cow::Owned(value)),
    Cow<'a, str> => |value| Self::Text(value),
    bool => |value| Self::Bool(value),
    i32 => |value| Self::Integer(value.into()),
    i64 => |value| Self::Integer(value),
    u16 => |value| Self::Unsigned(value.into()),
    u32 => |value| Self::Unsigned(value.into()),
    u64 => |value| Self::Unsigned(value),
    i128 => |value| Self::Amount(value.into()),
    u128 => |value| Self::Amount(value.into()),
    usize => |value| match u64::try_from(value) {
        Ok(value) => Self::Unsigned(value),
        Err(_) => Self::Text(value.to_string().into()),
    },
    f64 => |value| Self::Float(value),
    Amount => |value| Self::Amount(value),
    Decimal => |value| Self::Amount(value.into()),
    IpAddr => |value| Self::Address(value),
    Value => |value| Self::Json(value),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_keys_are_unique_and_empty_values_absent() {
        let mut entry = Entry::new("x", BusinessModule::Sales, AuditAction::Post);
        entry.put_metadata("a", 1);
        entry.put_metadata("b", "");
        entry.put_metadata("a", 2);
        entry.put_metadata("c", true);
        entry.put_metadata("c", Value::Null);
        let metadata: Vec<_> = entry.metadata.iter().collect();
        assert!(matches!(metadata[..], [(_, MetadataValue::Integer(2))]));
    }
}
