//! An entry as the mappers see it: its subject, and what follows from its fields.

use std::borrow::Cow;
use std::net::IpAddr;

use auditx_format::line::StoredEntry;
use auditx_format::moment::Moment;
use auditx_format::row::{Field, Row};
use auditx_format::vocabulary::LogLevel;
use auditx_tlog::{Leaf, leaf_of, parse_seq, to_hex};
use serde_json::Value;

/// The subject of an entry, which decides its class in every schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject<'a> {
    /// The stub of an erased line.
    Erased,
    /// The trail itself, with the kind of the control record.
    Trail(&'a str),
    /// More failures from one address than the rate limit allows.
    RateLimit,
    Logon,
    Logoff,
    /// An HTTP request.
    Request,
    /// A business record: an invoice, a product, a customer.
    Record,
    /// Anything else.
    Other,
}

/// One entry, with the values that the mappers share.
pub(crate) struct View<'a> {
    pub(crate) entry: &'a StoredEntry,
    line: &'a [u8],
    /// The parsed line, which keeps the digits of numbers: reading them as `f64` would lose some. `None` if
    /// the line is not the JSON of the entry; then only `entry` is used.
    row: Option<Row<'a>>,
    pub(crate) subject: Subject<'a>,
    pub(crate) level: Option<LogLevel>,
    /// `None` if the line has no time or one that cannot be parsed.
    pub(crate) time: Option<Moment>,
    /// `None` if the line has no address or an invalid one.
    pub(crate) address: Option<IpAddr>,
    /// The name of the entry's trail; empty if only one trail is exported.
    pub(crate) trail: &'a str,
    /// The entry's hostname, or the exporter's default.
    pub(crate) hostname: &'a str,
}

impl<'a> View<'a> {
    /// Costs one pass over the line.
    pub(crate) fn new(
        trail: &'a str,
        line: &'a [u8],
        entry: &'a StoredEntry,
        default_hostname: &'a str,
    ) -> Self {
        Self {
            entry,
            line,
            row: Row::read(line).ok(),
            subject: subject(entry),
            level: entry.level.parse().ok(),
            time: Moment::parse(&entry.timestamp),
            address: entry.ip.parse().ok(),
            trail,
            hostname: first_of([&entry.hostname, default_hostname]),
        }
    }

    /// The line's sequence number; `None` for a legacy line.
    pub(crate) fn seq(&self) -> Option<u64> {
        parse_seq(self.line)
    }

    /// The line's leaf hash, in hexadecimal; `None` if the line is not in a tree. Costs one SHA-256.
    pub(crate) fn leaf_hash(&self) -> Option<String> {
        leaf_of(self.line).map(|Leaf { hash, .. }| to_hex(&hash))
    }

    /// `None` if the line does not say: the stub of an erased line, and some legacy lines.
    pub(crate) fn success(&self) -> Option<bool> {
        let is_said = self.row.as_ref().is_none_or(|row| row.has(Field::Success));
        (is_said && self.subject != Subject::Erased).then_some(self.entry.success)
    }

    /// Milliseconds since 1970; 0 if there is no time.
    pub(crate) fn millis(&self) -> i64 {
        self.time.map_or(0, |time| time.micros().div_euclid(1_000))
    }

    /// Nanoseconds since 1970; 0 if there is no time, or if it is outside OTLP's range from 1970 to 2554.
    pub(crate) fn unix_nanos(&self) -> u64 {
        let micros = self.time.and_then(|time| u64::try_from(time.micros()).ok());
        micros.and_then(|micros| micros.checked_mul(1_000)).unwrap_or(0)
    }

    /// `success`, `failure` or `unknown`, as in ECS, CEF and OTel.
    pub(crate) fn outcome(&self) -> &'static str {
        match self.success() {
            Some(true) => "success",
            Some(false) => "failure",
            None => "unknown",
        }
    }

    /// The JSON of the old values; `None` if there are none.
    pub(crate) fn old_values(&self) -> Option<Cow<'a, str>> {
        self.json(Field::OldValues, || self.entry.old_values.to_string())
    }

    /// The JSON of the new values; `None` if there are none.
    pub(crate) fn new_values(&self) -> Option<Cow<'a, str>> {
        self.json(Field::NewValues, || self.entry.new_values.to_string())
    }

    /// The JSON of the metadata; `None` if there is none.
    pub(crate) fn metadata(&self) -> Option<Cow<'a, str>> {
        self.json(Field::Metadata, || Value::from(self.entry.metadata.clone()).to_string())
    }

    /// The JSON of a control record.
    pub(crate) fn control_record(&self) -> Option<Cow<'a, str>> {
        let control_record =
            || self.entry.control_record.clone().map_or(Value::Null, Value::from).to_string();
        self.json(Field::Auditx, control_record)
    }

    fn json(&self, field: Field, parsed: impl FnOnce() -> String) -> Option<Cow<'a, str>> {
        let json: Cow<'a, str> = match &self.row {
            Some(row) => row.raw(field)?.into(),
            None => parsed().into(),
        };
        let is_empty = json == "null" || json.strip_prefix('{').is_some_and(|rest| rest.trim() == "}");
        (!is_empty).then_some(json)
    }

    /// The reason in the metadata: `reason`, or the `error` of a request.
    pub(crate) fn reason(&self) -> &'a str {
        first_of(["reason", "error"].map(|name| self.metadata_text(name)))
    }

    /// The W3C Trace Context id: 32 hexadecimal digits, or empty.
    pub(crate) fn trace_id(&self) -> &'a str {
        let id = self.metadata_text("trace_id");
        let is_id = id.len() == 32 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if is_id { id } else { "" }
    }

    fn metadata_text(&self, name: &str) -> &'a str {
        self.entry.metadata.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// The kind of entry in two words: the module and the action; for control records, `auditx` and their
    /// kind.
    pub(crate) fn code(&self) -> [&'a str; 2] {
        let or_unknown = |word| first_of([word, "unknown"]);
        match self.subject {
            Subject::Erased => ["auditx", "erased_line"],
            Subject::Trail(kind) => ["auditx", or_unknown(kind)],
            _ => [or_unknown(&self.entry.module), or_unknown(&self.entry.action)],
        }
    }

    /// The description; for a stub, a text that says so.
    pub(crate) fn message(&self) -> &'a str {
        let stub = if self.subject == Subject::Erased { "A line was erased here" } else { "" };
        first_of([&self.entry.description, stub])
    }

    /// The path of a request, and its query without the question mark.
    pub(crate) fn path_and_query(&self) -> (&'a str, &'a str) {
        self.entry.endpoint.split_once('?').unwrap_or((&self.entry.endpoint, ""))
    }
}

fn subject(entry: &StoredEntry) -> Subject<'_> {
    if !entry.erased.is_empty() {
        return Subject::Erased;
    }
    if let Some(own) = &entry.control_record {
        return Subject::Trail(own.get("kind").and_then(Value::as_str).unwrap_or_default());
    }
    if entry.metadata.get("rate_limited") == Some(&Value::Bool(true)) {
        return Subject::RateLimit;
    }
    // The closing entry of a request has an action too, so requests come before records; logins come before
    // both.
    match entry.action.as_str() {
        "LOGIN" => Subject::Logon,
        "LOGOUT" => Subject::Logoff,
        _ if !entry.method.is_empty() || !entry.endpoint.is_empty() => Subject::Request,
        _ if is_of_a_record(entry) => Subject::Record,
        _ => Subject::Other,
    }
}

fn is_of_a_record(entry: &StoredEntry) -> bool {
    [&entry.entity_type, &entry.entity_id, &entry.reference_no].iter().any(|text| !text.is_empty())
        || !entry.old_values.is_null()
        || !entry.new_values.is_null()
}

/// The first text that is not empty.
pub(crate) fn first_of<const N: usize>(texts: [&str; N]) -> &str {
    texts.into_iter().find(|text| !text.is_empty()).unwrap_or_default()
}
