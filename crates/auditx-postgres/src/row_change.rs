//! Makes changes of the rows that triggers store: their difference and their key.
//!
//! The trigger stores both versions of a row whole, since comparing them there would cost the application's
//! transaction more than all the rest of the trigger.

use std::collections::BTreeMap;

use auditx_capture::{Change, Operation};
use auditx_core::REDACTED;
use auditx_reader::Moment;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// A row of `auditx.row_change`.
#[derive(Debug)]
pub(crate) struct RowChange<'a> {
    /// The first argument of the trigger, which `capture/enable.sql` writes.
    pub(crate) settings: &'a str,
    /// The first letter of INSERT, UPDATE or DELETE.
    pub(crate) operation: &'a str,
    /// The row before and after, or null: an array of two.
    pub(crate) versions: &'a str,
    /// The key if the trigger knows it. Otherwise the columns have the names of the settings.
    pub(crate) key: Option<&'a str>,
    /// The masked columns that differ; they are not in the versions.
    pub(crate) masked: Vec<&'a str>,
    pub(crate) database_user: &'a str,
    /// What the application set as its context.
    pub(crate) context: &'a str,
}

#[derive(Debug, Deserialize)]
struct Settings {
    table: String,
    module: String,
    key: Vec<String>,
    exclude: Vec<String>,
}

/// The columns of a row and their values, which are parsed only if they differ.
type Row<'a> = BTreeMap<String, &'a RawValue>;

impl RowChange<'_> {
    /// Returns the change; `None` if no column differs that is noted. Fails with the reason if the row is not
    /// a change.
    pub(crate) fn change(&self, at: Moment) -> Result<Option<Change>, String> {
        let invalid = |error: serde_json::Error| format!("invalid change of a row: {error}");
        let settings: Settings = serde_json::from_str(self.settings).map_err(invalid)?;
        let (mut old, mut new): (Option<Row<'_>>, Option<Row<'_>>) =
            serde_json::from_str(self.versions).map_err(invalid)?;
        let operation = match self.operation {
            "I" => Operation::Insert,
            "U" => Operation::Update,
            "D" => Operation::Delete,
            other => return Err(format!("invalid change of a row: {other:?} is not I, U or D")),
        };
        let mut change = Change::new(at, settings.module, settings.table, operation);
        change.key = match (self.key, old.as_ref().or(new.as_ref())) {
            (Some(key), _) => key.to_owned(),
            (None, Some(row)) => key_of(row, &settings.key),
            (None, None) => String::new(),
        };
        if self.key.is_none() {
            // The trigger removed the others.
            for row in [&mut old, &mut new].into_iter().flatten() {
                row.retain(|name, _| !settings.exclude.contains(name));
            }
        }
        for (row, other, columns) in [(&old, &new, &mut change.old), (&new, &old, &mut change.new)] {
            let Some(row) = row else { continue };
            let of_other = |name: &String| other.as_ref().and_then(|other| other.get(name));
            let differing = row.iter().filter(|(name, value)| {
                of_other(name).is_none_or(|other| !is_same(value.get(), other.get()))
            });
            columns.extend(differing.map(|(name, value)| (name.clone(), value_of(value))));
            columns.extend(self.masked.iter().map(|name| ((*name).to_owned(), REDACTED.into())));
        }
        if operation == Operation::Update && change.old.is_empty() && change.new.is_empty() {
            return Ok(None);
        }
        self.database_user.clone_into(&mut change.database_user);
        change.context = context(self.context);
        Ok(Some(change))
    }
}

fn key_of(row: &Row<'_>, columns: &[String]) -> String {
    let values = columns.iter().map(|name| match row.get(name).map(|value| value_of(value)) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text,
        Some(other) => other.to_string(),
    });
    values.collect::<Vec<_>>().join(",")
}

/// Returns whether two values are the same. Numbers are whatever their digits after the point.
fn is_same(one: &str, other: &str) -> bool {
    one == other
        || matches!((plain_number(one), plain_number(other)), (Some(one), Some(other)) if one == other)
}

/// Returns a number without zeros at the end of its fraction; `None` if it is not a number, or has an
/// exponent.
fn plain_number(text: &str) -> Option<&str> {
    let is_plain = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'-' | b'.'));
    if !is_plain || !text.contains('.') {
        return is_plain.then_some(text);
    }
    Some(text.trim_end_matches('0').trim_end_matches('.'))
}

/// Returns a value; its JSON as text if a [`Value`] would be another one, or if readers of the trail refuse
/// it.
fn value_of(raw: &RawValue) -> Value {
    let text = raw.get();
    // PostgreSQL has no such character in a jsonb.
    if has_null_character(text) {
        return text.into();
    }
    match serde_json::from_str(text) {
        Ok(Value::Number(number)) => {
            let is_exact = plain_number(text).is_none_or(|digits| is_same(digits, &number.to_string()));
            if is_exact { Value::Number(number) } else { text.into() }
        }
        Ok(value) => value,
        // Too deep, or a number that is too large.
        Err(_) => text.into(),
    }
}

/// Returns whether a string of this JSON has the escape `\u0000`, and not a backslash before `u0000`.
fn has_null_character(text: &str) -> bool {
    text.match_indices("\\u0000").any(|(at, _)| {
        let before = text[..at].bytes().rev().take_while(|byte| *byte == b'\\').count();
        before % 2 == 0
    })
}

/// Returns the context; an empty one if the text is not a JSON object.
fn context(text: &str) -> BTreeMap<String, String> {
    let members: Map<String, Value> = serde_json::from_str(text).unwrap_or_default();
    let text_of = |value| match value {
        Value::Null => String::new(),
        Value::String(text) => text,
        other => other.to_string(),
    };
    members.into_iter().map(|(name, value)| (name, text_of(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: &str = r#"{"id":"x","table":"line","module":"crm","key":["no","part"],"exclude":["no"]}"#;

    fn row<'a>(operation: &'a str, versions: &'a str) -> RowChange<'a> {
        let (settings, database_user) = (SETTINGS, "erp");
        RowChange { settings, operation, versions, key: None, masked: vec![], database_user, context: "" }
    }

    fn update(old: &str, new: &str) -> Option<Change> {
        row("U", &format!("[{{\"v\":{old}}},{{\"v\":{new}}}]")).change(Moment::EPOCH).unwrap()
    }

    #[test]
    fn an_update_has_what_differs() {
        let text = r#"[{"no":7,"part":"a","x":1.50,"y":null},{"no":7,"part":"a","x":1.5,"y":[true]}]"#;
        let change = row("U", text).change(Moment::EPOCH).unwrap().unwrap();
        let found = (change.key.as_str(), Value::Object(change.old), Value::Object(change.new));
        assert_eq!(found, ("7,a", serde_json::json!({ "y": null }), serde_json::json!({ "y": [true] })));
        assert_eq!((change.table.as_str(), change.module.as_str()), ("line", "crm"));
    }

    #[test]
    fn an_update_of_nothing_is_none() {
        for value in ["1", "\"a\"", "{\"a\": [1, null]}", "null"] {
            assert!(update(value, value).is_none(), "{value}");
        }
        for (old, new) in [("1.5", "1.50"), ("7", "7.000"), ("-0.10", "-0.1")] {
            assert!(update(old, new).is_none(), "{old} {new}");
        }
    }

    #[test]
    fn a_small_difference_is_one() {
        for (old, new) in [
            ("1", "10"),
            ("100", "1"),
            ("\"1.5\"", "\"1.50\""),
            ("1.5", "\"1.5\""),
            ("123456789012345678901234567890.1200", "123456789012345678901234567890.1201"),
            ("[1]", "[1.1]"),
        ] {
            let change = update(old, new).unwrap_or_else(|| panic!("{old} {new}"));
            assert_ne!(change.old["v"], change.new["v"], "{old} {new}");
        }
    }

    #[test]
    fn a_value_that_is_no_number_of_64_bits_is_noted_as_text() {
        let deep = format!("{}{}", "[".repeat(1_000), "]".repeat(1_000));
        let long = format!("1{}", "0".repeat(400));
        for text in ["123456789012345678901234567890.12", &deep, &long, "{\"a\":\"\\u0000\"}"] {
            assert_eq!(update("0", text).unwrap().new["v"], text);
        }
        // The text of such a document is a string like any other.
        assert_eq!(update("0", r#""{\"a\":\"\\u0000\"}""#).unwrap().new["v"], r#"{"a":"\u0000"}"#);
        assert_eq!(update("0", "900.10").unwrap().new["v"], serde_json::json!(900.1));
        assert_eq!(update("0", "9223372036854775807").unwrap().new["v"], i64::MAX);
    }

    #[test]
    fn a_masked_column_is_on_the_sides_that_exist() {
        let mut inserted = row("I", r#"[null,{"no":1,"part":null}]"#);
        inserted.masked = vec!["secret"];
        let change = inserted.change(Moment::EPOCH).unwrap().unwrap();
        assert_eq!(
            (change.key.as_str(), change.old.len(), &change.new["secret"]),
            ("1,", 0, &REDACTED.into())
        );
        let mut updated = row("U", r#"[{"no":1},{"no":1}]"#);
        updated.masked = vec!["secret"];
        let change = updated.change(Moment::EPOCH).unwrap().unwrap();
        assert_eq!((change.old.len(), change.new.len()), (1, 1));
    }

    #[test]
    fn an_excluded_column_of_the_key_is_only_in_the_key() {
        let change = row("D", r#"[{"no":7,"part":"a"},null]"#).change(Moment::EPOCH).unwrap().unwrap();
        let columns: Vec<&str> = change.old.keys().map(String::as_str).collect();
        assert_eq!((change.key.as_str(), columns), ("7,a", vec!["part"]));
        assert!(row("U", r#"[{"no":7},{"no":8}]"#).change(Moment::EPOCH).unwrap().is_none());
    }

    #[test]
    fn only_a_json_object_is_a_context() {
        for text in ["", "{not json", "[1]", "{"] {
            assert!(context(text).is_empty(), "{text}");
        }
        assert_eq!(context(r#"{"user":"thida","n":1}"#).len(), 2);
    }

    #[test]
    fn what_is_no_change_is_refused_with_the_reason() {
        for (operation, versions) in [("X", "[null,{}]"), ("I", "{}"), ("I", "[1,2]"), ("I", "[null")] {
            let error = row(operation, versions).change(Moment::EPOCH).unwrap_err();
            assert!(error.starts_with("invalid change of a row: "), "{error}");
        }
    }
}
