//! The top-level fields of a line.

/// A field of an entry; docs/FORMAT.md says what each holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names of a line's fields, described in docs/FORMAT.md")]
pub enum Field {
    Seq,
    Id,
    Timestamp,
    Level,
    Module,
    Action,
    Description,
    User,
    UserRole,
    OnBehalfOf,
    CompanyId,
    BranchId,
    EntityType,
    EntityId,
    ReferenceNo,
    Amount,
    Currency,
    OldValues,
    NewValues,
    Metadata,
    RequestId,
    SessionId,
    Ip,
    Hostname,
    Method,
    Endpoint,
    Status,
    Success,
    Erased,
    Auditx,
}

/// The JSON type of a field's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the JSON types")]
pub enum FieldKind {
    Text,
    Number,
    Bool,
    Object,
    /// Any value that the application stored.
    Any,
}

impl Field {
    /// All fields, in the order of the format.
    pub const ALL: [Self; 30] = [
        Self::Seq,
        Self::Id,
        Self::Timestamp,
        Self::Level,
        Self::Module,
        Self::Action,
        Self::Description,
        Self::User,
        Self::UserRole,
        Self::OnBehalfOf,
        Self::CompanyId,
        Self::BranchId,
        Self::EntityType,
        Self::EntityId,
        Self::ReferenceNo,
        Self::Amount,
        Self::Currency,
        Self::OldValues,
        Self::NewValues,
        Self::Metadata,
        Self::RequestId,
        Self::SessionId,
        Self::Ip,
        Self::Hostname,
        Self::Method,
        Self::Endpoint,
        Self::Status,
        Self::Success,
        Self::Erased,
        Self::Auditx,
    ];

    pub(crate) const COUNT: usize = Self::ALL.len();

    /// Returns the name of the field in a line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Seq => "seq",
            Self::Id => "id",
            Self::Timestamp => "timestamp",
            Self::Level => "level",
            Self::Module => "module",
            Self::Action => "action",
            Self::Description => "description",
            Self::User => "user",
            Self::UserRole => "user_role",
            Self::OnBehalfOf => "on_behalf_of",
            Self::CompanyId => "company_id",
            Self::BranchId => "branch_id",
            Self::EntityType => "entity_type",
            Self::EntityId => "entity_id",
            Self::ReferenceNo => "reference_no",
            Self::Amount => "amount",
            Self::Currency => "currency",
            Self::OldValues => "old_values",
            Self::NewValues => "new_values",
            Self::Metadata => "metadata",
            Self::RequestId => "request_id",
            Self::SessionId => "session_id",
            Self::Ip => "ip",
            Self::Hostname => "hostname",
            Self::Method => "method",
            Self::Endpoint => "endpoint",
            Self::Status => "status",
            Self::Success => "success",
            Self::Erased => "erased",
            Self::Auditx => "auditx",
        }
    }

    /// Returns the field with this name.
    #[must_use]
    #[inline]
    pub fn named(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"seq" => Self::Seq,
            b"id" => Self::Id,
            b"timestamp" => Self::Timestamp,
            b"level" => Self::Level,
            b"module" => Self::Module,
            b"action" => Self::Action,
            b"description" => Self::Description,
            b"user" => Self::User,
            b"user_role" => Self::UserRole,
            b"on_behalf_of" => Self::OnBehalfOf,
            b"company_id" => Self::CompanyId,
            b"branch_id" => Self::BranchId,
            b"entity_type" => Self::EntityType,
            b"entity_id" => Self::EntityId,
            b"reference_no" => Self::ReferenceNo,
            b"amount" => Self::Amount,
            b"currency" => Self::Currency,
            b"old_values" => Self::OldValues,
            b"new_values" => Self::NewValues,
            b"metadata" => Self::Metadata,
            b"request_id" => Self::RequestId,
            b"session_id" => Self::SessionId,
            b"ip" => Self::Ip,
            b"hostname" => Self::Hostname,
            b"method" => Self::Method,
            b"endpoint" => Self::Endpoint,
            b"status" => Self::Status,
            b"success" => Self::Success,
            b"erased" => Self::Erased,
            b"auditx" => Self::Auditx,
            _ => return None,
        })
    }

    /// Returns the JSON type of the field's value.
    #[must_use]
    #[inline]
    pub fn kind(self) -> FieldKind {
        match self {
            Self::Seq | Self::Amount | Self::Status => FieldKind::Number,
            Self::Success => FieldKind::Bool,
            Self::Metadata | Self::Auditx => FieldKind::Object,
            Self::OldValues | Self::NewValues => FieldKind::Any,
            _ => FieldKind::Text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_found_by_its_name() {
        for (index, field) in Field::ALL.into_iter().enumerate() {
            assert_eq!(Field::named(field.name().as_bytes()), Some(field));
            assert_eq!(field as usize, index);
        }
        assert_eq!(Field::named(b"users"), None);
    }
}
