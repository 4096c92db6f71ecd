//! Which fields an entry says were changed, from what to what.

use auditx_reader::{Field, Json, Row};

/// One field of a record, before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change<'l> {
    /// The field's name; of a nested one the names down to it, with points between.
    pub(crate) field: String,
    /// What it was; none where it was not there.
    pub(crate) old: Option<Json<'l>>,
    /// What it became; none where it is not there any more.
    pub(crate) new: Option<Json<'l>>,
}

/// What is different between the old and the new values, in the order in which they stand: those that were there before, then
/// those that came. A value that is no object is a field without a name.
pub(crate) fn changes<'l>(row: &Row<'l>) -> Vec<Change<'l>> {
    let mut changes = Vec::new();
    compare(String::new(), row.get(Field::OldValues), row.get(Field::NewValues), &mut changes);
    changes
}

fn compare<'l>(field: String, old: Option<Json<'l>>, new: Option<Json<'l>>, changes: &mut Vec<Change<'l>>) {
    let is_object = |value: Option<Json<'_>>| matches!(value, Some(Json::Object(_)));
    let is_record = if field.is_empty() {
        // At the top a record that began or ended is told field by field.
        is_object(old) && (new.is_none() || is_object(new)) || old.is_none() && is_object(new)
    } else {
        is_object(old) && is_object(new)
    };
    if !is_record {
        if !is_same(old, new) {
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

fn members(value: Option<Json<'_>>) -> Members<'_> {
    value.into_iter().flat_map(Json::members).collect()
}

fn find<'l>(members: &Members<'l>, name: &str) -> Option<Json<'l>> {
    members.iter().rev().find(|(key, _)| key == name).map(|(_, value)| *value)
}

/// Numbers by their digits: nothing is known of how exactly they are meant.
fn is_same(old: Option<Json<'_>>, new: Option<Json<'_>>) -> bool {
    match (old, new) {
        (Some(Json::Text(_)), Some(Json::Text(_))) => {
            old.and_then(Json::text).as_deref() == new.and_then(Json::text).as_deref()
        }
        _ => old == new,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(old: &str, new: &str) -> Vec<String> {
        let line = format!(r#"{{"seq":1,"id":"i","old_values":{old},"new_values":{new}}}"#)
            .replace(r#","old_values":-"#, "")
            .replace(r#","new_values":-"#, "");
        let row = Row::read_text(&line).unwrap();
        let text = |value: Option<Json<'_>>| format!("{:?}", value.map(|value| value.text()));
        changes(&row)
            .iter()
            .map(|change| format!("{}: {} {}", change.field, text(change.old), text(change.new)))
            .map(|told| told.replace("Some(", "").replace([')', '"'], ""))
            .collect()
    }

    #[test]
    fn only_what_differs_is_told_down_to_its_field() {
        assert_eq!(
            told(
                r#"{"a":1,"same":"A","address":{"city":"Yangon","zip":1}}"#,
                r#"{"a":2,"same":"\u0041","address":{"city":"Bago","zip":1}}"#
            ),
            ["a: 1 2", "address.city: Yangon Bago"]
        );
        assert_eq!(told(r#"{"a":1}"#, r#"{"b":2}"#), ["a: 1 None", "b: None 2"]);
        assert_eq!(told("-", r#"{"a":1}"#), ["a: None 1"]);
        assert_eq!(told(r#"{"a":"x"}"#, "-"), ["a: x None"]);
        assert_eq!(told(r#""draft""#, r#""posted""#), [": draft posted"]);
        assert_eq!(told("-", "-"), [""; 0]);
    }
}
