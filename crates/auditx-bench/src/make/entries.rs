//! Generates the entries of a trading company: mostly sales, and most of them by a few users.

use std::net::{IpAddr, Ipv4Addr};

use auditx_core::{Amount, AuditAction, AuditLogger, BusinessModule, LogLevel, RequestContext};
use serde_json::json;

use crate::Outcome;

const NAMES: [&str; 10] = ["aung", "mya", "thiri", "zaw", "hnin", "kyaw", "su", "min", "ei", "win"];
const ROLES: [&str; 4] = ["clerk", "manager", "accountant", "auditor"];
const PARTIES: [&str; 6] = [
    "Golden Trading Co.",
    "ရွှေမင်း ကုမ္ပဏီ",
    "Lucky Seven Stores",
    "Ayeyar Foods Ltd.",
    "Shwe Taung & Sons",
    "Northern Timber",
];
const PAGES: [&str; 6] =
    ["/sales/invoices", "/inventory/items", "/customers", "/reports/ledger", "/service/jobs", "/dashboard"];

/// The number of users.
const PEOPLE: u64 = 200;

/// The generator of entries.
pub(super) struct Business {
    state: u64,
}

impl Business {
    pub(super) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// SplitMix64.
    fn below(&mut self, end: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    fn one_of(&mut self, words: &[&'static str]) -> &'static str {
        words[usize::try_from(self.below(words.len() as u64)).unwrap_or(0)]
    }

    /// Records the entry with this number.
    pub(super) fn record(&mut self, logger: &AuditLogger, number: u64) -> Outcome<()> {
        // The product of two random numbers is mostly small, so a few users do most of the work.
        let person = self.below(PEOPLE) * self.below(PEOPLE) / PEOPLE;
        let session = person * 31 + number / 50_000;
        let name = NAMES[usize::try_from(person % 10)?];
        let context = RequestContext::new()
            .user(format!("{name}.{person}"))
            .user_role(ROLES[usize::try_from(person % 4)?])
            .company_id(format!("CO-{:03}", person % 3 + 1))
            .branch_id(format!("BR-{:02}", person % 8 + 1))
            .request_id(format!("{:016x}", self.below(u64::MAX)))
            .session_id(format!("s-{session:08x}"))
            .ip(IpAddr::V4(Ipv4Addr::new(10, 0, u8::try_from(person % 8)?, u8::try_from(person % 250)?)));
        let _scope = context.enter();
        match self.below(100) {
            0..40 => self.sale(logger, number),
            40..55 => self.movement(logger),
            55..80 => self.request(logger),
            80..90 => self.change(logger),
            90..95 => self.job(logger),
            _ => self.sign_in(logger),
        }
    }

    fn sale(&mut self, logger: &AuditLogger, number: u64) -> Outcome<()> {
        // An invoice is drafted, posted and rarely voided.
        let invoice = number / 3 + self.below(40);
        let (action, description) = match self.below(20) {
            0 => (AuditAction::Void, "Sales invoice voided"),
            1..10 => (AuditAction::Create, "Sales invoice drafted"),
            _ => (AuditAction::Post, "Sales invoice posted"),
        };
        let amount = 10_000 + self.below(5_000_000);
        logger
            .log_transaction(
                description,
                BusinessModule::Sales,
                action,
                format!("SI-2026-{invoice:07}"),
                amount,
            )
            .entity("sales_invoice", format!("inv-{invoice}"))
            .party(self.one_of(&PARTIES))
            .currency("MMK")
            .method("POST")
            .endpoint("/sales/invoice")
            .record()?;
        Ok(())
    }

    fn movement(&mut self, logger: &AuditLogger) -> Outcome<()> {
        let (product, quantity) = (self.below(5_000), 1 + self.below(500));
        logger
            .log_inventory("Stock moved", AuditAction::Update, format!("P-{product:05}"), quantity)
            .product_name(format!("Item {product}"))
            .unit("PCS")
            .warehouse_id(format!("WH-{}", product % 12))
            .record()?;
        Ok(())
    }

    fn request(&mut self, logger: &AuditLogger) -> Outcome<()> {
        let page = self.one_of(&PAGES);
        let status = if self.below(50) == 0 { 404 } else { 200 };
        let micros = 200 + self.below(40_000);
        logger
            .log(format!("HTTP GET {page} completed with {status}"))
            .action(AuditAction::Read)
            .level(if status == 200 { LogLevel::Audit } else { LogLevel::Warning })
            .metadata("duration_ms", Amount::parse(&format!("{}.{:03}", micros / 1_000, micros % 1_000))?)
            .metadata("outcome", "completed")
            .method("GET")
            .endpoint(page)
            .status(status)
            .success(status == 200)
            .record()?;
        Ok(())
    }

    fn change(&mut self, logger: &AuditLogger) -> Outcome<()> {
        let customer = self.below(20_000);
        let (before, after) = (self.below(100) * 10_000, self.below(100) * 10_000);
        logger
            .log_change(
                "Customer changed",
                BusinessModule::Sales,
                AuditAction::Update,
                "customer",
                format!("C-{customer:05}"),
            )
            .old_values(json!({"credit_limit": before, "status": "active", "terms": "30 days"}))
            .new_values(json!({"credit_limit": after, "status": "active", "terms": "45 days"}))
            .reason("yearly review")
            .record()?;
        Ok(())
    }

    fn job(&mut self, logger: &AuditLogger) -> Outcome<()> {
        let job = self.below(50_000);
        logger
            .log_service("Service job updated", AuditAction::Update, format!("JOB-{job:06}"))
            .customer_id(format!("C-{:05}", job % 20_000))
            .technician(self.one_of(&NAMES))
            .service_type("repair")
            .status_label("in_progress")
            .record()?;
        Ok(())
    }

    fn sign_in(&mut self, logger: &AuditLogger) -> Outcome<()> {
        let has_failed = self.below(12) == 0;
        let description = if has_failed { "Login failed" } else { "Login" };
        logger
            .log_security(description)
            .action(AuditAction::Login)
            .level(if has_failed { LogLevel::Security } else { LogLevel::Audit })
            .success(!has_failed)
            .record()?;
        Ok(())
    }
}
