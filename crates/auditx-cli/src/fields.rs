//! `--fields`: names of what is to be seen of an entry.

use std::borrow::Cow;
use std::str::FromStr;

use auditx_export::{CsvCell, csv_record};
use auditx_reader::{Field, Json, Moment, Row, Zone, field_named, nearest_field};

use crate::harmless_json::{quoted, value};

/// A field of an entry, or a member of one that is an object: `user`, `metadata.party`, `old.credit_limit`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldPath {
    name: String,
    field: Field,
    within: Option<String>,
}

impl FieldPath {
    /// As it was given.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The field itself, where it is meant and not one of its members.
    pub(crate) fn whole(&self) -> Option<Field> {
        self.within.is_none().then_some(self.field)
    }

    /// What an entry says there.
    pub(crate) fn of<'l>(&self, row: &Row<'l>) -> Option<Json<'l>> {
        let value = row.get(self.field)?;
        match &self.within {
            None => Some(value),
            Some(within) => member(value, within),
        }
    }
}

/// A member by its name, or by the names down to it with points between.
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
        return "an entity is two fields: type and entity_id".to_owned();
    }
    let names: Vec<&str> = Field::ALL.iter().map(|field| field.name()).collect();
    let names = names.join(" ");
    let nearest =
        nearest_field(name).map_or_else(String::new, |nearest| format!("did you mean {nearest:?}? "));
    format!(
        "no field is called {name:?}: {nearest}one of: {names}, a short name of the query language \
         such as ref, or a member such as metadata.party"
    )
}

/// The fields of an entry as one record of CSV, its time in this zone.
pub(crate) fn record(row: &Row<'_>, fields: &[FieldPath], zone: &Zone, out: &mut Vec<u8>) {
    let cell = |path: &FieldPath| {
        let value = path.of(row)?;
        Some(match value {
            // Digits that a spreadsheet takes for a number, however the line spells them.
            Json::Number(digits) if path.whole() == Some(Field::Amount) => {
                let amount = row.entry().amount;
                CsvCell::Plain(amount.map_or(Cow::Borrowed(digits), |amount| amount.to_string().into()))
            }
            Json::Object(raw) | Json::Array(raw) => CsvCell::Json(raw),
            Json::Text(_) if path.whole() == Some(Field::Timestamp) && !zone.is_utc() => {
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

/// The names over such records.
pub(crate) fn heading(fields: &[FieldPath], out: &mut Vec<u8>) {
    csv_record(fields.iter().map(|path| Some(CsvCell::Text(path.name().into()))), out);
}

/// The fields of an entry as one JSON object, without those it lacks.
pub(crate) fn object(row: &Row<'_>, fields: &[FieldPath], out: &mut Vec<u8>) {
    out.push(b'{');
    let begin = out.len();
    for path in fields {
        let Some(found) = path.of(row) else { continue };
        if out.len() > begin {
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
    fn every_name_of_the_query_language_that_is_a_field_is_one() {
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
            assert_eq!((path.whole(), path.name()), (Some(field), name));
        }
        let row = Row::read_text(r#"{"seq":7,"auditx":{"kind":"open"}}"#).unwrap();
        assert_eq!("kind".parse::<FieldPath>().unwrap().of(&row), Some(Json::Text("open")));
    }

    #[test]
    fn a_record_of_csv_has_members_digits_and_no_formula() {
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
    fn a_field_is_found_by_its_name_and_a_member_by_the_names_down_to_it() {
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
            users.starts_with("no field is called \"users\": did you mean \"user\"? one of: seq"),
            "{users}"
        );
        assert!("since".parse::<FieldPath>().is_err() && "changed".parse::<FieldPath>().is_err());
        assert_eq!("user.name".parse::<FieldPath>().unwrap_err(), "user has no members");
    }
}
