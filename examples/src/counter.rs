//! Stock counted by hand, over a connection that stays open: each message is one count.

use auditx_core::{AuditAction, audit};

use crate::refusal::Refusal;

/// Records a count as `SKU=quantity`; what is answered.
///
/// # Errors
/// Where it is not written like that, or cannot be recorded.
pub fn take(count: &str) -> Result<String, Refusal> {
    let parsed =
        count.split_once('=').and_then(|(product, quantity)| Some((product, quantity.parse().ok()?)));
    let Some((product, quantity)) = parsed else {
        return Err(Refusal::Malformed("a count is written SKU=quantity".to_owned()));
    };
    let quantity: i64 = quantity;
    audit().log_inventory("Stock counted", AuditAction::Adjust, product, quantity).record()?;
    Ok(format!("noted {product}"))
}
