//! Values of JSON text as the library takes them. No number is rounded.

use auditx_core::{Amount, MetadataValue};
use auditx_format::row::Json;
use auditx_reader::sortable_number;
use serde_json::{Number, Value};

use super::refusal::Refusal;

/// Returns what a value is, for messages.
pub(super) fn kind(value: Json<'_>) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "true or false",
        Json::Number(_) => "a number",
        Json::Text(_) => "text",
        Json::Object(_) => "an object",
        Json::Array(_) => "an array",
    }
}

/// Returns a value of the metadata. Plain numbers keep their digits.
pub(super) fn metadata<'t>(name: &str, value: Json<'t>) -> Result<MetadataValue<'t>, Refusal> {
    if let Json::Text(_) = value {
        return Ok(value.text().unwrap_or_default().into());
    }
    if let Json::Number(digits) = value
        && let Ok(exact) = Amount::parse(digits)
    {
        return Ok(exact.into());
    }
    Ok(json(name, value)?.into())
}

/// Returns a value of any kind. `name` is its path in messages. Recurses as deep as the text is nested, which
/// `Json::parse` limits.
pub(super) fn json(name: &str, value: Json<'_>) -> Result<Value, Refusal> {
    Ok(match value {
        Json::Null => Value::Null,
        Json::Bool(is_true) => Value::Bool(is_true),
        Json::Number(digits) => Value::Number(number(name, digits)?),
        Json::Text(_) => Value::String(value.text().unwrap_or_default().into_owned()),
        Json::Array(_) => {
            let items =
                value.items().enumerate().map(|(index, item)| json(&format!("{name}[{index}]"), item));
            Value::Array(items.collect::<Result<_, _>>()?)
        }
        Json::Object(_) => {
            let members = value.members().map(|(key, value)| {
                let value = json(&format!("{name}.{key}"), value)?;
                Ok::<_, Refusal>((key.into_owned(), value))
            });
            Value::Object(members.collect::<Result<_, _>>()?)
        }
    })
}

/// Returns a number, which `serde_json` stores as `u64`, `i64` or `f64`.
fn number(name: &str, digits: &str) -> Result<Number, Refusal> {
    let stored = serde_json::from_str::<Number>(digits).ok();
    stored.filter(|stored| is_same(&stored.to_string(), digits)).ok_or_else(|| {
        Refusal::new(format!("{name}: the number {digits} would be rounded: write it as text"))
    })
}

fn is_same(one: &str, other: &str) -> bool {
    let sortable = |digits| {
        let mut bytes = Vec::new();
        sortable_number(digits, &mut bytes).then_some(bytes)
    };
    sortable(one).is_some() && sortable(one) == sortable(other)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn value(text: &str) -> Result<Value, Refusal> {
        json("old_values", Json::parse(text).unwrap())
    }

    #[test]
    fn a_value_is_that_of_the_text() {
        let text = r#"{"a":[1,-2.50,1e2,-0,18446744073709551615],"b\n":"\u0041","c":null,"d":{"e":true}}"#;
        let expected =
            json!({"a": [1, -2.5, 100.0, -0.0, u64::MAX], "b\n": "A", "c": null, "d": {"e": true}});
        assert_eq!(value(text).unwrap(), expected);
    }

    #[test]
    fn a_number_that_would_be_rounded_is_refused() {
        for digits in ["18446744073709551617", "0.12345678901234567890", "1e400"] {
            let refusal = value(&format!(r#"{{"a":[{{"b":{digits}}}]}}"#)).unwrap_err().to_string();
            let expected =
                format!("old_values.a[0].b: the number {digits} would be rounded: write it as text");
            assert_eq!(refusal, expected);
        }
    }

    #[test]
    fn a_plain_number_of_the_metadata_keeps_its_digits() {
        let kept = metadata("metadata.n", Json::Number("12.500")).unwrap();
        assert!(matches!(kept, MetadataValue::Amount(exact) if exact.to_string() == "12.500"));
    }
}
