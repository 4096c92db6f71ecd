use auditx_format::amount::Amount;
use auditx_format::redact::Redaction;
use auditx_format::vocabulary::{AuditAction, BusinessModule, LogLevel};
use serde_json::json;

use super::*;
use crate::exchange::{HttpAudit, RequestFacts, ResponseFacts};

#[test]
fn an_entry_matches_if_all_expected_fields_are_equal() {
    let trail = TestTrail::with(|config| config.default_currency("MMK"));
    trail
        .logger()
        .log_transaction(
            "Sales invoice posted",
            BusinessModule::Sales,
            AuditAction::Post,
            "SI-1",
            Amount::parse("10.50").unwrap(),
        )
        .user("thida")
        .metadata("till", 7)
        .record()
        .unwrap();
    let matching = || {
        Expected::new("Sales invoice posted")
            .user("thida")
            .module(BusinessModule::Sales)
            .action(AuditAction::Post)
            .level(LogLevel::Audit)
            .reference_no("SI-1")
            .amount(Amount::parse("10.50").unwrap())
            .currency("MMK")
            .metadata("till", 7)
            .success(true)
    };
    assert_eq!(trail.assert_one(&matching()).user, "thida");
    for different in [
        matching().user("kyaw"),
        matching().action(AuditAction::Void),
        matching().amount(Amount::parse("10.5").unwrap()),
        matching().amount(10),
        matching().metadata("till", 8),
        matching().metadata("shop", 7),
        matching().success(false),
        matching().status(200),
        matching().old_values(json!({})),
        matching().ip([127, 0, 0, 1].into()),
    ] {
        trail.assert_none(&different);
    }
}

#[test]
fn a_failed_assertion_describes_the_closest_entry() {
    let trail = TestTrail::new();
    trail.logger().log("Stock issued").user("kyaw").record().unwrap();
    let assertion = || trail.assert_one(&Expected::new("Stock issued").user("thida"));
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(assertion)).unwrap_err();
    let text = panic.downcast_ref::<String>().unwrap();
    assert!(text.contains(r#""Stock issued": user is "kyaw", not "thida""#), "{text}");
}

#[test]
fn trails_are_independent_and_removed_on_drop() {
    let trails: Vec<_> = std::thread::scope(|scope| {
        let opened: Vec<_> = (0..8_usize)
            .map(|number| {
                scope.spawn(move || {
                    let trail = TestTrail::new();
                    for _ in 0..number {
                        trail.logger().log(format!("of {number}")).record().unwrap();
                    }
                    trail
                })
            })
            .collect();
        opened.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for (number, trail) in trails.iter().enumerate() {
        trail.assert_count(&Expected::new(format!("of {number}")), number);
        assert_eq!(trail.entries().len(), number);
    }
    let directories: Vec<_> = trails.iter().map(|trail| trail.directory().to_owned()).collect();
    drop(trails);
    assert!(directories.iter().all(|directory| !directory.exists()));
}

#[test]
fn redaction_requests_and_errors_are_those_of_production() {
    struct NoHeaders;
    impl crate::exchange::Headers for NoHeaders {
        fn each(&self, _: &str, _: &mut dyn FnMut(&[u8])) {}
    }
    let trail = TestTrail::with(|config| config.redaction(Redaction::default().deny("iban")));
    trail.logger().log("Paid").metadata("iban", "MM00").record().unwrap();
    trail.assert_one(&Expected::new("Paid").metadata("iban", "[REDACTED]"));

    let http: HttpAudit = HttpAudit::builder().logger(trail.logger().clone()).build().unwrap();
    let mut exchange = http.begin(&RequestFacts::new("POST", "/pay", &NoHeaders));
    exchange.respond(&ResponseFacts::new(201));
    exchange.complete();
    trail.assert_one(
        &Expected::any().method("POST").endpoint("/pay").status(201).metadata("outcome", "completed"),
    );

    trail.close();
    assert!(trail.logger().log("Paid again").record().unwrap_err().is_closed());
    trail.assert_none(&Expected::new("Paid again"));
}
