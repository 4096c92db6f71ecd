//! Customers and their terms.

use std::collections::BTreeMap;
use std::sync::Mutex;

use auditx_core::{AuditAction, BusinessModule, Receipt, audit};
use serde::{Deserialize, Serialize};

use crate::accounts::Account;
use crate::erp::lock;
use crate::refusal::Refusal;

/// All customers, by id.
#[derive(Debug)]
pub struct Customers {
    customers: Mutex<BTreeMap<String, Customer>>,
}

/// A customer.
#[derive(Debug, Clone, Serialize)]
pub struct Customer {
    name: String,
    terms: Terms,
}

#[derive(Debug, Clone, Serialize)]
struct Terms {
    credit_limit: u64,
    days: u32,
}

/// A new credit limit.
#[derive(Debug, Deserialize)]
pub struct CreditLimit {
    credit_limit: u64,
}

impl Default for Customers {
    fn default() -> Self {
        let terms = Terms { credit_limit: 500_000, days: 30 };
        let golden = Customer { name: "Golden Trading Co.".to_owned(), terms };
        Self { customers: Mutex::new(BTreeMap::from([("CUST-220".to_owned(), golden)])) }
    }
}

impl Customers {
    /// Sets a customer's credit limit. Returns once the entry is durable.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] if the user is not a manager; [`Refusal::NotFound`] if there is no such
    /// customer.
    pub async fn set_credit_limit(
        &self,
        by: &Account,
        id: &str,
        limit: &CreditLimit,
    ) -> Result<Customer, Refusal> {
        by.require_manager("change a credit limit")?;
        let (customer, receipt) = self.change_credit_limit(id, limit)?;
        receipt.durable().await?;
        Ok(customer)
    }

    fn change_credit_limit(&self, id: &str, limit: &CreditLimit) -> Result<(Customer, Receipt), Refusal> {
        let mut customers = lock(&self.customers);
        let customer = customers.get_mut(id).ok_or_else(|| Refusal::NotFound(format!("no customer {id}")))?;
        let mut changed = customer.clone();
        changed.terms.credit_limit = limit.credit_limit;
        let receipt = audit()
            .log_change(
                "Customer credit limit updated",
                BusinessModule::Crm,
                AuditAction::Update,
                "customer",
                id,
            )
            .changes(customer, &changed)?
            .record()?;
        customer.clone_from(&changed);
        Ok((changed, receipt))
    }
}
