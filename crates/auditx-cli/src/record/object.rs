//! An entry from a JSON object. The names of its members are those of a line in the trail (docs/FORMAT.md).

use std::borrow::Cow;
use std::str::FromStr;

use auditx_core::kind::General;
use auditx_core::{Amount, AuditLogger, EntryBuilder, Error};
use auditx_format::row::{Field, Json};
use auditx_reader::{field_named, nearest_field};

use super::refusal::Refusal;
use super::value::{self, kind};

type Entry<'l> = EntryBuilder<'l, General>;

/// Returns the entry. Fails at the first member that is not a field, has the wrong type or a wrong value.
pub(super) fn entry<'l>(logger: &'l AuditLogger, text: &'l str) -> Result<Entry<'l>, Refusal> {
    let object = Json::parse(text)?;
    if !matches!(object, Json::Object(_)) {
        return Err(Refusal::new(format!("expected an object, found {}", kind(object))));
    }
    let text_of = |field: Field| match object.member(field.name()) {
        None | Some(Json::Null) => Ok(Cow::Borrowed("")),
        Some(value) => self::text(field, value),
    };
    let mut seen = Vec::new();
    let mut entry = logger
        .log(text_of(Field::Description)?)
        .entity(text_of(Field::EntityType)?, text_of(Field::EntityId)?);
    for (name, value) in object.members() {
        let field = Field::named(name.as_bytes()).ok_or_else(|| unknown(&name))?;
        if seen.contains(&field) {
            return Err(Refusal::new(format!("{name}: the field appears twice")));
        }
        seen.push(field);
        entry = set(entry, field, value)?;
    }
    if text_of(Field::Description)?.is_empty() {
        return Err(Refusal::new("description: expected text that says what happened"));
    }
    Ok(entry)
}

fn set<'l>(entry: Entry<'l>, field: Field, value: Json<'l>) -> Result<Entry<'l>, Refusal> {
    let text = || text(field, value);
    Ok(match field {
        Field::Seq | Field::Id | Field::Timestamp | Field::Hostname | Field::Erased | Field::Auditx => {
            return Err(Refusal::new(format!("{}: auditx sets this field, leave it out", field.name())));
        }
        // Like an absent field.
        _ if value == Json::Null => entry,
        // They are set when the entry is made.
        Field::Description | Field::EntityType | Field::EntityId => entry,
        Field::Level => entry.level(word(field, value)?),
        Field::Module => entry.module(word(field, value)?),
        Field::Action => entry.action(word(field, value)?),
        Field::User => entry.user(text()?),
        Field::UserRole => entry.user_role(text()?),
        Field::OnBehalfOf => entry.on_behalf_of(text()?),
        Field::CompanyId => entry.company_id(text()?),
        Field::BranchId => entry.branch_id(text()?),
        Field::ReferenceNo => entry.reference_no(text()?),
        Field::Amount => entry.amount(amount(value)?),
        Field::Currency => entry.currency(text()?),
        Field::OldValues => entry.old_values(value::json(field.name(), value)?),
        Field::NewValues => entry.new_values(value::json(field.name(), value)?),
        Field::Metadata => metadata(entry, value)?,
        Field::RequestId => entry.request_id(text()?),
        Field::SessionId => entry.session_id(text()?),
        Field::Ip => {
            let ip = text()?;
            entry.ip(ip.parse().map_err(|_| {
                Refusal::new(format!("ip: expected an address such as 192.168.1.10, found {ip:?}"))
            })?)
        }
        Field::Method => entry.method(text()?),
        Field::Endpoint => entry.endpoint(text()?),
        Field::Status => entry.status(status(value)?),
        Field::Success => match value {
            Json::Bool(success) => entry.success(success),
            other => return Err(wrong_type(field, "true or false", other)),
        },
    })
}

fn wrong_type(field: Field, expected: &str, found: Json<'_>) -> Refusal {
    Refusal::new(format!("{}: expected {expected}, found {}", field.name(), kind(found)))
}

fn text<'l>(field: Field, value: Json<'l>) -> Result<Cow<'l, str>, Refusal> {
    match value {
        Json::Text(_) => Ok(value.text().unwrap_or_default()),
        other => Err(wrong_type(field, "text", other)),
    }
}

/// Returns a level, a module or an action. The message of the library names the field.
fn word<T: FromStr<Err = Error>>(field: Field, value: Json<'_>) -> Result<T, Refusal> {
    Ok(text(field, value)?.parse()?)
}

/// Returns an amount: a number with these digits, or the digits as text, since many languages have no exact
/// numbers in JSON.
fn amount(value: Json<'_>) -> Result<Amount, Refusal> {
    match value {
        Json::Number(digits) => Ok(Amount::parse(digits)?),
        Json::Text(_) => Ok(Amount::parse(&value.text().unwrap_or_default())?),
        other => Err(wrong_type(Field::Amount, "a number", other)),
    }
}

fn status(value: Json<'_>) -> Result<u16, Refusal> {
    const EXPECTED: &str = "a whole number such as 404";
    let Json::Number(digits) = value else { return Err(wrong_type(Field::Status, EXPECTED, value)) };
    digits.parse().map_err(|_| Refusal::new(format!("status: expected {EXPECTED}, found {digits}")))
}

fn metadata<'l>(mut entry: Entry<'l>, value: Json<'l>) -> Result<Entry<'l>, Refusal> {
    if !matches!(value, Json::Object(_)) {
        return Err(wrong_type(Field::Metadata, "an object", value));
    }
    for (key, member) in value.members() {
        let member = value::metadata(&format!("metadata.{key}"), member)?;
        entry = entry.metadata(key, member);
    }
    Ok(entry)
}

fn unknown(name: &str) -> Refusal {
    let nearest = nearest_field(name).and_then(field_named);
    let hint = nearest.map_or_else(String::new, |field| format!("did you mean {:?}? ", field.name()));
    Refusal::new(format!("unknown field {name:?}: {hint}put further data into metadata"))
}
