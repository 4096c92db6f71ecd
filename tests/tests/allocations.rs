//! Recording does not allocate after the first entries of a thread.

use auditx_core::{AuditAction, AuditLogger, BusinessModule, Config, RequestContext};
use auditx_tests::allocations::{Counting, allocations};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Returns the number of allocations of this thread during `calls` calls.
fn allocations_of(calls: u64, mut call: impl FnMut(u64)) -> u64 {
    let before = allocations();
    (0..calls).for_each(&mut call);
    allocations() - before
}

#[test]
fn a_helper_with_borrowed_fields_does_not_allocate() {
    let directory = tempfile::tempdir().unwrap();
    let logger = AuditLogger::open(Config::new(directory.path())).unwrap();
    let _scope = RequestContext::new()
        .user("admin")
        .user_role("manager")
        .company_id("CO-001")
        .branch_id("BR-YGN")
        .request_id("7c1a9b1f5a7c0e2d")
        .session_id("s-5e0f2c9a")
        .ip("192.168.1.10".parse().unwrap())
        .enter();
    let address = "2001:db8::17".parse().unwrap();
    let call = |n: u64| {
        logger
            .log_transaction(
                "Sales \"invoice\" တင်ပြီး",
                BusinessModule::Sales,
                AuditAction::Post,
                "SI-2026-0042",
                n,
            )
            .entity("sales_invoice", "inv-42")
            .party("Golden Trading Co.")
            .metadata("paid", rust_decimal::Decimal::new(125_000_010, 2))
            .metadata("from", address)
            .metadata("lines", n)
            .currency("MMK")
            .method("POST")
            .endpoint("/sales/invoice")
            .record()
            .unwrap();
        logger.log_security("Signed in").ip(address).record().unwrap();
        logger
            .log_inventory("Stock moved", AuditAction::Transfer, "PRD-7", -3)
            .product_name("Rice, 50 kg")
            .warehouse_id("WH-1")
            .record()
            .unwrap();
    };
    allocations_of(1_000, call);
    assert_eq!(allocations_of(10_000, call), 0);
}
