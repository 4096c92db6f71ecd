//! The fields that an entry changed, with their old and new values.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use auditx_format::row::{Field, Json, Row};

use crate::query::is_equal;

/// One field of a record, before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change<'l> {
    /// The name of the field; for a nested field, the path with dots.
    pub field: String,
    /// The old value; `None` if the field was absent.
    pub old: Option<Json<'l>>,
    /// The new value; `None` if the field was removed.
    pub new: Option<Json<'l>>,
}

/// Returns the differences between the old and the new values in the order of the entry: first the fields
/// that existed before, then the added ones. A value that is not an object is a field without a name.
#[must_use]
pub fn changes<'l>(row: &Row<'l>) -> Vec<Change<'l>> {
    // The Python package writes absent values as null.
    let values = |field| row.get(field).filter(|value| *value != Json::Null);
    let mut changes = Vec::new();
    compare(String::new(), values(Field::OldValues), values(Field::NewValues), &mut changes);
    changes
}

fn compare<'l>(field: String, old: Option<Json<'l>>, new: Option<Json<'l>>, changes: &mut Vec<Change<'l>>) {
    let is_object = |value: Option<Json<'_>>| matches!(value, Some(Json::Object(_)));
    let is_record = if field.is_empty() {
        // A record that was created or deleted is reported field by field.
        let is_record = |value| is_object(value) && !members(value).is_empty();
        is_object(old) && is_object(new) || is_record(old) && new.is_none() || old.is_none() && is_record(new)
    } else {
        is_object(old) && is_object(new)
    };
    if !is_record {
        let is_same = match (old, new) {
            (Some(old), Some(new)) => is_equal(old, new),
            _ => old.is_none() && new.is_none(),
        };
        if !is_same {
            changes.push(Change { field, old, new });
        }
        return;
    }
    let name = |key: &str| if field.is_empty() { key.to_owned() } else { format!("{field}.{key}") };
    let (before, after) = (members(old), members(new));
    for (key, value) in &before {
        compare(name(key), Some(*value), find(&after, key), changes);
    }
    for (key, value) in &after {
        if find(&before, key).is_none() {
            compare(name(key), None, Some(*value), changes);
        }
    }
}

type Members<'l> = Vec<(std::borrow::Cow<'l, str>, Json<'l>)>;

/// Returns the members in order; if a name occurs twice, the last value counts.
fn members(value: Option<Json<'_>>) -> Members<'_> {
    let mut members: Members<'_> = Vec::new();
    let mut indexes: HashMap<_, usize> = HashMap::new();
    for (key, value) in value.into_iter().flat_map(Json::members) {
        match indexes.entry(key.clone()) {
            Entry::Occupied(entry) => members[*entry.get()].1 = value,
            Entry::Vacant(entry) => {
                entry.insert(members.len());
                members.push((key, value));
            }
        }
    }
    members
}

fn find<'l>(members: &Members<'l>, name: &str) -> Option<Json<'l>> {
    members.iter().find(|(key, _)| key == name).map(|(_, value)| *value)
}

#[cfg(test)]
mod tests {
    use auditx_format::moment::Moment;

    use super::*;
    use crate::query::Query;

    fn differences(old: &str, new: &str) -> Vec<String> {
        let line = line(old, new);
        let row = Row::read_text(&line).unwrap();
        let text = |value: Option<Json<'_>>| format!("{:?}", value.map(|value| value.text()));
        changes(&row)
            .iter()
            .map(|change| format!("{}: {} {}", change.field, text(change.old), text(change.new)))
            .map(|change| change.replace("Some(", "").replace([')', '"'], ""))
            .collect()
    }

    #[test]
    fn only_changed_fields_are_reported() {
        assert_eq!(
            differences(
                r#"{"a":1,"same":"A","address":{"city":"Yangon","zip":1}}"#,
                r#"{"a":2,"same":"\u0041","address":{"city":"Bago","zip":1}}"#
            ),
            ["a: 1 2", "address.city: Yangon Bago"]
        );
        assert_eq!(differences(r#"{"a":1}"#, r#"{"b":2}"#), ["a: 1 None", "b: None 2"]);
        assert_eq!(differences("-", r#"{"a":1}"#), ["a: None 1"]);
        assert_eq!(differences(r#"{"a":"x"}"#, "-"), ["a: x None"]);
        assert_eq!(differences(r#""draft""#, r#""posted""#), [": draft posted"]);
        assert_eq!(differences("-", "-"), [""; 0]);
    }

    #[test]
    fn numbers_are_compared_by_value_and_differ_from_text() {
        assert_eq!(differences(r#"{"a":500000}"#, r#"{"a":500000.0}"#), [""; 0]);
        assert_eq!(differences(r#"{"a":[1,{"b":5e5}]}"#, r#"{"a":[1.0,{"b":500000}]}"#), [""; 0]);
        assert_eq!(differences(r#"{"a":500000}"#, r#"{"a":"500000"}"#), ["a: 500000 500000"]);
        assert_eq!(
            differences(r#"{"a":9007199254740992}"#, r#"{"a":9007199254740993}"#),
            ["a: 9007199254740992 9007199254740993"]
        );
    }

    #[test]
    fn a_query_for_changes_finds_what_is_reported() {
        let values = [
            "-",
            "null",
            "{}",
            "[]",
            "1",
            "1.0",
            "\"1\"",
            "\"\"",
            r#"{"a":1}"#,
            r#"{"a":1.0}"#,
            r#"{"a":"1"}"#,
            r#"{"a":null}"#,
            r#"{"a":2,"a":1}"#,
            r#"{"a":{}}"#,
            r#"{"a":{"b":[1,2]}}"#,
            r#"{"a":{"b":[1.0,2e0]}}"#,
            r#"{"b":"\u0041","a":1}"#,
            r#"{"a":1,"b":"A"}"#,
        ];
        let any = Query::parse("changed:*", Moment::now()).unwrap();
        for old in values {
            for new in values {
                let line = line(old, new);
                let row = Row::read_text(&line).unwrap();
                assert_eq!(any.matches(&row), !changes(&row).is_empty(), "{line}");
            }
        }
    }

    fn line(old: &str, new: &str) -> String {
        format!(r#"{{"seq":1,"id":"i","old_values":{old},"new_values":{new}}}"#)
            .replace(r#","old_values":-"#, "")
            .replace(r#","new_values":-"#, "")
    }
}
