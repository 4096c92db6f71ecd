//! The size limit of a line, and the error for an entry that exceeds it.

use auditx_tlog::MAX_LINE;
use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// The length of `{"seq":18446744073709551615,` and `\n`. The largest sequence number is assumed, so that
/// whether an entry fits does not depend on when it is recorded.
const AROUND_BODY: usize = 29;

pub(super) fn check(body: &[u8]) -> Result<()> {
    let size = body.len() + AROUND_BODY;
    if size <= MAX_LINE {
        return Ok(());
    }
    let (field, field_size) = largest_field(body);
    Err(Error::too_large(format!(
        "an entry of {size} bytes exceeds the {MAX_LINE} bytes of a line; \
         its largest field is {field} with {field_size} bytes"
    )))
}

/// Parses the body to find its largest field. Slow, and only called for an entry that is refused.
fn largest_field(body: &[u8]) -> (String, usize) {
    let object = [b"{", body].concat();
    let Ok(fields) = serde_json::from_slice::<Map<String, Value>>(&object) else {
        return ("unknown".to_owned(), 0);
    };
    let largest = |map: &Map<String, Value>| {
        map.iter().map(|(name, value)| (name.clone(), value.to_string().len())).max_by_key(|(_, size)| *size)
    };
    let (name, size) = largest(&fields).unwrap_or_default();
    match fields.get(&name).and_then(Value::as_object).and_then(largest) {
        Some((inner, inner_size)) => (format!("{name}.{inner}"), inner_size),
        None => (name, size),
    }
}
