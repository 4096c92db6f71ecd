//! `--fields`: names of what is to be seen of an entry.

use std::str::FromStr;

use auditx_reader::{Field, Json, Row};

use crate::harmless_json::{quoted, value};

/// A field of an entry, or a member of one that is an object: `user`, `metadata.party`, `old.credit_limit`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldPath {
    name: String,
    field: Field,
    within: Option<String>,
}

/// Shorter names of the objects.
const SHORT: [(&str, Field); 3] =
    [("old", Field::OldValues), ("new", Field::NewValues), ("meta", Field::Metadata)];

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
        let short = SHORT.iter().find(|(short, _)| *short == first).map(|(_, field)| *field);
        let field = short.or_else(|| Field::named(first.as_bytes())).ok_or_else(|| {
            let names: Vec<&str> = Field::ALL.iter().map(|field| field.name()).collect();
            format!(
                "no entry has such a field; one of: {}, or a member such as metadata.party",
                names.join(" ")
            )
        })?;
        let is_object =
            matches!(field, Field::OldValues | Field::NewValues | Field::Metadata | Field::Auditx);
        if within.is_some() && !is_object {
            return Err(format!("{first} has no members"));
        }
        Ok(Self { name: name.to_owned(), field, within })
    }
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
        assert!("users".parse::<FieldPath>().unwrap_err().contains("one of: seq"));
        assert_eq!("user.name".parse::<FieldPath>().unwrap_err(), "user has no members");
    }
}
