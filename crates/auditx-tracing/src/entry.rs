//! An event of the target `audit` as an entry: fields named as facts become those facts, all others metadata.
//!
//! A fact that cannot be read is no reason to lose the entry: its value stands in the metadata as it was given, and why it is
//! there is noted beside it.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use auditx_core::{Amount, AuditAction, AuditLogger, BusinessModule, EntryBuilder, General, LogLevel};
use serde_json::{Map, Value};

use crate::fields::put_own;

/// The target of events that become entries where [`AuditTracingLayer::entries`](crate::AuditTracingLayer::entries) is on;
/// exactly this, nothing that only begins with it.
pub const AUDIT_TARGET: &str = "audit";

/// The key of an entry's metadata under which facts that could not be read are explained, by name.
pub const INVALID_FACTS: &str = "invalid_facts";

type Builder<'l> = EntryBuilder<'l, General>;

/// Records; tells whether a fact could not be read.
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
        let (stated, problem) = state(builder, name, value);
        builder = stated;
        if let Some(problem) = problem {
            invalid.insert(name.clone(), problem.into());
        }
    }
    let is_invalid = !invalid.is_empty();
    if is_invalid {
        let mut own =
            Map::from_iter(fields.get(INVALID_FACTS).map(|value| (INVALID_FACTS.to_owned(), value.clone())));
        put_own(&mut own, INVALID_FACTS, invalid);
        for (name, value) in own {
            builder = builder.metadata(name, value);
        }
    }
    builder.record().map(|_receipt| is_invalid)
}

/// States one field, and says what is wrong with it.
fn state<'l>(builder: Builder<'l>, name: &str, value: &Value) -> (Builder<'l>, Option<String>) {
    let words = || text(value).into_owned();
    let stated = match name {
        // Stated already, both at once.
        "entity_type" | "entity_id" => builder,
        "user" => builder.user(words()),
        "user_role" => builder.user_role(words()),
        "on_behalf_of" => builder.on_behalf_of(words()),
        "company_id" => builder.company_id(words()),
        "branch_id" => builder.branch_id(words()),
        "reference_no" => builder.reference_no(words()),
        "currency" => builder.currency(words()),
        "request_id" => builder.request_id(words()),
        "session_id" => builder.session_id(words()),
        "method" => builder.method(words()),
        "endpoint" => builder.endpoint(words()),
        "reason" => builder.reason(words()),
        _ => return state_read(builder, name, value),
    };
    (stated, None)
}

/// The same for facts that are more than text, and for what is no fact.
fn state_read<'l>(builder: Builder<'l>, name: &str, value: &Value) -> (Builder<'l>, Option<String>) {
    let fact = match name {
        "level" => parsed(value).map(Fact::Level),
        "module" => parsed(value).map(Fact::Module),
        "action" => parsed(value).map(Fact::Action),
        "amount" => amount(value).map(Fact::Amount),
        "ip" => address(value).map(Fact::Address),
        "status" => parsed_as(value, "an HTTP status").map(Fact::Status),
        "success" => parsed_as(&text(value).to_ascii_lowercase().into(), "true or false").map(Fact::Success),
        "old_values" => json(value).map(Fact::OldValues),
        "new_values" => json(value).map(Fact::NewValues),
        _ => Ok(Fact::Metadata),
    };
    let stated = match fact {
        Ok(Fact::Level(level)) => builder.level(level),
        Ok(Fact::Module(module)) => builder.module(module),
        Ok(Fact::Action(action)) => builder.action(action),
        Ok(Fact::Amount(amount)) => builder.amount(amount),
        Ok(Fact::Address(ip)) => builder.ip(ip),
        Ok(Fact::Status(status)) => builder.status(status),
        Ok(Fact::Success(success)) => builder.success(success),
        Ok(Fact::OldValues(values)) => builder.old_values(values),
        Ok(Fact::NewValues(values)) => builder.new_values(values),
        Ok(Fact::Metadata) => builder.metadata(name.to_owned(), value.clone()),
        Err(problem) => return (builder.metadata(name.to_owned(), value.clone()), Some(problem)),
    };
    (stated, None)
}

/// What a field was read as.
enum Fact {
    Level(LogLevel),
    Module(BusinessModule),
    Action(AuditAction),
    Amount(Amount),
    Address(IpAddr),
    Status(u16),
    Success(bool),
    OldValues(Value),
    NewValues(Value),
    /// No fact: one more key.
    Metadata,
}

/// A field's value as text: `reference_no = 42` is as good as `"42"`.
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
    text.parse().map_err(|_| format!("{text:?} is not {expected}"))
}

/// Whole numbers and decimal text as they are; a floating-point number by its shortest digits.
fn amount(value: &Value) -> Result<Amount, String> {
    let read = match value {
        Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(whole), _, _) => Ok(whole.into()),
            (_, Some(whole), _) => Ok(whole.into()),
            (_, _, Some(float)) => Amount::from_f64(float),
            _ => Amount::parse(&number.to_string()),
        },
        other => Amount::parse(&text(other)),
    };
    read.map_err(|error| error.to_string())
}

/// An address, also with a port, as servers know their peers.
fn address(value: &Value) -> Result<IpAddr, String> {
    let with_port = text(value).parse::<SocketAddr>().map(|peer| peer.ip());
    with_port.or_else(|_| parsed_as(value, "an IP address"))
}

/// Values of a record come as JSON text, since a field of an event is no object.
fn json(value: &Value) -> Result<Value, String> {
    match value {
        // What was given is in the metadata already, and may be long.
        Value::String(text) => serde_json::from_str(text).map_err(|error| format!("not JSON: {error}")),
        other => Ok(other.clone()),
    }
}
