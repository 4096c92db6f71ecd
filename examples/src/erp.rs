//! The whole service, in memory: one place for each part of the business.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::customers::Customers;
use crate::inventory::Inventory;
use crate::reports::Reports;
use crate::sales::Sales;

/// What the handlers of every framework share.
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

/// Books are changed as a whole or not at all, so a panic elsewhere leaves them right.
pub(crate) fn lock<T>(books: &Mutex<T>) -> MutexGuard<'_, T> {
    books.lock().unwrap_or_else(PoisonError::into_inner)
}
