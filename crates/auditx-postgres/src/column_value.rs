//! Turns the text of a value of a column into JSON, as PostgreSQL's `to_jsonb` does.

use serde_json::{Number, Value, json};
use sha2::{Digest as _, Sha256};

/// How the text of a type is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shape {
    Bool,
    Number,
    Json,
    Timestamp,
    Timestamptz,
    Bytes,
    /// Any other type: its text.
    Text,
    Array(Box<Shape>),
}

/// The longest text that is noted as it is, in bytes.
const MAX_TEXT: usize = 8192;

/// The most dimensions of an array.
const MAX_DEPTH: usize = 6;

impl Shape {
    /// Returns the shape of a type that each database has.
    pub(crate) fn of(oid: u32) -> Self {
        let array = |oid| Self::Array(Box::new(Self::of(oid)));
        match oid {
            16 => Self::Bool,
            17 => Self::Bytes,
            20 | 21 | 23 | 700 | 701 | 1700 => Self::Number,
            114 | 3802 => Self::Json,
            1114 => Self::Timestamp,
            1184 => Self::Timestamptz,
            199 | 3807 => array(114),
            1000 => array(16),
            1001 => array(17),
            1005 | 1007 | 1016 | 1021 | 1022 | 1231 => array(1700),
            1115 => array(1114),
            1185 => array(1184),
            // Of text, name, char and varchar, dates and times, uuid, and addresses.
            1002 | 1003 | 1009 | 1014 | 1015 | 1041 | 651 | 1182 | 1183 | 1187 | 1270 | 2951 => array(25),
            _ => Self::Text,
        }
    }

    /// Returns the value. One whose text is long is noted by its length and hash.
    pub(crate) fn value(&self, text: &str) -> Value {
        if text.len() > MAX_TEXT && *self != Self::Bool {
            return match self {
                Self::Bytes => hashed(&decoded(text).unwrap_or_else(|| text.as_bytes().to_vec())),
                _ => hashed(text.as_bytes()),
            };
        }
        self.short_value(text)
    }

    /// Whether two texts are different values: 2.0 and 2.00 are not.
    pub(crate) fn differs(&self, old: &str, new: &str) -> bool {
        match self {
            Self::Number => digits(old) != digits(new),
            _ => self.value(old) != self.value(new),
        }
    }

    fn short_value(&self, text: &str) -> Value {
        match self {
            Self::Bool => Value::Bool(text == "t"),
            Self::Number => number(text),
            Self::Json => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
            Self::Timestamp => timestamp(text, "").into(),
            Self::Timestamptz => timestamp(text, ":00").into(),
            Self::Array(element) => array(element, text).unwrap_or_else(|| text.into()),
            Self::Bytes | Self::Text => text.into(),
        }
    }

    /// Returns the value as a part of a key: without quotes.
    pub(crate) fn key_text(&self, text: &str) -> String {
        match self {
            // With all of its digits.
            Self::Number => text.to_owned(),
            _ => match self.value(text) {
                Value::String(text) => text,
                other => other.to_string(),
            },
        }
    }
}

fn hashed(bytes: &[u8]) -> Value {
    let hash: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    json!({ "bytes": bytes.len(), "sha256": hash })
}

/// Decodes PostgreSQL's `\x00ff`.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pairs = text.strip_prefix("\\x")?.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::try_from(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?).ok();
    pairs.map(byte).collect()
}

/// Returns a number, or its text if JSON's numbers cannot have exactly this value.
fn number(text: &str) -> Value {
    if let Ok(number) = text.parse::<i64>() {
        return number.into();
    }
    let close = text.parse::<f64>().ok().filter(|close| close.is_finite());
    let exact = close.filter(|close| digits(&close.to_string()) == digits(text));
    exact.and_then(Number::from_f64).map_or_else(|| text.into(), Value::Number)
}

/// Returns sign, digits and exponent of a decimal number, without zeros around the digits.
fn digits(text: &str) -> Option<(bool, String, i64)> {
    let (is_negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{whole}{fraction}");
    let kept = all.trim_end_matches('0');
    let len = |text: &str| i64::try_from(text.len()).ok();
    let exponent = exponent + len(&all)? - len(kept)? - len(fraction)?;
    Some((is_negative, kept.trim_start_matches('0').to_owned(), if kept.is_empty() { 0 } else { exponent }))
}

/// Returns a time in ISO 8601. The session's time zone is UTC, so the text ends with `+00`, or with ` BC`.
fn timestamp(text: &str, minutes: &str) -> String {
    let (time, era) = match text.strip_suffix(" BC") {
        Some(time) => (time, " BC"),
        None => (text, ""),
    };
    match time.split_once(' ') {
        Some((day, time)) => format!("{day}T{time}{minutes}{era}"),
        // Infinity.
        None => text.to_owned(),
    }
}

/// Parses the text of an array: `{1,NULL,"a \"b\"",{…}}`, with bounds before it if they are unusual.
fn array(element: &Shape, text: &str) -> Option<Value> {
    let text = if text.starts_with('[') { text.split_once('=')?.1 } else { text };
    let mut rest = text.strip_prefix('{')?;
    let value = elements(element, &mut rest, 1)?;
    rest.is_empty().then_some(value)
}

/// Parses elements up to the closing brace.
fn elements(element: &Shape, rest: &mut &str, depth: usize) -> Option<Value> {
    let mut values = Vec::new();
    if let Some(after) = rest.strip_prefix('}') {
        *rest = after;
        return Some(Value::Array(values));
    }
    loop {
        if let Some(after) = rest.strip_prefix('{') {
            if depth == MAX_DEPTH {
                return None;
            }
            *rest = after;
            values.push(elements(element, rest, depth + 1)?);
        } else if let Some(after) = rest.strip_prefix('"') {
            *rest = after;
            values.push(element.short_value(&quoted(rest)?));
        } else {
            let end = rest.find([',', '}'])?;
            let (text, after) = rest.split_at(end);
            *rest = after;
            values.push(if text == "NULL" { Value::Null } else { element.short_value(text) });
        }
        let is_last = rest.starts_with('}');
        *rest = rest.strip_prefix([',', '}'])?;
        if is_last {
            return Some(Value::Array(values));
        }
    }
}

/// Parses text up to its closing quote.
fn quoted(rest: &mut &str) -> Option<String> {
    let mut text = String::new();
    let mut characters = rest.char_indices();
    loop {
        match characters.next()? {
            (_, '\\') => text.push(characters.next()?.1),
            (at, '"') => {
                *rest = rest.get(at + 1..)?;
                return Some(text);
            }
            (_, other) => text.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(oid: u32, text: &str) -> Value {
        Shape::of(oid).value(text)
    }

    #[test]
    fn numbers_are_exact_or_text() {
        assert_eq!(value(20, "9223372036854775807"), json!(9_223_372_036_854_775_807_i64));
        assert_eq!(value(1700, "10.50"), json!(10.5));
        assert_eq!(value(1700, "-0.00"), json!(-0.0));
        assert_eq!(
            value(1700, "123456789012345678901234567890.12"),
            json!("123456789012345678901234567890.12")
        );
        assert_eq!(value(1700, "0.1000000000000000000000000001"), json!("0.1000000000000000000000000001"));
        assert_eq!(value(701, "1e+300"), json!(1e300));
        assert_eq!(value(701, "NaN"), json!("NaN"));
        assert_eq!(value(1700, "Infinity"), json!("Infinity"));
    }

    #[test]
    fn times_are_iso_8601() {
        assert_eq!(value(1184, "2026-01-31 02:30:00.1+00"), "2026-01-31T02:30:00.1+00:00");
        assert_eq!(value(1114, "2026-01-31 02:30:00"), "2026-01-31T02:30:00");
        assert_eq!(value(1184, "0044-03-15 00:00:00+00 BC"), "0044-03-15T00:00:00+00:00 BC");
        assert_eq!(value(1184, "infinity"), "infinity");
    }

    #[test]
    fn arrays_are_json_arrays() {
        assert_eq!(value(1009, r#"{x,NULL,"NULL","y,\"z\\"}"#), json!(["x", null, "NULL", "y,\"z\\"]));
        assert_eq!(value(1007, "[0:1]={1,2}"), json!([1, 2]));
        assert_eq!(value(1007, "{{1,2},{3,NULL}}"), json!([[1, 2], [3, null]]));
        assert_eq!(value(1000, "{t,f}"), json!([true, false]));
        assert_eq!(value(1007, "{}"), json!([]));
        for broken in ["{", "{1", "{1,", "{\"a", "{1}2", "{{{{{{{1}}}}}}}", "", "[0:1]"] {
            assert_eq!(value(1007, broken), json!(broken));
        }
    }

    #[test]
    fn other_values_keep_their_text_and_long_ones_are_hashed() {
        assert_eq!(value(16, "t"), json!(true));
        assert_eq!(value(3802, r#"{"a": [1.1, null]}"#), json!({ "a": [1.1, null] }));
        assert_eq!(value(114, "{broken"), json!("{broken"));
        assert_eq!(value(17, "\\x00ff"), json!("\\x00ff"));
        assert_eq!(value(25, &"x".repeat(8192)), json!("x".repeat(8192)));
        assert_eq!(value(25, &"x".repeat(8193))["bytes"], 8193);
        let raw = value(17, &format!("\\x{}", "00".repeat(9000)));
        assert_eq!(raw, hashed(&[0; 9000]));
    }

    #[test]
    fn a_key_has_all_digits_and_no_quotes() {
        assert_eq!(Shape::of(1700).key_text("10.50"), "10.50");
        assert_eq!(Shape::of(25).key_text("a"), "a");
        assert_eq!(Shape::of(16).key_text("f"), "false");
    }
}
