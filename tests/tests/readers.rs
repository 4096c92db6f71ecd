//! Independent JSON readers read hostile values from a trail exactly as they were recorded.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use auditx_core::{
    Amount, AuditAction, AuditLogger, BusinessModule, Config, Receipt, Redaction, RequestContext,
};
use auditx_tests::clock::StoppedClock;
use auditx_tests::deadline::TIMEOUT;
use auditx_tests::tool::output_of;
use auditx_tests::trail::entries;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

/// A JSON object whose numbers keep their digits.
type Exact = BTreeMap<String, Box<RawValue>>;

/// Returns texts that are known to break JSON readers.
fn hostile_texts() -> Vec<String> {
    let mut texts: Vec<String> = [
        "",
        " ",
        "plain",
        "\u{0}",
        "a\u{0}b\u{0}",
        "one\ntwo\r\nthree\rfour\u{b}five\u{c}six\u{1c}seven\u{1d}eight\u{1e}\
         nine\u{85}ten\u{2028}eleven\u{2029}",
        "\"quoted\" 'single' `back` \\backslash\\ \\n \\u0041 \\\" /slash/",
        "{\"seq\":0,\"auditx\":{\"kind\":\"genesis\"}}",
        "\"},{\"seq\":1,\"user\":\"root\"",
        "\t\u{8}\u{1b}[31mred\u{1b}]0;title\u{7}\u{7f}\u{9b}31m",
        "👩‍👩‍👧‍👦 🏳️‍🌈 🇲🇲 é e\u{301} မြန်မာ 中文",
        "admin\u{202e}nimda\u{202d} \u{2066}isolated\u{2069} \u{200e}\u{200f}\u{61c}",
        "\u{feff}mark \u{fffd} \u{fffe} \u{ffff} \u{10ffff} \u{e000} \u{d7ff} \u{80}\u{9f}\u{a0}",
        "<script>alert('x')</script> %s %n ${jndi:ldap://x} ' OR 1=1 --",
        "NaN",
        "null",
        "true",
        "-0",
        "1e400",
    ]
    .map(str::to_owned)
    .to_vec();
    texts.push((1..=0xff_u32).filter_map(char::from_u32).collect());
    texts.push((0x2000..=0x206f_u32).filter_map(char::from_u32).collect());
    texts
}

/// Returns the text as it is stored: U+0000, which PostgreSQL cannot hold, is replaced by U+FFFD.
fn as_stored(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

fn exact(value: &Value) -> Box<RawValue> {
    to_raw_value(value).unwrap()
}

fn digits(digits: &str) -> Box<RawValue> {
    RawValue::from_string(digits.to_owned()).unwrap()
}

/// A trail that is being written, and its expected lines.
struct Written {
    logger: AuditLogger,
    expected: Vec<Exact>,
}

impl Written {
    fn begin(directory: &Path) -> Self {
        let config =
            Config::new(directory).hostname("erp-1").clock(StoppedClock).redaction(Redaction::none());
        Self { logger: AuditLogger::open(config).unwrap(), expected: Vec::new() }
    }

    /// Adds an expected line: `fields` and the common fields. Empty texts and objects are not stored.
    fn expect(&mut self, receipt: &Receipt, fields: &[(&str, Box<RawValue>)]) {
        let seq = receipt.wait_durable().unwrap().seq;
        let mut object: Exact = BTreeMap::from([
            ("seq".to_owned(), digits(&seq.to_string())),
            ("id".to_owned(), exact(&json!(receipt.id().to_string()))),
            ("timestamp".to_owned(), exact(&json!(StoppedClock::TIMESTAMP))),
            ("hostname".to_owned(), exact(&json!("erp-1"))),
            ("user".to_owned(), exact(&json!("SYSTEM"))),
            ("success".to_owned(), exact(&json!(true))),
        ]);
        for (name, value) in fields {
            if !["\"\"", "{}", "null"].contains(&value.get()) {
                object.insert((*name).to_owned(), value.clone());
            }
        }
        self.expected.push(object);
    }
}

fn text(text: &str) -> Box<RawValue> {
    exact(&json!(as_stored(text)))
}

fn object(members: &[(&str, Box<RawValue>)]) -> Box<RawValue> {
    let members: Exact = members
        .iter()
        .filter(|(_, value)| value.get() != "\"\"")
        .map(|(name, value)| (as_stored(name), value.clone()))
        .collect();
    to_raw_value(&members).unwrap()
}

/// Records an entry with the text in every field that accepts any text.
fn record_in_every_field(written: &mut Written, given: &str) {
    let nested = json!({"outer": [{given: given}, [given, 1]]});
    let stored = json!({"outer": [{as_stored(given): as_stored(given)}, [as_stored(given), 1]]});
    let receipt = written
        .logger
        .log(given)
        .user(given)
        .user_role(given)
        .on_behalf_of(given)
        .company_id(given)
        .branch_id(given)
        .entity(given, given)
        .reference_no(given)
        .amount(7)
        .currency(given)
        .old_values(nested.clone())
        .new_values(nested.clone())
        .metadata("value", given)
        .metadata(given, "key")
        .metadata("json", nested)
        .request_id(given)
        .session_id(given)
        .method(given)
        .endpoint(given)
        .record()
        .unwrap();
    let mut fields = vec![
        ("level", text("NORMAL")),
        ("module", text("system")),
        ("action", text("READ")),
        ("amount", digits("7")),
        ("old_values", exact(&stored)),
        ("new_values", exact(&stored)),
        ("metadata", object(&[("value", text(given)), (given, text("key")), ("json", exact(&stored))])),
    ];
    for name in [
        "description",
        "user",
        "user_role",
        "on_behalf_of",
        "company_id",
        "branch_id",
        "entity_type",
        "entity_id",
        "reference_no",
        "currency",
        "request_id",
        "session_id",
        "method",
        "endpoint",
    ] {
        fields.push((name, text(given)));
    }
    written.expect(&receipt, &fields);
}

fn record_with_every_builder(written: &mut Written, given: &str) {
    let logger = written.logger.clone();
    let common = |level: &str, module: &str, action: &str| {
        vec![
            ("level", text(level)),
            ("module", text(module)),
            ("action", text(action)),
            ("description", text(given)),
        ]
    };

    let amount = "123456789012345678901234567890.12345678901234567890";
    let receipt = logger
        .log_transaction(
            given,
            BusinessModule::Accounting,
            AuditAction::Payment,
            given,
            Amount::parse(amount).unwrap(),
        )
        .party(given)
        .record()
        .unwrap();
    let mut fields = common("AUDIT", "accounting", "PAYMENT");
    fields.push(("reference_no", text(given)));
    fields.push(("amount", digits(amount)));
    fields.push(("metadata", object(&[("party", text(given))])));
    written.expect(&receipt, &fields);

    let receipt = logger
        .log_inventory(given, AuditAction::Adjust, given, Amount::parse("-0.500").unwrap())
        .product_name(given)
        .unit(given)
        .warehouse_id(given)
        .record()
        .unwrap();
    let mut fields = common("AUDIT", "inventory", "ADJUST");
    fields.push(("entity_type", text("product")));
    fields.push(("entity_id", text(given)));
    let metadata = [
        ("quantity", digits("-0.500")),
        ("unit", text(given)),
        ("product_name", text(given)),
        ("warehouse_id", text(given)),
    ];
    fields.push(("metadata", object(&metadata)));
    written.expect(&receipt, &fields);

    let receipt = logger
        .log_service(given, AuditAction::Create, given)
        .customer_id(given)
        .technician(given)
        .service_type(given)
        .status_label(given)
        .amount(u64::MAX)
        .record()
        .unwrap();
    let mut fields = common("AUDIT", "service", "CREATE");
    fields.push(("entity_type", text("service_job")));
    fields.push(("entity_id", text(given)));
    fields.push(("amount", digits("18446744073709551615")));
    let metadata = ["customer_id", "technician", "service_type", "status"].map(|name| (name, text(given)));
    fields.push(("metadata", object(&metadata)));
    written.expect(&receipt, &fields);

    let receipt = logger
        .log_change(given, BusinessModule::Hr, AuditAction::Delete, given, given)
        .changes(&json!({"same": 1, "field": given}), &json!({"same": 1, "field": "new"}))
        .unwrap()
        .record()
        .unwrap();
    let mut fields = common("AUDIT", "hr", "DELETE");
    fields.push(("entity_type", text(given)));
    fields.push(("entity_id", text(given)));
    fields.push(("old_values", exact(&json!({"field": as_stored(given)}))));
    fields.push(("new_values", exact(&json!({"field": "new"}))));
    written.expect(&receipt, &fields);

    let receipt = logger.log_security(given).success(false).reason(given).record().unwrap();
    let mut fields = common("SECURITY", "auth", "LOGIN");
    fields.push(("user", text("UNKNOWN")));
    fields.push(("success", exact(&json!(false))));
    fields.push(("metadata", object(&[("reason", text(given))])));
    written.expect(&receipt, &fields);

    let context = RequestContext::new().user(given).user_role(given).request_id(given).extra(given, given);
    let receipt = {
        let _scope = context.enter();
        logger.log(given).record().unwrap()
    };
    let mut fields = common("NORMAL", "system", "READ");
    fields.extend(["user", "user_role", "request_id"].map(|name| (name, text(given))));
    let extra = exact(&json!({as_stored(given): as_stored(given)}));
    fields.push(("metadata", extra));
    written.expect(&receipt, &fields);
}

fn record_numbers(written: &mut Written) {
    let numbers = [
        (json!(u64::MAX), "18446744073709551615"),
        (json!(i64::MIN), "-9223372036854775808"),
        (json!(9_007_199_254_740_993_u64), "9007199254740993"),
        (json!(0.1), "0.1"),
        (json!(1.797_693_134_862_315_7e308), "1.7976931348623157e+308"),
        (json!(5e-324), "5e-324"),
        (json!(-0.0), "-0.0"),
    ];
    for (given, stored) in numbers {
        let receipt = written.logger.log("number").metadata("n", given).record().unwrap();
        let fields = [
            ("level", text("NORMAL")),
            ("module", text("system")),
            ("action", text("READ")),
            ("description", text("number")),
            ("metadata", object(&[("n", digits(stored))])),
        ];
        written.expect(&receipt, &fields);
    }
    let receipt =
        written.logger.log("none").metadata("n", f64::NAN).metadata("i", f64::INFINITY).record().unwrap();
    let fields = [
        ("level", text("NORMAL")),
        ("module", text("system")),
        ("action", text("READ")),
        ("description", text("none")),
        ("metadata", object(&[("n", text("NaN")), ("i", text("inf"))])),
    ];
    written.expect(&receipt, &fields);
}

fn record_deep_and_long(written: &mut Written) {
    let deep =
        (0..90).fold(
            json!("bottom"),
            |inner, level| {
                if level % 2 == 0 { json!([inner]) } else { json!({"down": inner}) }
            },
        );
    let long = "long \u{1f4a1} text \" ".repeat(3_560);
    for value in [deep, json!(long)] {
        let receipt = written.logger.log("large").metadata("value", value.clone()).record().unwrap();
        let fields = [
            ("level", text("NORMAL")),
            ("module", text("system")),
            ("action", text("READ")),
            ("description", text("large")),
            ("metadata", object(&[("value", exact(&value))])),
        ];
        written.expect(&receipt, &fields);
    }
    assert!(long.len() > 60_000, "{}", long.len());
}

/// Writes and closes a trail of hostile values. Returns the expected lines.
fn hostile_trail(directory: &Path) -> Vec<Exact> {
    let mut written = Written::begin(directory);
    for given in hostile_texts() {
        record_in_every_field(&mut written, &given);
        record_with_every_builder(&mut written, &given);
    }
    record_numbers(&mut written);
    record_deep_and_long(&mut written);
    written.logger.close(TIMEOUT).unwrap();
    written.expected
}

/// Returns the bytes of the active segment, including control records.
fn trail_bytes(directory: &Path) -> Vec<u8> {
    fs::read(directory.join("audit.jsonl")).unwrap()
}

/// Converts numbers to binary floating point, which is all that jq guarantees.
fn with_float_numbers(value: Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64().unwrap()),
        Value::Array(items) => items.into_iter().map(with_float_numbers).collect(),
        Value::Object(members) => {
            members.into_iter().map(|(name, value)| (name, with_float_numbers(value))).collect()
        }
        other => other,
    }
}

#[test]
fn jq_reads_the_recorded_values() {
    let directory = tempfile::tempdir().unwrap();
    let expected = hostile_trail(directory.path());
    let printed = output_of("jq", &["-c", "."], &trail_bytes(directory.path()));
    let read: Vec<Value> = printed
        .split_terminator('\n')
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|line: &Value| line.get("auditx").is_none())
        .collect();
    assert_eq!(read.len(), expected.len());
    for (read, expected) in read.into_iter().zip(expected) {
        let expected: Value = serde_json::from_str(&serde_json::to_string(&expected).unwrap()).unwrap();
        assert_eq!(with_float_numbers(read), with_float_numbers(expected));
    }
}

/// Compares the trail with the expected lines, numbers by their digits. Its arguments are two files: the
/// trail and the expected lines.
const PYTHON: &str = r#"
import json, sys

class Digits:
    def __init__(self, text): self.text = text
    def __eq__(self, other): return isinstance(other, Digits) and self.text == other.text
    def __repr__(self): return self.text

def no_constant(name):
    raise ValueError(name + " is not JSON")

def unique(pairs):
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate key: %r" % [key for key, _ in pairs])
    return members

def read(text):
    return json.loads(text, parse_int=Digits, parse_float=Digits, parse_constant=no_constant,
                      object_pairs_hook=unique)

def text_of(path):
    with open(path, "rb") as file:
        return file.read().decode("utf-8", "strict")

trail, expected = map(text_of, sys.argv[1:])
lines = trail.split("\n")
if lines.pop() != "":
    sys.exit("the last line is incomplete")
if trail.splitlines() != lines:
    sys.exit("splitlines() finds %d lines of %d" % (len(trail.splitlines()), len(lines)))
read_lines = [line for line in map(read, lines) if "auditx" not in line]
expected_lines = [read(line) for line in expected.split("\n")[:-1]]
if len(read_lines) != len(expected_lines):
    sys.exit("%d lines of %d" % (len(read_lines), len(expected_lines)))
for found, wanted in zip(read_lines, expected_lines):
    if found != wanted:
        sys.exit("found    %r\nexpected %r" % (found, wanted))
print(len(lines), len(expected_lines))
"#;

#[test]
fn python_reads_the_recorded_values_with_every_digit() {
    let directory = tempfile::tempdir().unwrap();
    let expected = hostile_trail(directory.path());
    let expected_file = tempfile::NamedTempFile::new().unwrap();
    let text: String = expected.iter().map(|line| serde_json::to_string(line).unwrap() + "\n").collect();
    fs::write(expected_file.path(), text).unwrap();
    let trail = directory.path().join("audit.jsonl");
    let printed = output_of(
        "python3",
        &["-c", PYTHON, trail.to_str().unwrap(), expected_file.path().to_str().unwrap()],
        &[],
    );
    let control_records = 3;
    assert_eq!(printed.trim(), format!("{} {}", expected.len() + control_records, expected.len()));
}

#[test]
fn the_library_reads_the_recorded_values() {
    let directory = tempfile::tempdir().unwrap();
    let expected = hostile_trail(directory.path());
    let entries = entries(directory.path());
    assert_eq!(entries.len(), expected.len());
    for (line, expected) in entries.iter().zip(&expected) {
        let stored = auditx_core::RecordedEntry::from_line(line.text.as_bytes()).unwrap().parse().unwrap();
        let digits = stored.amount.map(|amount| amount.to_string());
        assert_eq!(digits.as_deref(), expected.get("amount").map(|amount| amount.get()));
        let of = |name: &str| expected.get(name).map_or("\"\"", |value| value.get());
        assert_eq!(serde_json::to_string(&stored.description).unwrap(), of("description"));
        assert_eq!(serde_json::to_string(&stored.user).unwrap(), of("user"));
    }
}
