use serde_json::json;

use super::*;
use crate::amount::Amount;
use crate::exchange::{HttpAudit, RequestFacts, ResponseFacts};
use crate::redact::Redaction;
use crate::vocabulary::{AuditAction, BusinessModule, LogLevel};

#[test]
fn an_expectation_is_met_only_where_every_named_fact_is_as_stated() {
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
    let met = || {
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
    assert_eq!(trail.assert_one(&met()).user, "thida");
    for missed in [
        met().user("kyaw"),
        met().action(AuditAction::Void),
        met().amount(Amount::parse("10.5").unwrap()),
        met().amount(10),
        met().metadata("till", 8),
        met().metadata("shop", 7),
        met().success(false),
        met().status(200),
        met().old_values(json!({})),
        met().ip([127, 0, 0, 1].into()),
    ] {
        trail.assert_none(&missed);
    }
}

#[test]
fn what_is_missing_is_said_with_what_there_is_instead() {
    let trail = TestTrail::new();
    trail.logger().log("Stock issued").user("kyaw").record().unwrap();
    let assertion = || trail.assert_one(&Expected::new("Stock issued").user("thida"));
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(assertion)).unwrap_err();
    let text = panic.downcast_ref::<String>().unwrap();
    assert!(text.contains(r#""Stock issued": user is "kyaw", not "thida""#), "{text}");
}

#[test]
fn each_trail_is_its_own_and_leaves_nothing() {
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
fn redaction_requests_and_refusals_are_those_of_production() {
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

    trail.refuse();
    assert!(trail.logger().log("Paid again").record().unwrap_err().is_closed());
    trail.assert_none(&Expected::new("Paid again"));
}
