//! Amounts in JSON: whole numbers, or decimal text, whose digits are kept unchanged.

use auditx_core::Amount;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

#[derive(Deserialize)]
#[serde(untagged, expecting = "an amount must be a whole number or decimal text such as \"1250000.10\"")]
enum JsonAmount {
    Whole(i64),
    Text(String),
}

/// Deserializes an amount, for `#[serde(deserialize_with)]`. A number with a decimal point is refused,
/// because JSON parsers convert it to binary floating point.
///
/// # Errors
/// Fails if the value is neither a whole number nor decimal text.
pub fn exact<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Amount, D::Error> {
    match JsonAmount::deserialize(deserializer)? {
        JsonAmount::Whole(amount) => Ok(Amount::from(amount)),
        JsonAmount::Text(text) => Amount::parse(&text).map_err(D::Error::custom),
    }
}
