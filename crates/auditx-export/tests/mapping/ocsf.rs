//! Checks OCSF events against the requirements of the schema.
//!
//! The tables below are taken from <https://schema.ocsf.io/1.6.0>: `/classes/<name>` and `/objects/<name>`.

use auditx_export::{Format, OCSF_VERSION};
use serde_json::Value;

use crate::trail::{at, objects};

struct Class {
    uid: u64,
    required: &'static [&'static str],
    at_least_one: &'static [&'static str],
    activities: &'static [u64],
}

/// Requirements of each class, besides those in `EVERY`.
const CLASSES: [Class; 6] = [
    // base_event
    Class { uid: 0, required: &[], at_least_one: &[], activities: &[0, 99] },
    // event_log_activity
    Class {
        uid: 1008,
        required: &[],
        at_least_one: &["log_file", "log_name", "log_provider", "log_type", "log_type_id"],
        activities: &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 99],
    },
    // detection_finding
    Class { uid: 2004, required: &["finding_info"], at_least_one: &[], activities: &[0, 1, 2, 3, 99] },
    // authentication
    Class {
        uid: 3002,
        required: &["user"],
        at_least_one: &["service", "dst_endpoint"],
        activities: &[0, 1, 2, 3, 4, 5, 6, 99],
    },
    // entity_management
    Class {
        uid: 3004,
        required: &["entity"],
        at_least_one: &[],
        activities: &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 99],
    },
    // api_activity
    Class {
        uid: 6003,
        required: &["actor", "api", "src_endpoint"],
        at_least_one: &[],
        activities: &[0, 1, 2, 3, 4, 99],
    },
];

/// Required in every class; each is an integer, except the last.
const EVERY: [&str; 7] =
    ["activity_id", "category_uid", "class_uid", "severity_id", "time", "type_uid", "metadata"];

/// The attribute, the required members of its object, and members of which one is required.
const OBJECTS: [(&str, &[&str], &[&str]); 15] = [
    ("metadata", &["product", "version"], &[]),
    ("product", &[], &["name", "uid"]),
    ("actor", &[], &["process", "user", "invoked_by", "session", "app_name", "app_uid"]),
    ("user", &[], &["account", "name", "uid"]),
    ("groups", &[], &["name", "uid"]),
    ("org", &[], &["name", "uid"]),
    ("entity", &[], &["name", "uid", "device", "group", "org", "policy", "user"]),
    ("entity_result", &[], &["name", "uid", "device", "group", "org", "policy", "user"]),
    ("api", &["operation"], &[]),
    ("service", &[], &["name", "uid"]),
    (
        "src_endpoint",
        &[],
        &[
            "ip",
            "uid",
            "name",
            "hostname",
            "svc_name",
            "instance_uid",
            "interface_uid",
            "interface_name",
            "domain",
        ],
    ),
    (
        "device",
        &["type_id"],
        &["ip", "uid", "name", "hostname", "instance_uid", "interface_uid", "interface_name"],
    ),
    ("http_response", &["code"], &[]),
    ("url", &[], &["url_string", "path"]),
    ("finding_info", &["uid"], &[]),
];

const METHODS: [&str; 9] = ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"];

fn assert_objects(value: &Value, event: &Value) {
    match value {
        Value::Object(map) => {
            for (name, member) in map.iter().filter(|(name, _)| *name != "unmapped" && *name != "data") {
                if let Some((_, required, one_of)) = OBJECTS.iter().find(|(object, ..)| object == name) {
                    let items = member.as_array().map_or(std::slice::from_ref(member), Vec::as_slice);
                    for item in items {
                        assert!(required.iter().all(|name| !item[*name].is_null()), "{name} in {event}");
                        let has_one = one_of.is_empty() || one_of.iter().any(|name| !item[*name].is_null());
                        assert!(has_one, "{name} in {event}");
                    }
                }
                assert_objects(member, event);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| assert_objects(item, event)),
        _ => {}
    }
}

fn assert_event(event: &Value) {
    let uid = event["class_uid"].as_u64().unwrap();
    let class = CLASSES.iter().find(|class| class.uid == uid).unwrap();
    assert!(EVERY[..6].iter().all(|name| event[*name].is_i64() || event[*name].is_u64()), "{event}");
    assert!(event["metadata"].is_object(), "{event}");
    assert!(class.required.iter().all(|name| event[*name].is_object()), "{event}");
    let one_of = class.at_least_one;
    assert!(one_of.is_empty() || one_of.iter().any(|name| !event[*name].is_null()), "{event}");
    assert_objects(event, event);

    let activity = event["activity_id"].as_u64().unwrap();
    assert!(class.activities.contains(&activity), "{event}");
    assert_eq!(event["type_uid"], uid * 100 + activity, "{event}");
    assert_eq!(event["category_uid"], uid / 1000, "{event}");
    assert!(matches!(event["severity_id"].as_u64(), Some(0..=6 | 99)), "{event}");
    assert!(matches!(event["status_id"].as_u64(), Some(0..=2 | 99)), "{event}");
    assert_eq!(event["metadata"]["version"], OCSF_VERSION);
    if let Some(method) = at(event, "http_request.http_method").as_str() {
        assert!(METHODS.contains(&method), "{event}");
    }
    if let Some(ip) = at(event, "src_endpoint.ip").as_str() {
        assert!(ip.parse::<std::net::IpAddr>().is_ok(), "{event}");
    }
}

#[test]
fn every_event_has_what_its_class_requires() {
    objects(Format::Ocsf).iter().for_each(assert_event);
}

#[test]
fn a_minimal_entry_has_what_its_class_requires() {
    for (class, rest) in [
        (0, r#""success":true"#),
        (0, r#""erased":"00""#),
        (1008, r#""auditx":{}"#),
        (2004, r#""metadata":{"rate_limited":true}"#),
        (3002, r#""action":"LOGIN""#),
        (3002, r#""action":"LOGOUT","branch_id":"B""#),
        (3004, r#""entity_type":"invoice""#),
        (3004, r#""new_values":{"a":1}"#),
        (3004, r#""reference_no":"R","branch_id":"B""#),
        (6003, r#""method":"GET""#),
        (6003, r#""endpoint":"?""#),
        (6003, r#""endpoint":"?q""#),
    ] {
        let line = format!("{{\"seq\":1,{rest}}}");
        let entry = auditx_format::line::RecordedEntry::from_line(line.as_bytes()).unwrap().parse().unwrap();
        let text = crate::trail::mapped(&auditx_export::Exporter::new(Format::Ocsf), line.as_bytes(), &entry);
        let event: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(event["class_uid"], class, "{line}");
        assert_event(&event);
    }
}

#[test]
fn each_kind_of_entry_has_its_class_and_activity() {
    let events = objects(Format::Ocsf);
    let of = |code: &str| {
        let event = events.iter().find(|event| at(event, "metadata.event_code") == code);
        let event = event.unwrap_or_else(|| panic!("no {code}"));
        (event["class_uid"].as_u64().unwrap(), event["activity_id"].as_u64().unwrap())
    };
    for (code, class, activity) in [
        ("auth.LOGIN", 3002, 1),
        ("auth.LOGOUT", 3002, 2),
        ("sales.POST", 3004, 3),
        ("inventory.TRANSFER", 3004, 3),
        ("service.UPDATE", 3004, 3),
        ("crm.UPDATE", 3004, 3),
        ("system.CREATE", 6003, 1),
        ("manufacturing.SHIP", 0, 99),
        ("auditx.open", 1008, 6),
        ("auditx.close", 1008, 7),
        ("auditx.rotated", 1008, 5),
        ("auditx.retired", 1008, 2),
        ("auditx.gap", 1008, 99),
        ("auditx.erased_line", 0, 0),
    ] {
        assert_eq!(of(code), (class, activity), "{code}");
    }
    let finding = events.iter().find(|event| event["class_uid"] == 2004).unwrap();
    assert_eq!((&finding["count"], &finding["is_alert"]), (&6.into(), &true.into()));
    assert_eq!(finding["evidences"][0]["src_endpoint"]["ip"], "192.168.1.50");
    assert_eq!(at(finding, "unmapped.outcome"), "failure");
}

#[test]
fn fields_are_mapped_to_the_attributes_of_the_schema() {
    let events = objects(Format::Ocsf);
    let posted = &events[3];
    for (path, value) in [
        ("actor.user.uid", "admin"),
        ("actor.user.org.uid", "CO-001"),
        ("actor.user.org.ou_uid", "BR-YGN"),
        ("actor.session.uid", "sha256:3fdba35f04dc8c462986c992bcf87554"),
        ("metadata.tenant_uid", "CO-001"),
        ("metadata.uid", "019ab6e0-4d2b-7c4f-9a3e-000000005f03"),
        ("entity.uid", "inv-42"),
        ("entity.type", "sales_invoice"),
        ("http_request.uid", "req-7f3a"),
        ("device.hostname", "erp-1"),
        ("unmapped.amount", "1250000.10"),
        ("unmapped.reference_no", "SI-2026-0042"),
        ("unmapped.leaf_hash", "ecba0517f177045d3bb554ab3decbda0f6ac47f8350d84cf272111a0eeb71725"),
    ] {
        assert_eq!(at(posted, path), value, "{path}");
    }
    assert_eq!(
        (at(posted, "metadata.sequence"), &posted["time"]),
        (&3.into(), &1_795_533_894_123_u64.into())
    );
    assert_eq!(at(&events[6], "unmapped.on_behalf_of"), "ဒေါ်ခင်");
    let (stub, legacy, bare) = (&events[20], &events[23], &events[24]);
    assert_eq!((&stub["time"], &stub["status_id"]), (&0.into(), &0.into()), "{stub}");
    assert_eq!(
        at(stub, "unmapped.leaf_hash"),
        "9c1fe2c7b3c99e10c83fad731f0c085b61026a845afa9975140322c0692d1516"
    );
    assert_eq!(legacy["time"], 1_740_796_200_000_u64, "09:00 at +06:30");
    for event in [legacy, bare] {
        let absent = ["metadata.uid", "metadata.sequence", "unmapped.leaf_hash"];
        assert!(absent.iter().all(|path| at(event, path).is_null()), "{event}");
        assert_eq!(event["status_id"], 0, "no success field: {event}");
    }
}

#[test]
fn values_before_and_after_keep_their_digits() {
    let (line, entry) = &crate::trail::entries()[6];
    let event = crate::trail::mapped(&auditx_export::Exporter::new(Format::Ocsf), line, entry);
    assert!(event.contains(r#""data":{"credit_limit":500000.00}}"#), "{event}");
    assert!(event.contains(r#""data":{"credit_limit":12345678901234567890.10}}"#), "{event}");
}
