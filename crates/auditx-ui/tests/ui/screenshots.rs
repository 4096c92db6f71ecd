//! The pictures of docs/DASHBOARD.md. With `AUDITX_BLESS=1` they are written; otherwise only made.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use auditx_core::{AuditAction, AuditLogger, BusinessModule, Clock, Config, RequestContext};
use auditx_tests::browser::Browser;
use auditx_ui::{Dashboard, Viewer};
use serde_json::json;

use crate::server::{Server, TIMEOUT, Trail};

/// A clock that is seven minutes later each time it is read: it begins in the morning.
#[derive(Debug)]
struct Day(AtomicU64);

impl Clock for Day {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.0.fetch_add(7 * 60 + 11, Ordering::Relaxed))
    }
}

/// Records the day of a trading house.
fn day() -> Trail {
    let directory = tempfile::tempdir().unwrap();
    // 2026-11-24 02:30 UTC.
    let config = Config::new(directory.path()).clock(Day(AtomicU64::new(1_795_487_400)));
    let trail = Trail { logger: AuditLogger::open(config).unwrap(), directory };
    let logger = &trail.logger;
    let (sales, crm) = (BusinessModule::Sales, BusinessModule::Crm);
    for number in 1..=40 {
        let user = if number % 3 == 0 { "thida" } else { "kyaw" };
        let _scope = RequestContext::new().user(user).user_role("clerk").branch_id("BR-YGN").enter();
        let (reference, amount) = (format!("SI-2026-{number:04}"), 125_000 * number);
        let entry = logger.log_transaction(
            "Sales invoice posted",
            sales.clone(),
            AuditAction::Post,
            reference,
            amount,
        );
        entry.entity("sales_invoice", format!("inv-{number}")).party("Golden Trading Co.").record().unwrap();
        if number % 5 == 0 {
            let failed = logger.log_security("Login failed").user("attacker").success(false);
            failed.reason("wrong password").ip("192.168.1.50".parse().unwrap()).record().unwrap();
        }
    }
    let _scope = RequestContext::new().user("mya").user_role("manager").branch_id("BR-YGN").enter();
    let change =
        logger.log_change("Customer credit limit raised", crm, AuditAction::Update, "customer", "CUST-220");
    let change = change.old_values(json!({ "credit_limit": 500_000, "terms": "30 days" }));
    change.new_values(json!({ "credit_limit": 1_000_000, "terms": "60 days" })).record().unwrap();
    logger.close(TIMEOUT).unwrap();
    trail
}

#[test]
fn the_pictures_of_the_documentation_are_made() {
    let trail = day();
    let dashboard = Dashboard::unrecorded(trail.directory.path()).everyone_is(Viewer::new("mya"));
    let (server, browser) = (Server::of(dashboard), Browser::start());
    let newest = auditx_tests::trail::lines(trail.directory.path());
    let change = newest.iter().find(|line| line.json["entity_id"] == json!("CUST-220")).unwrap().seq;
    let entry = format!("/entries/{change}?tz=Asia/Yangon");
    for (name, path, theme, width, height) in [
        ("light", "/?tz=Asia/Yangon", "light", 1200, 760),
        ("dark", "/?tz=Asia/Yangon", "dark", 1200, 760),
        ("entry", &entry, "light", 1200, 900),
        ("counts", "/counts?tz=Asia/Yangon", "light", 1200, 760),
        ("phone", "/?tz=Asia/Yangon", "light", 360, 720),
    ] {
        browser.resize(width, height);
        browser.emulate("prefers-color-scheme", theme);
        browser.navigate(&server.url(path));
        let picture = browser.screenshot();
        assert!(picture.starts_with(b"\x89PNG"), "{name}");
        if std::env::var_os("AUDITX_BLESS").is_some() {
            let images = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/images");
            std::fs::write(images.join(format!("dashboard-{name}.png")), picture).unwrap();
        }
    }
}
