//! Tests of exchanges: each ending records exactly one closing entry.

use std::path::Path;

use auditx_format::line::{RecordedEntry, StoredEntry};
use auditx_store::TrailReader;
use auditx_store::config::Config;
use serde_json::json;

use super::*;
use crate::logger::AuditLogger;
use crate::testing::TIMEOUT;

struct Pairs(Vec<(&'static str, Vec<u8>)>);

impl Headers for Pairs {
    fn each(&self, name: &str, visit: &mut dyn FnMut(&[u8])) {
        self.0.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name)).for_each(|(_, value)| visit(value));
    }
}

struct Fixture {
    directory: tempfile::TempDir,
    logger: AuditLogger,
    http: HttpAudit,
}

fn fixture() -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let logger = AuditLogger::open(Config::new(directory.path())).unwrap();
    let http = HttpAudit::builder()
        .logger(logger.clone())
        .exclude(["/healthz"])
        .trust_proxies(["10.0.0.1"])
        .build()
        .unwrap();
    Fixture { directory, logger, http }
}

fn with(settings: impl Fn(HttpAuditBuilder<HttpAudit>) -> HttpAuditBuilder<HttpAudit>) -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let logger = AuditLogger::open(Config::new(directory.path())).unwrap();
    let http = settings(HttpAudit::builder().logger(logger.clone())).build().unwrap();
    Fixture { directory, logger, http }
}

impl Fixture {
    fn begin(&self, method: &str, path: &str, headers: Vec<(&'static str, Vec<u8>)>) -> Exchange {
        let headers = Pairs(headers);
        let peer = Some([10, 0, 0, 1].into());
        self.http.begin(&RequestFacts::new(method, path, &headers).query(Some("token=t&a=1")).peer(peer))
    }

    /// Returns `true` if the active segment contains the text.
    fn holds(&self, text: &str) -> bool {
        self.logger.flush(TIMEOUT).unwrap();
        let lines = std::fs::read(self.directory.path().join("audit.jsonl")).unwrap();
        lines.windows(text.len()).any(|bytes| bytes == text.as_bytes())
    }

    fn closing(&self) -> Vec<StoredEntry> {
        self.logger.flush(TIMEOUT).unwrap();
        closing(self.directory.path())
    }
}

fn closing(directory: &Path) -> Vec<StoredEntry> {
    let mut reader = TrailReader::new(directory, 0);
    let mut entries = Vec::new();
    while let Some((_, line)) = reader.next_line().unwrap() {
        entries.push(RecordedEntry::from_line(line).unwrap().parse().unwrap());
    }
    entries.into_iter().filter(|entry: &StoredEntry| entry.control_record.is_none()).collect()
}

type Ending = fn(Exchange);

fn panic_in(mut exchange: Exchange) {
    let work = AssertUnwindSafe(|| Exchange::watch(Some(&mut exchange), || panic!("on purpose")));
    assert_eq!(catch_unwind(work).unwrap_err().downcast_ref(), Some(&"on purpose"), "the panic continues");
}

#[test]
fn every_ending_records_exactly_one_entry() {
    let endings: [(&str, Ending, u16, &str, bool); 9] = [
        (
            "completed",
            |mut exchange| {
                exchange.respond(&ResponseFacts::new(201));
                exchange.sent(7);
                exchange.complete();
                exchange.complete();
            },
            201,
            "AUDIT",
            true,
        ),
        (
            "completed",
            |mut exchange| {
                exchange.respond(&ResponseFacts::new(404).expected_bytes(Some(0)));
            },
            404,
            "WARNING",
            false,
        ),
        (
            "completed",
            |mut exchange| {
                exchange.respond(&ResponseFacts::new(503).expected_bytes(Some(3)));
                exchange.sent(3);
            },
            503,
            "ERROR",
            false,
        ),
        (
            "completed",
            |mut exchange| {
                exchange.respond(&ResponseFacts::new(304));
                exchange.complete();
            },
            304,
            "AUDIT",
            true,
        ),
        ("client_aborted", drop, 499, "WARNING", false),
        (
            "body_aborted",
            |mut exchange| {
                exchange.respond(&ResponseFacts::new(200).expected_bytes(Some(10)));
                exchange.sent(4);
            },
            200,
            "WARNING",
            false,
        ),
        (
            "body_error",
            |mut exchange| {
                exchange.respond(&ResponseFacts::new(200));
                exchange.fail_body(&"disk");
            },
            200,
            "ERROR",
            false,
        ),
        ("error", |mut exchange| exchange.fail(&"no route"), 500, "ERROR", false),
        ("panicked", panic_in, 500, "ERROR", false),
    ];
    let fixture = fixture();
    for (number, (outcome, end, status, level, success)) in endings.into_iter().enumerate() {
        end(fixture.begin("POST", "/sales/invoice", Vec::new()));
        let entries = fixture.closing();
        assert_eq!(entries.len(), number + 1);
        let entry = &entries[number];
        assert_eq!(entry.metadata["outcome"], outcome);
        assert_eq!(
            (entry.status, entry.level.as_str(), entry.success),
            (Some(status), level, success),
            "{outcome}"
        );
        assert_eq!(
            (entry.method.as_str(), entry.endpoint.as_str()),
            ("POST", "/sales/invoice?token=[REDACTED]&a=1")
        );
        assert_eq!(entry.action, "CREATE");
        assert!(entry.metadata["duration_ms"].as_f64().unwrap() >= 0.0);
    }
    assert_eq!(fixture.closing()[0].description, "HTTP POST /sales/invoice completed with 201");
    assert_eq!(fixture.closing()[8].description, "HTTP Request Failed: POST /sales/invoice: on purpose");
}

#[test]
fn the_closing_entry_has_the_fields_set_by_handlers() {
    let fixture = fixture();
    let mut exchange = fixture.begin(
        "GET",
        "/x",
        vec![("X-Request-ID", b"req-1".to_vec()), ("x-session-id", b"s3cr3t".to_vec())],
    );
    exchange.context().edit(|context| context.user = "admin".into());
    exchange.respond(&ResponseFacts::new(200).expected_bytes(Some(0)));
    exchange.complete();
    let entry = fixture.closing().pop().unwrap();
    assert_eq!((entry.user.as_str(), entry.request_id.as_str()), ("admin", "req-1"));
    assert!(entry.session_id.starts_with("sha256:") && !entry.session_id.contains("s3cr3t"));
    assert_eq!(entry.ip, "10.0.0.1");
}

#[test]
fn an_unsafe_request_id_is_replaced_and_recorded() {
    let fixture = fixture();
    let exchange = fixture.begin("GET", "/x", vec![("x-request-id", b"evil\x1b[31m\"}\n{".to_vec())]);
    assert_eq!(exchange.request_id().len(), 36);
    drop(exchange);
    assert_eq!(fixture.closing().pop().unwrap().metadata["refused_request_id"], "evil\u{1b}[31m\"}\n{");
}

#[test]
fn a_trusted_proxy_forwards_the_client_address() {
    let fixture = fixture();
    drop(fixture.begin("GET", "/x", vec![("x-forwarded-for", b"6.6.6.6, 198.51.100.7".to_vec())]));
    let entry = fixture.closing().pop().unwrap();
    assert_eq!((entry.ip.as_str(), &entry.metadata["peer"]), ("198.51.100.7", &json!("10.0.0.1")));
}

#[test]
fn excluded_requests_have_a_context_and_no_entry() {
    let fixture = fixture();
    let mut exchange = fixture.begin("GET", "/healthz", Vec::new());
    assert!(!exchange.context().fields().request_id.is_empty());
    exchange.respond(&ResponseFacts::new(200).expected_bytes(Some(0)));
    drop(exchange);
    drop(fixture.begin("GET", "/healthz", Vec::new()));
    assert!(fixture.closing().is_empty());
}

#[test]
fn an_oversized_request_still_gets_its_entry() {
    let fixture = fixture();
    let exchange = fixture.begin(
        "GET",
        &format!("/{}", "p".repeat(100_000)),
        vec![("x-request-id", vec![b'r'; 100_000])],
    );
    exchange.context().edit(|context| context.user = "u".repeat(70_000));
    drop(exchange);
    let entry = fixture.closing().pop().unwrap();
    assert_eq!(entry.user, "SYSTEM");
    assert!(entry.metadata["context_left_out"].as_str().unwrap().contains("largest field is user"));
    assert_eq!(entry.metadata["endpoint_bytes"], (100_001 + "?token=[REDACTED]&a=1".len()).to_string());
}

mod bodies;
mod policy;
mod urls;

#[test]
fn an_explained_error_is_recorded_once() {
    let fixture = fixture();
    let mut exchange = fixture.begin("GET", "/x", Vec::new());
    exchange.respond(&ResponseFacts::new(500));
    exchange.explain(&"the cause");
    exchange.fail_body(&"the consequence");
    drop(exchange);
    assert_eq!(fixture.closing()[0].metadata["error"], "the cause");
    let lines = std::fs::read_to_string(fixture.directory.path().join("audit.jsonl")).unwrap();
    assert_eq!(lines.matches("\"error\":").count(), 1, "{lines}");
}

#[test]
fn a_long_description_is_recorded_whole() {
    let fixture = fixture();
    let path = format!("/{}", "a".repeat(400));
    let mut exchange = fixture.begin("GET", &path, Vec::new());
    exchange.respond(&ResponseFacts::new(200));
    exchange.complete();
    assert_eq!(fixture.closing()[0].description, format!("HTTP GET {path} completed with 200"));
}
