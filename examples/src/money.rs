//! Amounts in JSON: whole numbers, or decimal text whose digits are kept as they came.

use auditx_core::Amount;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

#[derive(Deserialize)]
#[serde(untagged, expecting = "an amount is a whole number, or decimal text such as \"1250000.10\"")]
enum Given {
    Whole(i64),
    Text(String),
}

/// For `#[serde(deserialize_with)]`. A number with a decimal point is refused: a JSON reader would make a binary one of it.
///
/// # Errors
/// Where it is neither a whole number nor plain decimal text.
pub fn exact<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Amount, D::Error> {
    match Given::deserialize(deserializer)? {
        Given::Whole(amount) => Ok(Amount::from(amount)),
        Given::Text(text) => Amount::parse(&text).map_err(D::Error::custom),
    }
}
