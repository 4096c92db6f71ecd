//! The state of the service, in memory.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::customers::Customers;
use crate::inventory::Inventory;
use crate::reports::Reports;
use crate::sales::Sales;

/// The state that handlers share, whatever the framework.
#[derive(Debug, Default)]
pub struct Erp {
    /// Invoices.
    pub sales: Sales,
    /// Stock.
    pub inventory: Inventory,
    /// Customers and their terms.
    pub customers: Customers,
    /// Reports.
    pub reports: Reports,
}

/// Locks the mutex and ignores poisoning: every change of the state is complete or not made at all, so a
/// panic leaves it consistent.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
