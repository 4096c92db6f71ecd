//! The entry that every subject of `record` writes: a posted sales invoice of an ERP.
//!
//! All subjects write the same names and values, which depend only on the number of the call. The id is
//! created inside the measured call, as in an application.

use std::time::SystemTime;

use auditx_core::{AuditAction, AuditLogger, BusinessModule, Receipt, RequestContext};
use serde::{Serialize, Serializer};
use uuid::Uuid;

use crate::Outcome;

pub(crate) const DESCRIPTION: &str = "Sales invoice posted";
pub(crate) const USER: &str = "admin";
pub(crate) const USER_ROLE: &str = "manager";
pub(crate) const COMPANY_ID: &str = "CO-001";
pub(crate) const BRANCH_ID: &str = "BR-YGN";
pub(crate) const ENTITY_TYPE: &str = "sales_invoice";
pub(crate) const ENTITY_ID: &str = "inv-42";
pub(crate) const REFERENCE_NO: &str = "SI-2026-0042";
pub(crate) const CURRENCY: &str = "MMK";
pub(crate) const PARTY: &str = "Golden Trading Co.";
pub(crate) const REQUEST_ID: &str = "7c1a9b1f5a7c0e2d";
pub(crate) const SESSION_ID: &str = "s-5e0f2c9a";
pub(crate) const IP: &str = "192.168.1.10";
pub(crate) const HOSTNAME: &str = "erp-1";
pub(crate) const METHOD: &str = "POST";
pub(crate) const ENDPOINT: &str = "/sales/invoice";

/// An entry with its fields in the order of the line format. It has no HTTP status, because a handler does
/// not know it yet when it records.
#[derive(Debug, Serialize)]
pub(crate) struct Facts {
    pub(crate) id: Uuid,
    timestamp: Now,
    pub(crate) level: &'static str,
    pub(crate) module: &'static str,
    pub(crate) action: &'static str,
    pub(crate) description: &'static str,
    pub(crate) user: &'static str,
    pub(crate) user_role: &'static str,
    pub(crate) company_id: &'static str,
    pub(crate) branch_id: &'static str,
    pub(crate) entity_type: &'static str,
    pub(crate) entity_id: &'static str,
    pub(crate) reference_no: &'static str,
    pub(crate) amount: u64,
    pub(crate) currency: &'static str,
    pub(crate) metadata: Metadata,
    pub(crate) request_id: &'static str,
    pub(crate) session_id: &'static str,
    pub(crate) ip: &'static str,
    pub(crate) hostname: &'static str,
    pub(crate) method: &'static str,
    pub(crate) endpoint: &'static str,
    pub(crate) success: bool,
}

#[derive(Debug, Serialize)]
pub(crate) struct Metadata {
    pub(crate) party: &'static str,
}

/// Returns the context of the request to which the entry belongs.
pub(crate) fn context() -> Outcome<RequestContext> {
    Ok(RequestContext::new()
        .user(USER)
        .user_role(USER_ROLE)
        .company_id(COMPANY_ID)
        .branch_id(BRANCH_ID)
        .request_id(REQUEST_ID)
        .session_id(SESSION_ID)
        .ip(IP.parse()?))
}

/// Records the entry of the n-th call with the transaction helper of the quick start.
#[inline]
pub(crate) fn record(logger: &AuditLogger, call: u64) -> Outcome<()> {
    receipt(logger, call).map(drop)
}

/// Does the same and returns the receipt.
#[inline]
pub(crate) fn receipt(logger: &AuditLogger, call: u64) -> Outcome<Receipt> {
    Ok(logger
        .log_transaction(DESCRIPTION, BusinessModule::Sales, AuditAction::Post, REFERENCE_NO, amount(call))
        .entity(ENTITY_TYPE, ENTITY_ID)
        .party(PARTY)
        .currency(CURRENCY)
        .method(METHOD)
        .endpoint(ENDPOINT)
        .record()?)
}

/// The time at which the line is serialised. It is not part of the entry, because some subjects read the
/// clock themselves and would read it twice.
#[derive(Debug)]
struct Now;

impl Serialize for Now {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_rfc3339_micros(SystemTime::now()))
    }
}

impl Facts {
    /// Returns the entry of the n-th call.
    pub(crate) fn of(call: u64) -> Self {
        Self {
            id: Uuid::now_v7(),
            timestamp: Now,
            level: "AUDIT",
            module: "sales",
            action: "POST",
            description: DESCRIPTION,
            user: USER,
            user_role: USER_ROLE,
            company_id: COMPANY_ID,
            branch_id: BRANCH_ID,
            entity_type: ENTITY_TYPE,
            entity_id: ENTITY_ID,
            reference_no: REFERENCE_NO,
            amount: amount(call),
            currency: CURRENCY,
            metadata: Metadata { party: PARTY },
            request_id: REQUEST_ID,
            session_id: SESSION_ID,
            ip: IP,
            hostname: HOSTNAME,
            method: METHOD,
            endpoint: ENDPOINT,
            success: true,
        }
    }
}

/// Returns the amount of the n-th call. It differs for each call, so that a line cannot be copied from the
/// previous one.
pub(crate) fn amount(call: u64) -> u64 {
    1_250_000 + call
}

/// Returns the names that a line must have at its top level; subjects may spell the nested one differently.
#[cfg(test)]
pub(crate) fn names() -> Vec<String> {
    let value = serde_json::to_value(Facts::of(0)).unwrap();
    value.as_object().unwrap().keys().cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_has_the_size_for_which_the_goals_are_defined() {
        assert_eq!(names().len(), 23);
        let line = serde_json::to_string(&Facts::of(7)).unwrap();
        assert!((550..=570).contains(&line.len()), "{} bytes: {line}", line.len());
    }
}
