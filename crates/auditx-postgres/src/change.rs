//! Reads the changes that triggers note in the outbox.

use std::collections::BTreeMap;

use auditx_capture::{Change, Operation};
use auditx_reader::Moment;
use serde_json::{Map, Value};

/// Parses the column `change`. Returns the reason if it is not a change.
pub(crate) fn parse(at: Moment, text: &str) -> Result<Change, String> {
    let invalid = |why: &str| format!("invalid change: {why}");
    let parsed = serde_json::from_str(text);
    let mut members: Map<String, Value> = parsed.map_err(|error| invalid(&error.to_string()))?;
    let operation = match members.get("op").and_then(Value::as_str) {
        Some("I") => Operation::Insert,
        Some("U") => Operation::Update,
        Some("D") => Operation::Delete,
        Some("T") => Operation::Truncate,
        other => return Err(invalid(&format!("the operation is {other:?}: expected I, U, D or T"))),
    };
    let table = text_of(members.remove("table"));
    if table.is_empty() {
        return Err(invalid("it names no table"));
    }
    let mut change = Change::new(at, text_of(members.remove("module")), table, operation);
    change.key = text_of(members.remove("key"));
    change.old = object(members.remove("old"));
    change.new = object(members.remove("new"));
    change.database_user = text_of(members.remove("user"));
    change.context = context(members.remove("context"));
    Ok(change)
}

/// Returns the members of a context; none if it is not an object.
pub(crate) fn context(value: Option<Value>) -> BTreeMap<String, String> {
    object(value).into_iter().map(|(key, value)| (key, text_of(Some(value)))).collect()
}

/// Returns a string without quotes, another value as JSON, and nothing for null.
fn text_of(value: Option<Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text,
        Some(other) => other.to_string(),
    }
}

fn object(value: Option<Value>) -> Map<String, Value> {
    match value {
        Some(Value::Object(members)) => members,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_read_with_its_columns_and_its_context() {
        let text = r#"{"module":"crm","table":"customer","key":42,"op":"U","old":{"limit":500},
            "new":{"limit":900.10},"user":"erp","context":{"auditx-user":"thida","auditx-version":"1"}}"#;
        let change = parse(Moment::EPOCH, text).unwrap();
        let names = (change.module.as_str(), change.table.as_str(), change.key.as_str());
        assert_eq!((names, change.operation), (("crm", "customer", "42"), Operation::Update));
        assert_eq!((&change.old["limit"], change.database_user.as_str()), (&500.into(), "erp"));
        assert_eq!(change.context["auditx-user"], "thida");
    }

    #[test]
    fn a_truncation_has_neither_key_nor_columns() {
        let text = r#"{"module":"crm","table":"customer","key":null,"op":"T","old":null,"context":null}"#;
        let change = parse(Moment::EPOCH, text).unwrap();
        assert_eq!((change.operation, change.key.as_str()), (Operation::Truncate, ""));
        assert!(change.old.is_empty() && change.new.is_empty() && change.context.is_empty());
    }

    #[test]
    fn what_is_no_change_is_refused_with_the_reason() {
        for (text, why) in [
            ("[]", "invalid change"),
            (r#"{"table":"a","op":"X"}"#, "\"X\""),
            (r#"{"table":"a"}"#, "expected I, U, D or T"),
            (r#"{"op":"I"}"#, "names no table"),
        ] {
            let error = parse(Moment::EPOCH, text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
