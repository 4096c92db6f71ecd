//! Invoices.

use std::collections::BTreeMap;
use std::sync::Mutex;

use auditx_core::{Amount, AuditAction, BusinessModule, audit};
use serde::{Deserialize, Serialize};

use crate::erp::lock;
use crate::money;
use crate::refusal::Refusal;

/// All invoices, by number.
#[derive(Debug, Default)]
pub struct Sales {
    invoices: Mutex<BTreeMap<String, Invoice>>,
}

/// An invoice to post.
#[derive(Debug, Clone, Deserialize)]
pub struct Invoice {
    reference_no: String,
    customer: String,
    #[serde(deserialize_with = "money::exact")]
    amount: Amount,
}

/// An invoice that was posted.
#[derive(Debug, Serialize)]
pub struct Posted {
    reference_no: String,
    amount: String,
    entry_id: String,
}

impl Sales {
    /// Posts an invoice. The entry is recorded first: an invoice that cannot be recorded is not posted.
    ///
    /// # Errors
    /// [`Refusal::Conflict`] if an invoice with this number exists.
    pub fn post(&self, invoice: Invoice) -> Result<Posted, Refusal> {
        let mut invoices = lock(&self.invoices);
        let Invoice { reference_no, customer, amount } = &invoice;
        if invoices.contains_key(reference_no) {
            return Err(Refusal::Conflict(format!("invoice {reference_no} is already posted")));
        }
        let receipt = audit()
            .log_transaction(
                "Sales invoice posted",
                BusinessModule::Sales,
                AuditAction::Post,
                reference_no,
                amount.clone(),
            )
            .entity("sales_invoice", reference_no)
            .party(customer)
            .record()?;
        let posted = Posted {
            reference_no: reference_no.clone(),
            amount: amount.to_string(),
            entry_id: receipt.id().to_string(),
        };
        invoices.insert(reference_no.clone(), invoice);
        Ok(posted)
    }
}
