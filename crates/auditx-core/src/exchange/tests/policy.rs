//! Tests of settings: when entries are recorded, when requests are rejected, when responses wait, and inner
//! layers.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Waker};

use auditx_store::config::{Durability, JournalKind};

use super::*;

fn get(fixture: &Fixture, headers: Vec<(&'static str, Vec<u8>)>) -> Exchange {
    fixture.begin("GET", "/x", headers)
}

fn grpc(
    fixture: &Fixture,
    head: Vec<(&'static str, Vec<u8>)>,
    trailers: Option<&'static str>,
) -> StoredEntry {
    let mut exchange = fixture.begin("POST", "/erp.Stock/Issue", Vec::new());
    exchange.respond(&ResponseFacts::new(200).headers(&Pairs(head)));
    if let Some(status) = trailers {
        let message = ("grpc-message", b"no%20such%20stock".to_vec());
        exchange.trailers(&Pairs(vec![("grpc-status", status.into()), message]));
    }
    exchange.complete();
    fixture.closing().pop().unwrap()
}

#[test]
fn a_missing_grpc_status_is_not_a_success() {
    let fixture = fixture();
    let kind = |value: &str| vec![("content-type", value.into())];
    let ending = |entry: &StoredEntry| {
        let grpc = entry.metadata.get("grpc_status").and_then(serde_json::Value::as_u64);
        (entry.level.clone(), entry.success, grpc)
    };
    let expected = |level: &str, success, grpc| (level.to_owned(), success, grpc);
    let ok = grpc(&fixture, kind("application/grpc"), Some("0"));
    assert_eq!(ending(&ok), expected("AUDIT", true, Some(0)));
    assert_eq!(ok.description, "HTTP POST /erp.Stock/Issue completed with 200, grpc-status 0");
    let missing = grpc(&fixture, kind("application/grpc+proto"), Some("5"));
    assert_eq!(ending(&missing), expected("WARNING", false, Some(5)));
    assert_eq!(missing.metadata["error"], "no such stock");
    assert_eq!(
        ending(&grpc(&fixture, kind("application/grpc"), Some("13"))),
        expected("ERROR", false, Some(13))
    );
    assert_eq!(ending(&grpc(&fixture, kind("application/grpc"), None)), expected("ERROR", false, Some(2)));
    assert_eq!(
        ending(&grpc(&fixture, kind("application/grpc"), Some("x"))),
        expected("ERROR", false, Some(2))
    );
    let trailers_only = [kind("application/grpc"), vec![("grpc-status", b"16".to_vec())]].concat();
    assert_eq!(ending(&grpc(&fixture, trailers_only, None)), expected("WARNING", false, Some(16)));
    for other in ["application/json", "application/grpc-web", "application/grpcish"] {
        assert_eq!(
            ending(&grpc(&fixture, kind(other), Some("13"))),
            expected("AUDIT", true, None),
            "{other}"
        );
    }
}

#[test]
fn a_switch_of_protocols_closes_the_exchange_at_once() {
    for (method, status) in [("GET", 101), ("CONNECT", 200)] {
        let fixture = fixture();
        let mut exchange = fixture.begin(method, "/ws", Vec::new());
        exchange.respond(&ResponseFacts::new(status));
        exchange.fail_body(&"reported after the end");
        drop(exchange);
        let entries = fixture.closing();
        assert_eq!(entries.len(), 1);
        let entry = &entries[0];
        assert_eq!((entry.status, entry.success, entry.level.as_str()), (Some(status), true, "AUDIT"));
        assert_eq!(entry.metadata["outcome"], "upgraded");
        assert_eq!(entry.description, format!("HTTP {method} /ws upgraded with {status}"));
    }
}

#[test]
fn a_start_record_is_written_before_the_request_ends() {
    let fixture = with(|http| http.start_record(true).exclude(["/healthz"]));
    let exchange = get(&fixture, vec![("x-request-id", b"early".to_vec())]);
    let begun = fixture.closing();
    assert_eq!(begun.len(), 1);
    assert_eq!(
        (begun[0].description.as_str(), begun[0].request_id.as_str()),
        ("HTTP GET /x started", "early")
    );
    assert_eq!((begun[0].level.as_str(), begun[0].status), ("NORMAL", None));
    assert_eq!(begun[0].endpoint, "/x?token=[REDACTED]&a=1");
    drop(exchange);
    drop(fixture.begin("GET", "/healthz", Vec::new()));
    assert_eq!(fixture.closing().len(), 2);
}

#[test]
fn an_entry_at_the_head_is_not_repeated_at_the_end() {
    let fixture = with(|http| http.emit_at(EmitAt::Headers));
    let mut exchange = get(&fixture, Vec::new());
    exchange.respond(&ResponseFacts::new(200));
    assert_eq!(fixture.closing().len(), 1, "while the body is being sent");
    exchange.fail_body(&"disk");
    drop(exchange);
    let entries = fixture.closing();
    assert_eq!((entries.len(), &entries[0].metadata["outcome"]), (1, &json!("completed")));
}

#[test]
fn a_closed_trail_rejects_requests_only_with_on_failure_closed() {
    for journal in [JournalKind::Ring, JournalKind::Direct] {
        let directory = tempfile::tempdir().unwrap();
        let logger = AuditLogger::open(Config::new(directory.path()).journal(journal)).unwrap();
        let layer =
            |on_failure| HttpAudit::builder().logger(logger.clone()).on_failure(on_failure).build().unwrap();
        let (open, closed): (HttpAudit, HttpAudit) = (layer(OnFailure::Open), layer(OnFailure::Closed));
        let begin = |http: &HttpAudit| http.begin(&RequestFacts::new("GET", "/x", &Pairs(Vec::new())));
        assert_eq!(begin(&closed).refusal(), None, "the trail accepts entries");
        logger.close(TIMEOUT).unwrap();
        assert_eq!(begin(&open).refusal(), None);
        let exchange = begin(&closed);
        let problem = exchange.refusal().unwrap();
        assert_eq!((problem.status(), problem.reason()), (503, "the trail is closed"));
        let body: serde_json::Value = serde_json::from_str(&problem.to_json()).unwrap();
        assert_eq!((&body["status"], &body["request_id"]), (&json!(503), &json!(exchange.request_id())));
        assert!(!problem.to_json().contains("the trail is closed"), "the reason is not sent to the client");
    }
}

/// Waits for the head like an adapter; the response is 201 with a body.
fn head_of(exchange: &mut Exchange) -> Result<(), Problem> {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    loop {
        let respond = |exchange: &mut Exchange| exchange.respond(&ResponseFacts::new(201));
        match exchange.poll_head(&mut Context::from_waker(&waker), respond) {
            std::task::Poll::Ready(outcome) => return outcome,
            std::task::Poll::Pending => std::thread::park(),
        }
    }
}

#[test]
fn only_a_durable_request_waits_for_its_entries() {
    let directory = tempfile::tempdir().unwrap();
    // Entries are synced only while a receipt is waited for.
    let hour = std::time::Duration::from_secs(3_600);
    let config = Config::new(directory.path()).durability(Durability::Interval(hour));
    let logger = AuditLogger::open(config).unwrap();
    let plain: HttpAudit = HttpAudit::builder().logger(logger.clone()).build().unwrap();
    let durable: HttpAudit = HttpAudit::builder().logger(logger.clone()).durable(true).build().unwrap();
    let at_head: HttpAudit =
        HttpAudit::builder().logger(logger.clone()).durable(true).emit_at(EmitAt::Headers).build().unwrap();
    let begin = |http: &HttpAudit| http.begin(&RequestFacts::new("GET", "/x", &Pairs(Vec::new())));

    let before = logger.metrics().fsyncs;
    let mut exchange = begin(&plain);
    exchange.context().in_fn(|| logger.log("in a plain request").record().unwrap())();
    head_of(&mut exchange).unwrap();
    let mut exchange = begin(&durable);
    head_of(&mut exchange).unwrap();
    assert_eq!(logger.metrics().fsyncs, before, "nothing to wait for");

    let mut exchange = begin(&durable);
    let receipts = exchange
        .context()
        .in_fn(|| [1, 2, 3].map(|number| logger.log(format!("invoice {number}")).record().unwrap()))(
    );
    head_of(&mut exchange).unwrap();
    let durable_lines = logger.metrics().durable;
    assert!(receipts.iter().all(|receipt| receipt.wait_durable().unwrap().seq < durable_lines));
    assert_eq!(logger.metrics().durable, durable_lines, "all were durable before");

    let mut exchange = begin(&at_head);
    head_of(&mut exchange).unwrap();
    let metrics = logger.metrics();
    assert_eq!(metrics.durable, metrics.written, "its closing entry is durable before the head is sent");
}

#[test]
fn a_durable_request_fails_if_an_entry_was_dropped() {
    use auditx_store::config::OnFull;
    use auditx_store::testing::FaultyDisk;
    let directory = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::default();
    let config = Config::new(directory.path()).journal_bytes(1 << 20).on_full(OnFull::Drop);
    let logger = AuditLogger::open_on(config, Arc::new(disk.clone())).unwrap();
    let http: HttpAudit = HttpAudit::builder().logger(logger.clone()).durable(true).build().unwrap();
    let mut exchange = http.begin(&RequestFacts::new("GET", "/x", &Pairs(Vec::new())));
    disk.0.space.store(0, Ordering::SeqCst);
    exchange.context().in_fn(|| {
        while logger.metrics().dropped == 0 {
            logger.log("x".repeat(60_000)).record().unwrap();
        }
    })();
    // From here on entries are accepted again.
    disk.0.space.store(u64::MAX, Ordering::SeqCst);
    logger.flush(TIMEOUT).unwrap();
    let problem = head_of(&mut exchange).unwrap_err();
    assert_eq!(problem.status(), 503);
    assert!(problem.reason().contains("dropped"), "{}", problem.reason());
    drop(exchange);
    logger.flush(TIMEOUT).unwrap();
    let entries = closing(directory.path());
    let last = entries.iter().rfind(|entry| !entry.method.is_empty()).unwrap();
    assert_eq!((last.status, last.success, &last.metadata["outcome"]), (Some(503), false, &json!("error")));
}

#[test]
fn the_settings_of_the_innermost_layer_apply() {
    let outer = fixture();
    let inner = with(|http| http.exclude(["/x/quiet"]).emit_at(EmitAt::Headers).durable(true));
    let begin = |path: &str| outer.begin("GET", path, Vec::new());

    let mut exchange = begin("/x/loud");
    assert_eq!(inner.http.govern(exchange.context()), None);
    let receipt = exchange.context().in_fn(|| inner.logger.log("paid").record().unwrap())();
    head_of(&mut exchange).unwrap();
    let durable = inner.logger.metrics().durable;
    assert!(receipt.wait_durable().unwrap().seq < durable, "the inner layer is durable");
    drop(exchange);
    assert!(outer.closing().is_empty(), "the inner layer has another logger");
    assert_eq!(inner.closing().len(), 2);

    let quiet = begin("/x/quiet");
    assert_eq!(inner.http.govern(quiet.context()), None);
    drop(quiet);
    assert_eq!((outer.closing().len(), inner.closing().len()), (0, 2));

    let strict = with(|http| http.on_failure(OnFailure::Closed));
    strict.logger.close(TIMEOUT).unwrap();
    let exchange = begin("/x");
    let problem = strict.http.govern(exchange.context()).unwrap();
    assert!(problem.to_json().contains(exchange.request_id()));
}

#[test]
fn trace_id_and_route_are_recorded() {
    let fixture = fixture();
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let mut exchange = get(&fixture, vec![("traceparent", parent.into())]);
    let scope = exchange.context().enter();
    fixture.logger.log("in the handler").record().unwrap();
    drop(scope);
    exchange.matched("/customers/{id}");
    drop(exchange);
    drop(get(&fixture, vec![("traceparent", b"00-nonsense".to_vec())]));
    let entries = fixture.closing();
    for entry in &entries[..2] {
        assert_eq!(entry.metadata["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    }
    assert_eq!(entries[1].metadata["route"], "/customers/{id}");
    assert!(!entries[2].metadata.contains_key("trace_id"));
}
