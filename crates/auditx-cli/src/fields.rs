//! `--fields` and `--by`: names of fields and their members.

use std::borrow::Cow;
use std::str::FromStr;

use auditx_export::{CsvCell, csv_record};
use auditx_reader::{Field, Json, Moment, Row, Zone, field_named, nearest_field};

use crate::sanitized_json::{quoted, value};

/// A field of an entry, or a member of an object field: `user`, `metadata.party`, `old.credit_limit`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldPath {
    name: String,
    field: Field,
    within: Option<String>,
}

impl FieldPath {
    /// Returns the name as the user wrote it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the field; `None` if the path names a member of it.
    pub(crate) fn field(&self) -> Option<Field> {
        self.within.is_none().then_some(self.field)
    }

    /// Returns the value of an entry.
    pub(crate) fn of<'l>(&self, row: &Row<'l>) -> Option<Json<'l>> {
        let value = row.get(self.field)?;
        match &self.within {
            None => Some(value),
            Some(within) => member(value, within),
        }
    }
}

/// Returns a member by its name, or a nested one by its path with dots.
fn member<'l>(value: Json<'l>, name: &str) -> Option<Json<'l>> {
    value.member(name).or_else(|| {
        let (first, rest) = name.split_once('.')?;
        member(value.member(first)?, rest)
    })
}

impl FromStr for FieldPath {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let (first, within) = match name.split_once('.') {
            Some((first, within)) => (first, Some(within.to_owned())),
            None => (name, None),
        };
        if name.eq_ignore_ascii_case("kind") {
            return Ok(Self { name: name.to_owned(), field: Field::Auditx, within: Some("kind".to_owned()) });
        }
        let field = field_named(first).ok_or_else(|| unknown(first))?;
        let is_object =
            matches!(field, Field::OldValues | Field::NewValues | Field::Metadata | Field::Auditx);
        if within.is_some() && !is_object {
            return Err(format!("{first} has no members"));
        }
        Ok(Self { name: name.to_owned(), field, within })
    }
}

fn unknown(name: &str) -> String {
    if name.eq_ignore_ascii_case("entity") {
        return "entity is not a single field: use type and entity_id".to_owned();
    }
    let names: Vec<&str> = Field::ALL.iter().map(|field| field.name()).collect();
    let names = names.join(" ");
    let nearest =
        nearest_field(name).map_or_else(String::new, |nearest| format!("did you mean {nearest:?}? "));
    format!(
        "unknown field {name:?}: {nearest}expected one of: {names}, a short name of the query language \
         such as ref, or a member such as metadata.party"
    )
}

/// Writes the fields of an entry as one CSV record, with the time in `zone`.
pub(crate) fn record(row: &Row<'_>, fields: &[FieldPath], zone: &Zone, out: &mut Vec<u8>) {
    let cell = |path: &FieldPath| {
        let value = path.of(row)?;
        Some(match value {
            // Plain digits, which a spreadsheet reads as a number whatever the notation in the line.
            Json::Number(digits) if path.field() == Some(Field::Amount) => {
                let amount = row.entry().amount;
                CsvCell::Plain(amount.map_or(Cow::Borrowed(digits), |amount| amount.to_string().into()))
            }
            Json::Object(raw) | Json::Array(raw) => CsvCell::Json(raw),
            Json::Text(_) if path.field() == Some(Field::Timestamp) && !zone.is_utc() => {
                let text = value.text()?;
                CsvCell::Text(Moment::parse(&text).map_or(text, |moment| zone.rfc3339(moment).into()))
            }
            Json::Text(_) => CsvCell::Text(value.text()?),
            Json::Null => return None,
            Json::Number(_) | Json::Bool(_) => CsvCell::Plain(value.text()?),
        })
    };
    csv_record(fields.iter().map(cell), out);
}

/// Writes the CSV header.
pub(crate) fn heading(fields: &[FieldPath], out: &mut Vec<u8>) {
    csv_record(fields.iter().map(|path| Some(CsvCell::Text(path.name().into()))), out);
}

/// Writes the fields of an entry as one JSON object, without absent fields.
pub(crate) fn object(row: &Row<'_>, fields: &[FieldPath], out: &mut Vec<u8>) {
    out.push(b'{');
    let start = out.len();
    for path in fields {
        let Some(found) = path.of(row) else { continue };
        if out.len() > start {
            out.push(b',');
        }
        quoted(path.name(), out);
        out.push(b':');
        value(found, out);
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_of_the_query_language_are_fields() {
        for (name, field) in [
            ("ref", Field::ReferenceNo),
            ("company", Field::CompanyId),
            ("ip", Field::Ip),
            ("time", Field::Timestamp),
            ("Host", Field::Hostname),
            ("success", Field::Success),
            ("meta", Field::Metadata),
        ] {
            let path: FieldPath = name.parse().unwrap();
            assert_eq!((path.field(), path.name()), (Some(field), name));
        }
        let row = Row::read_text(r#"{"seq":7,"auditx":{"kind":"open"}}"#).unwrap();
        assert_eq!("kind".parse::<FieldPath>().unwrap().of(&row), Some(Json::Text("open")));
    }

    #[test]
    fn a_csv_record_has_members_and_digits_and_no_formula() {
        let line = r#"{"seq":7,"user":"=1+1","amount":1e2,"metadata":{"party":"A, B","n":[1, 2],"x":null}}"#;
        let row = Row::read_text(line).unwrap();
        let names = ["user", "amount", "meta.party", "metadata.n", "meta.x", "old.none"];
        let fields = names.map(|name| name.parse().unwrap());
        let mut out = Vec::new();
        heading(&fields, &mut out);
        record(&row, &fields, &Zone::default(), &mut out);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(
            text,
            "user,amount,meta.party,metadata.n,meta.x,old.none\r\n'=1+1,100,\"A, B\",\"[1,2]\",,\r\n"
        );
    }

    #[test]
    fn members_are_found_by_their_path() {
        let line = r#"{"seq":7,"user":"a\"b","amount":1.10,"metadata":{"a":{"b":[1, 2]},"a.c":"d"}}"#;
        let row = Row::read_text(line).unwrap();
        let fields =
            ["amount", "metadata.a.b", "meta.a.c", "user", "old.none"].map(|name| name.parse().unwrap());
        let mut out = Vec::new();
        object(&row, &fields, &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            r#"{"amount":1.10,"metadata.a.b":[1, 2],"meta.a.c":"d","user":"a\"b"}"#
        );
        let users = "users".parse::<FieldPath>().unwrap_err();
        assert!(
            users.starts_with("unknown field \"users\": did you mean \"user\"? expected one of: seq"),
            "{users}"
        );
        assert!("since".parse::<FieldPath>().is_err() && "changed".parse::<FieldPath>().is_err());
        assert_eq!("user.name".parse::<FieldPath>().unwrap_err(), "user has no members");
    }
}
