//! The values of an entry, field by field.

use std::collections::BTreeMap;

use auditx_format::row::Json;

/// Returns the values by the paths of their fields. Lists, empty objects and noted hashes are values; a value
/// that is not an object is that of the field without a name.
pub(super) fn leaves(value: Json<'_>) -> BTreeMap<String, Json<'_>> {
    let mut leaves = BTreeMap::new();
    match value {
        Json::Object(_) => {
            value.members().for_each(|(name, value)| add(name.into_owned(), value, &mut leaves))
        }
        _ => drop(leaves.insert(String::new(), value)),
    }
    leaves
}

fn add<'l>(field: String, value: Json<'l>, leaves: &mut BTreeMap<String, Json<'l>>) {
    let is_nested = value.members().next().is_some() && !is_hash(value);
    if !is_nested {
        leaves.insert(field, value);
        return;
    }
    for (name, value) in value.members() {
        add(format!("{field}.{name}"), value, leaves);
    }
}

/// Whether the value stands for a longer one: `{"bytes":…,"sha256":…}`.
fn is_hash(value: Json<'_>) -> bool {
    value.members().count() == 2
        && matches!(value.member("bytes"), Some(Json::Number(_)))
        && matches!(value.member("sha256"), Some(Json::Text(hash)) if hash.len() == 64)
}

/// Returns the JSON text of a value.
pub(super) fn raw(value: Json<'_>) -> String {
    match value {
        Json::Text(raw) => format!("\"{raw}\""),
        Json::Number(raw) | Json::Object(raw) | Json::Array(raw) => raw.to_owned(),
        Json::Bool(is) => is.to_string(),
        Json::Null => "null".to_owned(),
    }
}
