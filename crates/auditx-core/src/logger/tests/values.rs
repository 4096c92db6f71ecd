//! Tests of the values of a change: numbers keep every digit, and a value that JSON cannot hold is reported
//! by its path.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;

use super::*;
use crate::logger::builder::{Change, EntryBuilder};

fn change(logger: &AuditLogger) -> EntryBuilder<'_, Change> {
    logger.log_change("Limit", BusinessModule::Crm, AuditAction::Update, "customer", "CUST-220")
}

/// Returns the values in the line of a change from one record to the other.
fn changed<T: Serialize>(before: &T, after: &T) -> String {
    let directory = tempfile::tempdir().unwrap();
    let logger = AuditLogger::open(Config::new(directory.path())).unwrap();
    change(&logger).changes(before, after).unwrap().record().unwrap();
    logger.close(TIMEOUT).unwrap();
    let text = text(directory.path().join("audit.jsonl"));
    let line = text.lines().find(|line| line.contains("CUST-220")).unwrap();
    let begin = line.find("\"old_values\"").or_else(|| line.find("\"new_values\"")).unwrap();
    line[begin..line.find(",\"hostname\"").unwrap()].to_owned()
}

/// Returns the error for a change to this record.
fn refused(after: impl Serialize) -> String {
    let directory = tempfile::tempdir().unwrap();
    let logger = AuditLogger::open(Config::new(directory.path())).unwrap();
    let error = change(&logger).changes(&json!(null), &serde_json::Value::Null).map(drop);
    error.unwrap();
    #[derive(Serialize)]
    #[serde(untagged)]
    enum Record<T> {
        Before,
        After(T),
    }
    let error = change(&logger).changes(&Record::Before, &Record::After(after)).unwrap_err();
    assert!(error.is_invalid());
    error.to_string()
}

#[test]
fn numbers_of_any_size_keep_every_digit() {
    #[derive(Serialize)]
    struct Ledger {
        whole: u128,
        signed: i128,
        long: u64,
        small: f32,
        wide: f64,
        by_number: BTreeMap<u128, i128>,
    }
    let before = Ledger {
        whole: u128::MAX,
        signed: i128::MIN,
        long: 9_007_199_254_740_993,
        small: 0.1,
        wide: 1.5e300,
        by_number: BTreeMap::from([(u128::MAX, 1)]),
    };
    let after = Ledger {
        whole: u128::MAX - 1,
        signed: i128::MAX,
        long: u64::MAX,
        small: 0.2,
        wide: -0.0,
        by_number: BTreeMap::from([(u128::MAX, 2)]),
    };
    assert_eq!(
        changed(&before, &after),
        "\"old_values\":{\"by_number\":{\"340282366920938463463374607431768211455\":1},\
         \"long\":9007199254740993,\"signed\":-170141183460469231731687303715884105728,\"small\":0.1,\
         \"whole\":340282366920938463463374607431768211455,\"wide\":1.5e+300},\
         \"new_values\":{\"by_number\":{\"340282366920938463463374607431768211455\":2},\
         \"long\":18446744073709551615,\"signed\":170141183460469231731687303715884105727,\"small\":0.2,\
         \"whole\":340282366920938463463374607431768211454,\"wide\":-0.0}"
    );
}

#[test]
fn raw_json_keeps_its_digits_and_is_compared_by_field() {
    let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
    assert_eq!(
        changed(
            &raw(r#"{"rate": 0.10000000000000000000000001, "same": 1, "name": "\u0041"}"#),
            &raw(r#"{"rate": 0.10000000000000000000000002, "same": 1, "name": "A"}"#)
        ),
        "\"old_values\":{\"rate\":0.10000000000000000000000001},\
         \"new_values\":{\"rate\":0.10000000000000000000000002}"
    );
}

#[test]
fn a_new_record_has_no_old_values() {
    assert_eq!(changed(&json!(null), &json!({"limit": 5})), "\"new_values\":{\"limit\":5}");
}

#[test]
fn a_value_json_cannot_hold_is_reported_by_its_path() {
    #[derive(Serialize)]
    struct Customer {
        customer: Limits,
    }
    #[derive(Serialize)]
    struct Limits {
        limits: Vec<Limit>,
    }
    #[derive(Serialize)]
    enum Limit {
        Amount { amount: f64 },
        Pair(u8, f32),
        By(BTreeMap<Vec<u8>, u8>),
        Custom(Refusing),
    }
    struct Refusing;
    impl Serialize for Refusing {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("the vault is closed"))
        }
    }
    let record = |limit| Customer { customer: Limits { limits: vec![Limit::Pair(1, 1.0), limit] } };
    for (limit, said) in [
        (
            Limit::Amount { amount: f64::NAN },
            "customer.limits[1].Amount.amount: NaN cannot be stored as JSON",
        ),
        (Limit::Pair(1, f32::NEG_INFINITY), "customer.limits[1].Pair[1]: -inf cannot be stored as JSON"),
        (
            Limit::By(BTreeMap::from([(vec![1], 1)])),
            "customer.limits[1].By: a map key must be text, a number or a boolean to be stored as JSON",
        ),
        (Limit::Custom(Refusing), "customer.limits[1].Custom: the vault is closed"),
    ] {
        let error = refused(record(limit));
        assert!(error.contains(said) && error.contains("after the change"), "{error}");
    }
}

#[test]
fn an_endless_record_is_refused_without_a_stack_overflow() {
    struct Endless;
    impl Serialize for Endless {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_map([("next", Endless)])
        }
    }
    let error = refused(Endless);
    assert!(error.contains("next.next.next") && error.contains("nested deeper"), "{error}");
}

#[test]
fn a_large_number_in_metadata_keeps_every_digit() {
    let directory = tempfile::tempdir().unwrap();
    let logger = AuditLogger::open(Config::new(directory.path())).unwrap();
    logger.log("x").metadata("supply", u128::MAX).metadata("debt", i128::MIN).record().unwrap();
    logger.close(TIMEOUT).unwrap();
    let text = text(directory.path().join("audit.jsonl"));
    assert!(text.contains("\"supply\":340282366920938463463374607431768211455"), "{text}");
    assert!(text.contains("\"debt\":-170141183460469231731687303715884105728"), "{text}");
}
