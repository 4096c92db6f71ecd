//! Converts events of the target `audit` to entries: event fields with the name of an entry field set that
//! field, all others go to the metadata.
//!
//! An invalid value does not prevent the entry from being recorded: the value is stored in the metadata
//! unchanged, together with an explanation.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use auditx_core::kind::General;
use auditx_core::{Amount, AuditAction, AuditLogger, BusinessModule, EntryBuilder, LogLevel};
use serde_json::{Map, Value};

use crate::fields::insert_reserved;

/// The target of events that are recorded as entries if
/// [`AuditTracingLayer::entries`](crate::AuditTracingLayer::entries) is enabled. The target must be equal to
/// it; a common prefix is not enough.
pub const AUDIT_TARGET: &str = "audit";

/// The metadata key of an entry whose value explains each invalid field, by field name.
pub const INVALID_FACTS: &str = "invalid_facts";

type Builder<'l> = EntryBuilder<'l, General>;

/// Records an entry. Returns whether a field was invalid.
pub(crate) fn record(
    logger: &AuditLogger,
    level: LogLevel,
    description: &str,
    fields: &Map<String, Value>,
) -> auditx_core::Result<bool> {
    let text_of = |name: &str| fields.get(name).map(text).unwrap_or_default().into_owned();
    let mut builder = logger.log(description.to_owned()).level(level);
    builder = builder.entity(text_of("entity_type"), text_of("entity_id"));
    let mut invalid = Map::new();
    for (name, value) in fields {
        let (updated, problem) = set_field(builder, name, value);
        builder = updated;
        if let Some(problem) = problem {
            invalid.insert(name.clone(), problem.into());
        }
    }
    let is_invalid = !invalid.is_empty();
    if is_invalid {
        let mut explanations =
            Map::from_iter(fields.get(INVALID_FACTS).map(|value| (INVALID_FACTS.to_owned(), value.clone())));
        insert_reserved(&mut explanations, INVALID_FACTS, invalid);
        for (name, value) in explanations {
            builder = builder.metadata(name, value);
        }
    }
    builder.record().map(|_receipt| is_invalid)
}

/// Sets one field. If its value is invalid, stores the value in the metadata and returns the reason.
fn set_field<'l>(builder: Builder<'l>, name: &str, value: &Value) -> (Builder<'l>, Option<String>) {
    let owned = || text(value).into_owned();
    let updated = match name {
        // Both are set together in `record`.
        "entity_type" | "entity_id" => builder,
        "user" => builder.user(owned()),
        "user_role" => builder.user_role(owned()),
        "on_behalf_of" => builder.on_behalf_of(owned()),
        "company_id" => builder.company_id(owned()),
        "branch_id" => builder.branch_id(owned()),
        "reference_no" => builder.reference_no(owned()),
        "currency" => builder.currency(owned()),
        "request_id" => builder.request_id(owned()),
        "session_id" => builder.session_id(owned()),
        "method" => builder.method(owned()),
        "endpoint" => builder.endpoint(owned()),
        "reason" => builder.reason(owned()),
        _ => return set_parsed_field(builder, name, value),
    };
    (updated, None)
}

/// Does the same for fields with a type other than text, and for fields that go to the metadata.
fn set_parsed_field<'l>(builder: Builder<'l>, name: &str, value: &Value) -> (Builder<'l>, Option<String>) {
    let parsed_field = match name {
        "level" => parsed(value).map(EntryField::Level),
        "module" => parsed(value).map(EntryField::Module),
        "action" => parsed(value).map(EntryField::Action),
        "amount" => amount(value).map(EntryField::Amount),
        "ip" => address(value).map(EntryField::Address),
        "status" => parsed_as(value, "an HTTP status").map(EntryField::Status),
        "success" => {
            parsed_as(&text(value).to_ascii_lowercase().into(), "true or false").map(EntryField::Success)
        }
        "old_values" => json(value).map(EntryField::OldValues),
        "new_values" => json(value).map(EntryField::NewValues),
        _ => Ok(EntryField::Metadata),
    };
    let updated = match parsed_field {
        Ok(EntryField::Level(level)) => builder.level(level),
        Ok(EntryField::Module(module)) => builder.module(module),
        Ok(EntryField::Action(action)) => builder.action(action),
        Ok(EntryField::Amount(amount)) => builder.amount(amount),
        Ok(EntryField::Address(ip)) => builder.ip(ip),
        Ok(EntryField::Status(status)) => builder.status(status),
        Ok(EntryField::Success(success)) => builder.success(success),
        Ok(EntryField::OldValues(values)) => builder.old_values(values),
        Ok(EntryField::NewValues(values)) => builder.new_values(values),
        Ok(EntryField::Metadata) => builder.metadata(name.to_owned(), value.clone()),
        Err(problem) => return (builder.metadata(name.to_owned(), value.clone()), Some(problem)),
    };
    (updated, None)
}

/// A parsed field.
enum EntryField {
    Level(LogLevel),
    Module(BusinessModule),
    Action(AuditAction),
    Amount(Amount),
    Address(IpAddr),
    Status(u16),
    Success(bool),
    OldValues(Value),
    NewValues(Value),
    /// Not a field of the entry: a metadata key.
    Metadata,
}

/// Returns a field's value as text: `reference_no = 42` is equivalent to `"42"`.
fn text(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => Cow::Borrowed(text),
        other => Cow::Owned(other.to_string()),
    }
}

fn parsed<T: FromStr<Err = auditx_core::Error>>(value: &Value) -> Result<T, String> {
    text(value).parse().map_err(|error: auditx_core::Error| error.to_string())
}

fn parsed_as<T: FromStr>(value: &Value, expected: &str) -> Result<T, String> {
    let text = text(value);
    text.parse().map_err(|_| format!("invalid value {text:?}: expected {expected}"))
}

/// Parses an amount. Integers and decimal text are exact; a floating-point number is converted with the
/// shortest digits that represent it.
fn amount(value: &Value) -> Result<Amount, String> {
    let amount = match value {
        Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(whole), _, _) => Ok(whole.into()),
            (_, Some(whole), _) => Ok(whole.into()),
            (_, _, Some(float)) => Amount::from_f64(float),
            _ => Amount::parse(&number.to_string()),
        },
        other => Amount::parse(&text(other)),
    };
    amount.map_err(|error| error.to_string())
}

/// Parses an IP address, with or without a port (servers know their peers as socket addresses).
fn address(value: &Value) -> Result<IpAddr, String> {
    let with_port = text(value).parse::<SocketAddr>().map(|peer| peer.ip());
    with_port.or_else(|_| parsed_as(value, "an IP address"))
}

/// Parses JSON text, because an event's field cannot be an object.
fn json(value: &Value) -> Result<Value, String> {
    match value {
        // The message does not quote the value: it is stored in the metadata and may be long.
        Value::String(text) => serde_json::from_str(text).map_err(|error| format!("not JSON: {error}")),
        other => Ok(other.clone()),
    }
}
