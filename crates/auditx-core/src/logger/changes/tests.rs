//! Tests of snapshots and their differences.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::*;

/// Converts a snapshot whose numbers fit into a `Value`.
fn plain(snapshot: &Snapshot) -> Value {
    match snapshot {
        Snapshot::Null => Value::Null,
        Snapshot::Bool(value) => Value::Bool(*value),
        Snapshot::Number(digits) => serde_json::from_str(digits).unwrap(),
        Snapshot::Text(text) => Value::String(text.clone()),
        Snapshot::Array(items) => items.iter().map(plain).collect(),
        Snapshot::Object(members) => {
            Value::Object(members.iter().map(|(key, value)| (key.clone(), plain(value))).collect())
        }
    }
}

fn compared(before: &Value, after: &Value) -> (Option<Value>, Option<Value>) {
    let snapshot = |value| super::snapshot("a value", value).unwrap();
    let (old, new) = between(snapshot(before), snapshot(after));
    (old.as_ref().map(plain), new.as_ref().map(plain))
}

#[test]
fn only_differing_fields_are_kept_at_any_depth() {
    let yangon = json!({"city": "Yangon", "zip": "11181"});
    let mandalay = json!({"city": "Mandalay", "zip": "11181"});
    let before = json!({"id": 1, "limit": 500, "address": yangon, "tags": [1], "old": true});
    let after = json!({"id": 1, "limit": 900, "address": mandalay, "tags": [1, 2], "new": 0});
    let (old, new) = compared(&before, &after);
    assert_eq!(old.unwrap(), json!({"limit": 500, "address": {"city": "Yangon"}, "tags": [1], "old": true}));
    assert_eq!(
        new.unwrap(),
        json!({"limit": 900, "address": {"city": "Mandalay"}, "tags": [1, 2], "new": 0})
    );
}

#[test]
fn equal_snapshots_have_no_differences() {
    assert_eq!(compared(&json!({"a": {"b": 1}}), &json!({"a": {"b": 1}})), (None, None));
    assert_eq!(compared(&json!({"a": 1}), &json!({})), (Some(json!({"a": 1})), None));
}

#[test]
fn a_snapshot_equals_the_value_of_serde_json() {
    #[derive(Serialize)]
    struct Unit;
    #[derive(Serialize)]
    struct Newtype(u8);
    #[derive(Serialize)]
    struct Tuple(char, Option<Newtype>);
    #[derive(Serialize, PartialEq, Eq, PartialOrd, Ord)]
    enum Kind {
        Unit,
        Newtype(i16),
        Tuple(u8, i64),
        Struct { field: bool },
    }
    #[derive(Serialize)]
    struct Rest {
        more: f64,
    }
    #[derive(Serialize)]
    struct Record<'r> {
        unit: Unit,
        nothing: (),
        tuple: Tuple,
        none: Option<u8>,
        kinds: Vec<Kind>,
        by_kind: BTreeMap<Kind, u32>,
        by_number: BTreeMap<i8, &'r str>,
        array: [f64; 3],
        empty: [u8; 0],
        #[serde(flatten)]
        rest: Rest,
        value: Value,
    }
    let record = Record {
        unit: Unit,
        nothing: (),
        tuple: Tuple('က', Some(Newtype(7))),
        none: None,
        kinds: vec![Kind::Unit, Kind::Newtype(-5), Kind::Tuple(1, i64::MIN), Kind::Struct { field: true }],
        by_kind: [(Kind::Unit, 1)].into(),
        by_number: [(-1, "minus one")].into(),
        array: [0.1, 1e300, -0.0],
        empty: [],
        rest: Rest { more: 2.5 },
        value: json!({"nested": [null, 1.5, {"a": "b"}], "large": u64::MAX}),
    };
    let snapshot = snapshot("the record", &record).unwrap();
    assert_eq!(plain(&snapshot), serde_json::to_value(&record).unwrap());
}

#[test]
fn invalid_raw_json_is_rejected() {
    #[derive(Serialize)]
    #[serde(rename = "$serde_json::private::RawValue")]
    struct Claimed {
        #[serde(rename = "$serde_json::private::RawValue")]
        text: &'static str,
    }
    for text in ["", "{", "1 2", "{\"a\":01}", "\"\u{1}\""] {
        let error = snapshot("the record", &[Claimed { text }]).unwrap_err().to_string();
        assert!(error.starts_with("the record: [0]: ") && error.ends_with(" is not JSON"), "{error}");
    }
    assert_eq!(plain(&snapshot("", &Claimed { text: " [1, {}] " }).unwrap()), json!([1, {}]));
}
