//! Entries, one of each kind.

use auditx_core::{AuditAction, BusinessModule, RequestContext, Result, audit};
use serde_json::json;

/// Records the entries.
///
/// # Errors
/// Fails if `record()` fails.
pub fn record() -> Result<()> {
    let _scope = RequestContext::new()
        .user("admin")
        .user_role("manager")
        .company_id("CO-001")
        .branch_id("BR-YGN")
        .ip([192, 168, 1, 10].into())
        .enter();

    audit().log_security("User login successful").action(AuditAction::Login).record()?;

    audit()
        .log_transaction(
            "Sales invoice posted",
            BusinessModule::Sales,
            AuditAction::Post,
            "SI-2026-0042",
            1_250_000,
        )
        .entity("sales_invoice", "inv-42")
        .party("Golden Trading Co.")
        .record()?;

    audit()
        .log_inventory("Stock issued for sales order", AuditAction::Transfer, "SKU-1001", 50)
        .product_name("LED Panel 24W")
        .warehouse_id("WH-MAIN")
        .reference_no("SI-2026-0042")
        .record()?;

    audit()
        .log_service("Service job completed", AuditAction::Update, "SVC-889")
        .customer_id("CUST-220")
        .technician("U Kyaw")
        .service_type("AC Maintenance")
        .status_label("completed")
        .amount(85_000)
        .record()?;

    audit()
        .log_change(
            "Customer credit limit updated",
            BusinessModule::Crm,
            AuditAction::Update,
            "customer",
            "CUST-220",
        )
        .old_values(json!({"credit_limit": 500_000}))
        .new_values(json!({"credit_limit": 1_000_000}))
        .record()?;
    Ok(())
}
