//! The quick start of the README.

use auditx_core::{AuditAction, BusinessModule, Config, RequestContext, audit, configure};
use serde_json::json;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    configure(Config::new("logs").default_currency("MMK"))?; // optional: audit() opens ./logs on first use

    let _scope = RequestContext::new().user("admin").branch_id("BR-YGN").enter(); // once per request or job
    audit().log_security("User login successful").action(AuditAction::Login).record()?;
    audit()
        .log_transaction("Invoice posted", BusinessModule::Sales, AuditAction::Post, "SI-42", 1_250_000)
        .entity("invoice", "inv-42")
        .party("Golden Trading Co.")
        .record()?;
    let receipt = audit()
        .log_change("Limit raised", BusinessModule::Crm, AuditAction::Update, "customer", "CUST-220")
        .old_values(json!({"limit": 500_000}))
        .new_values(json!({"limit": 1_000_000}))
        .record()?;
    receipt.wait_durable()?; // or: receipt.durable().await?
    Ok(())
}
