//! Stock counts sent over a WebSocket, one per message.

use auditx_core::{AuditAction, audit};

use crate::refusal::Refusal;

/// Records a count in the form `SKU=quantity` and returns the answer.
///
/// # Errors
/// [`Refusal::Malformed`] if the count has another form; [`Refusal::NotRecorded`] if it cannot be recorded.
pub fn record(count: &str) -> Result<String, Refusal> {
    let parsed =
        count.split_once('=').and_then(|(product, quantity)| Some((product, quantity.parse().ok()?)));
    let Some((product, quantity)) = parsed else {
        return Err(Refusal::Malformed("expected SKU=quantity".to_owned()));
    };
    let quantity: i64 = quantity;
    audit().log_inventory("Stock counted", AuditAction::Adjust, product, quantity).record()?;
    Ok(format!("recorded {product}"))
}
