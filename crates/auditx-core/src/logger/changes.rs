//! What differs between two snapshots of a record.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::error::{Error, Result};

pub(super) fn snapshot(record: &impl Serialize) -> Result<Value> {
    serde_json::to_value(record).map_err(|error| {
        Error::invalid("a snapshot for changes() cannot be serialised to JSON").because(error)
    })
}

/// The differing parts of both. Objects are compared field by field at any depth, everything else as a whole.
pub(super) fn between(before: Value, after: Value) -> (Option<Value>, Option<Value>) {
    match (before, after) {
        (before, after) if before == after => (None, None),
        (Value::Object(before), Value::Object(after)) => between_objects(before, after),
        (before, after) => (Some(before), Some(after)),
    }
}

fn between_objects(
    before: Map<String, Value>,
    mut after: Map<String, Value>,
) -> (Option<Value>, Option<Value>) {
    let (mut old, mut new) = (Map::new(), Map::new());
    for (key, before) in before {
        let (old_part, new_part) = match after.remove(&key) {
            Some(after) => between(before, after),
            None => (Some(before), None),
        };
        old.extend(old_part.map(|part| (key.clone(), part)));
        new.extend(new_part.map(|part| (key, part)));
    }
    new.extend(after);
    let some = |map: Map<String, Value>| (!map.is_empty()).then_some(Value::Object(map));
    (some(old), some(new))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_differs_is_kept_at_any_depth() {
        let before = json!({"id": 1, "limit": 500, "address": {"city": "Yangon", "zip": "11181"}, "tags": [1], "gone": true});
        let after = json!({"id": 1, "limit": 900, "address": {"city": "Mandalay", "zip": "11181"}, "tags": [1, 2], "new": 0});
        let (old, new) = between(before, after);
        assert_eq!(
            old.unwrap(),
            json!({"limit": 500, "address": {"city": "Yangon"}, "tags": [1], "gone": true})
        );
        assert_eq!(
            new.unwrap(),
            json!({"limit": 900, "address": {"city": "Mandalay"}, "tags": [1, 2], "new": 0})
        );
    }

    #[test]
    fn equal_snapshots_leave_nothing() {
        assert_eq!(between(json!({"a": {"b": 1}}), json!({"a": {"b": 1}})), (None, None));
        assert_eq!(between(json!({"a": 1}), json!({})), (Some(json!({"a": 1})), None));
    }
}
