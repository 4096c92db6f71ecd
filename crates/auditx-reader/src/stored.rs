//! What the text of a line says, as the core's type: of this library's lines, and of the origin's, which are looser.

use std::collections::BTreeMap;

use auditx_core::{Row, StoredEntry};
use serde_json::value::RawValue;

/// All that a row says, as a value of its own. Costs one JSON parse.
///
/// # Errors
/// Why it cannot be had, in words: an amount of more digits than one may have.
pub fn stored_entry(row: &Row<'_>) -> Result<StoredEntry, String> {
    stored(row.line(), row.seq().is_some())
}

/// The entry in a line's text.
pub(crate) fn stored(text: &str, has_seq: bool) -> Result<StoredEntry, String> {
    if has_seq { serde_json::from_str(text).map_err(|error| why(&error)) } else { read_foreign(text) }
}

/// A line that does not begin with its number: the origin's. Absent values may be null there, and `success` may be
/// absent, which is no failure.
fn read_foreign(text: &str) -> Result<StoredEntry, String> {
    let mut fields: BTreeMap<&str, &RawValue> = serde_json::from_str(text).map_err(|error| why(&error))?;
    fields.retain(|_, value| value.get() != "null");
    let is_success_known = fields.contains_key("success");
    // Values are put together again as they stand: digits of an amount must not pass through a float.
    let text = serde_json::to_string(&fields).map_err(|error| why(&error))?;
    let mut entry: StoredEntry = serde_json::from_str(&text).map_err(|error| why(&error))?;
    if entry.timestamp.is_empty() && entry.description.is_empty() {
        return Err("JSON, but no entry: it has neither timestamp nor description".to_owned());
    }
    entry.success |= !is_success_known;
    Ok(entry)
}

/// The parser's words, with the place as bytes into the line.
fn why(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let words = text.rfind(" at line ").map_or(text.as_str(), |at| &text[..at]);
    format!("no entry: {words}, {} bytes into the line", error.column())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_an_entry_of_the_core_unless_its_amount_has_too_many_digits() {
        let row = Row::read_text(r#"{"seq":7,"id":"i","amount":1.50,"success":false}"#).unwrap();
        let entry = stored_entry(&row).unwrap();
        assert_eq!(
            (entry.seq, entry.id.as_str(), entry.amount.unwrap().to_string()),
            (7, "i", "1.50".to_owned())
        );
        let row = Row::read_text(r#"{"seq":7,"id":"i","amount":1e2}"#).unwrap();
        assert_eq!(stored_entry(&row).unwrap().amount.unwrap().to_string(), "100");
        let row = Row::read_text(r#"{"seq":7,"id":"i","amount":1e200}"#).unwrap();
        assert!(stored_entry(&row).unwrap_err().contains("amount"));
    }
}
