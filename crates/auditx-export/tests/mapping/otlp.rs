//! Checks OTLP logs against the JSON encoding of the protocol.
//!
//! The facts are taken from <https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding> and
//! `logs.proto` 1.9.0.

use auditx_export::Format;
use serde_json::Value;

use crate::trail::objects;

/// The members of each message; JSON names are in lower camel case.
const MEMBERS: [(&str, &[&str]); 4] = [
    ("", &["resourceLogs"]),
    ("resourceLogs", &["resource", "scopeLogs", "schemaUrl"]),
    ("scopeLogs", &["scope", "logRecords", "schemaUrl"]),
    (
        "logRecords",
        &[
            "timeUnixNano",
            "observedTimeUnixNano",
            "severityNumber",
            "severityText",
            "body",
            "attributes",
            "droppedAttributesCount",
            "flags",
            "traceId",
            "spanId",
            "eventName",
        ],
    ),
];

fn assert_members(of: &str, value: &Value) {
    let (_, members) = MEMBERS.iter().find(|(name, _)| *name == of).unwrap();
    for name in value.as_object().unwrap().keys() {
        assert!(members.contains(&name.as_str()), "{name} in {of:?}");
    }
}

/// An AnyValue has exactly one member, and a 64-bit integer is text.
fn assert_any_value(value: &Value) {
    let map = value.as_object().unwrap();
    assert_eq!(map.len(), 1, "{value}");
    let (kind, value) = map.iter().next().unwrap();
    match kind.as_str() {
        "stringValue" => assert!(value.is_string(), "{value}"),
        "boolValue" => assert!(value.is_boolean(), "{value}"),
        "intValue" => assert!(value.as_str().unwrap().parse::<i64>().is_ok(), "{value}"),
        "arrayValue" => value["values"].as_array().unwrap().iter().for_each(assert_any_value),
        other => panic!("{other} is not emitted"),
    }
}

fn assert_attributes(list: &Value) {
    let mut seen = Vec::new();
    for pair in list.as_array().unwrap() {
        let key = pair["key"].as_str().unwrap();
        assert!(!seen.contains(&key), "{key} twice");
        seen.push(key);
        assert_any_value(&pair["value"]);
        assert_eq!(pair.as_object().unwrap().len(), 2, "{pair}");
    }
}

fn records() -> Vec<Value> {
    objects(Format::OtlpJson)
        .iter()
        .map(|request| {
            assert_members("", request);
            let logs = &request["resourceLogs"][0];
            assert_members("resourceLogs", logs);
            assert_attributes(&logs["resource"]["attributes"]);
            let scope = &logs["scopeLogs"][0];
            assert_members("scopeLogs", scope);
            assert_eq!(scope["scope"]["name"], "auditx");
            assert_eq!(scope["logRecords"].as_array().unwrap().len(), 1);
            scope["logRecords"][0].clone()
        })
        .collect()
}

fn attribute<'v>(record: &'v Value, key: &str) -> &'v Value {
    let list = record["attributes"].as_array().unwrap();
    list.iter().find(|pair| pair["key"] == key).map_or(&Value::Null, |pair| &pair["value"])
}

#[test]
fn every_line_is_a_request_in_the_encoding_of_otlp() {
    for record in records() {
        assert_members("logRecords", &record);
        for name in ["timeUnixNano", "observedTimeUnixNano"] {
            assert!(record[name].as_str().unwrap().parse::<u64>().is_ok(), "{record}");
        }
        assert!(matches!(record["severityNumber"].as_u64(), Some(0..=24)), "{record}");
        assert_any_value(&record["body"]);
        assert_attributes(&record["attributes"]);
        if let Some(trace) = record["traceId"].as_str() {
            assert!(trace.len() == 32 && trace.bytes().all(|byte| byte.is_ascii_hexdigit()), "{trace}");
        }
    }
}

#[test]
fn severities_and_attributes_are_those_of_the_mapping() {
    let records = records();
    let severities = [(2, 9), (7, 13), (12, 17), (8, 17), (9, 21), (20, 0)];
    for (line, severity) in severities {
        assert_eq!(records[line]["severityNumber"], severity, "line {line}");
    }
    let posted = &records[3];
    assert_eq!(posted["timeUnixNano"], "1795533894123403000");
    assert_eq!((&posted["eventName"], &posted["severityText"]), (&"POST".into(), &"AUDIT".into()));
    for (key, value) in [
        ("user.id", "admin"),
        ("auditx.amount", "1250000.10"),
        ("auditx.company.id", "CO-001"),
        ("client.address", "192.168.1.10"),
        ("auditx.outcome", "success"),
    ] {
        assert_eq!(attribute(posted, key)["stringValue"], value, "{key}");
    }
    assert_eq!(attribute(posted, "auditx.seq")["intValue"], "3");
    assert_eq!(attribute(&records[7], "http.response.status_code")["intValue"], "422");
    assert_eq!(
        attribute(&records[6], "auditx.new")["stringValue"],
        r#"{"credit_limit":12345678901234567890.10}"#
    );
    assert_eq!(records[24]["timeUnixNano"], "0", "unknown");
}
