//! Tests of captured bodies.

use serde_json::Value;

use super::*;

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

fn capturing(settings: fn(BodyCapture) -> BodyCapture) -> Fixture {
    with(|http| http.capture_bodies(settings(BodyCapture::new(["/sales", "/r/*"]).limit(100))))
}

fn kind(value: &str) -> Vec<(&'static str, Vec<u8>)> {
    vec![("content-type", value.into())]
}

/// Returns the closing entry of a request whose body arrives in these pieces.
fn request(fixture: &Fixture, headers: Vec<(&'static str, Vec<u8>)>, pieces: &[&str]) -> StoredEntry {
    let exchange = fixture.begin("POST", "/sales/invoice", headers);
    let tap = exchange.request_body().unwrap();
    pieces.iter().for_each(|piece| tap.data(piece.as_bytes()));
    tap.end();
    drop(exchange);
    fixture.closing().pop().unwrap()
}

fn sha256(text: &str) -> String {
    use sha2::Digest;
    let digest: [u8; 32] = sha2::Sha256::digest(text).into();
    auditx_tlog::to_hex(&digest)
}

#[test]
fn json_and_forms_are_recorded_with_their_secrets_masked() {
    let fixture = capturing(|bodies| bodies.limit(1_000));
    let body = r#"{"customer":"C-7","password":"S3CRET","code":"S3CRET",
        "lines":[{"sku":"P-1","pin":"S3CRET"}],"back":"https://x/?token=S3CRET","memo":"a=1; b",
        "link":"/reset-password/S3CRET"}"#;
    let json = request(&fixture, kind("application/json; charset=utf-8"), &[&body[..20], &body[20..]]);
    assert_eq!(
        json.metadata["request_body"],
        json!({
            "bytes": body.len(),
            "content": {
                "customer": "C-7", "password": "[REDACTED]", "code": "[REDACTED]",
                "lines": [{"sku": "P-1", "pin": "[REDACTED]"}],
                "back": "https://x/?token=[REDACTED]", "memo": "a=1; b", "link": "/reset-password/[REDACTED]",
            }
        })
    );
    let body = "user=thida&pass%77ord=S3CRET&tag=a&tag=b&SAMLResponse=S3CRET&x=1;token=S3CRET\
        &to=https%3A%2F%2Fx%2F%3Fsig%3DS3CRET";
    let form = request(&fixture, kind(FORM), &[body]);
    assert_eq!(
        form.metadata["request_body"]["content"],
        json!({
            "user": "thida", "password": "[REDACTED]", "tag": ["a", "b"], "SAMLResponse": "[REDACTED]",
            "x": "1;token=[REDACTED]", "to": "https://x/?sig=[REDACTED]",
        })
    );
    assert!(!fixture.holds("S3CRET"));
}

#[test]
fn rules_of_the_logger_apply_to_bodies() {
    let directory = tempfile::tempdir().unwrap();
    let redaction = crate::Redaction::default()
        .allow("metadata.request_body.content.code")
        .deny("metadata.request_body.content.customer.iban")
        .hash("national id")
        .hash_key(*b"0123456789abcdef");
    let logger = AuditLogger::open(Config::new(directory.path()).redaction(redaction)).unwrap();
    let http = HttpAudit::builder()
        .logger(logger.clone())
        .capture_bodies(BodyCapture::new(["/sales"]))
        .build()
        .unwrap();
    let fixture = Fixture { directory, logger, http };
    let body = r#"{"code":"P-1","customer":{"iban":"MM12","code":"S3CRET"},"national_id":"12/XYZ"}"#;
    let entry = request(&fixture, kind(JSON), &[body]);
    let content = &entry.metadata["request_body"]["content"];
    assert_eq!(content["code"], "P-1");
    assert_eq!(content["customer"], json!({"iban": "[REDACTED]", "code": "[REDACTED]"}));
    assert!(content["national_id"].as_str().unwrap().starts_with("hmac-sha256:"));
}

#[test]
fn of_unredactable_content_only_size_and_hash_are_recorded() {
    let deep = format!("{}1{}", "[".repeat(90), "]".repeat(90));
    let encoded = [kind(JSON), vec![("content-encoding", b"gzip".to_vec())]].concat();
    let long = format!(r#"{{"password":"S3CRET","text":"{}"}}"#, "x".repeat(200));
    let bodies = |bodies: BodyCapture| bodies.limit(200).content_types([JSON, FORM, "text/csv"]);
    for (headers, body, why) in [
        (kind(JSON), long.as_str(), "too_long"),
        (kind(JSON), r#"{"password":"S3CRET"#, "malformed"),
        (kind(JSON), deep.as_str(), "malformed"),
        (encoded, r#"{"password":"S3CRET"}"#, "encoded"),
        (kind("text/csv"), "password;S3CRET", "content_type"),
    ] {
        let fixture = capturing(bodies);
        let (start, end) = body.split_at(body.len() / 2);
        let entry = request(&fixture, headers, &[start, end]);
        let expected = json!({"bytes": body.len(), "omitted": why, "sha256": sha256(body)});
        assert_eq!(entry.metadata["request_body"], expected, "{why}");
        assert!(!fixture.holds("S3CRET"));
    }
}

#[test]
fn incomplete_and_unobserved_bodies_are_marked() {
    let fixture = capturing(|bodies| bodies);
    let exchange = fixture.begin("POST", "/sales", kind(JSON));
    exchange.request_body().unwrap().data(b"{\"password\":\"S3CR");
    drop(exchange);
    let body = fixture.closing().pop().unwrap().metadata["request_body"].clone();
    assert_eq!((&body["bytes"], &body["omitted"]), (&json!(17), &json!("incomplete")));

    drop(fixture.begin("POST", "/sales", kind(JSON)));
    assert_eq!(fixture.closing().pop().unwrap().metadata["request_body"], json!({"omitted": "not_observed"}));
    assert!(!fixture.holds("S3CR"));

    let mut exchange = fixture.begin("GET", "/sales", Vec::new());
    exchange.respond(&ResponseFacts::new(200).headers(&Pairs(kind(JSON))));
    exchange.sent(7);
    exchange.complete();
    assert_eq!(
        fixture.closing().pop().unwrap().metadata["response_body"],
        json!({"omitted": "not_observed"})
    );
}

fn response(
    fixture: &Fixture,
    path: &str,
    headers: Vec<(&'static str, Vec<u8>)>,
    whole: bool,
) -> Option<Value> {
    let mut exchange = fixture.begin("GET", path, Vec::new());
    exchange.respond(&ResponseFacts::new(200).headers(&Pairs(headers)));
    exchange.sent_data(br#"{"access_token":"S3CRET","#);
    exchange.sent_data(br#""expires_in":60}"#);
    if whole {
        exchange.complete();
    }
    drop(exchange);
    fixture.closing().pop().unwrap().metadata.get("response_body").cloned()
}

#[test]
fn bodies_of_responses_are_captured_for_chosen_paths_and_types() {
    let fixture = capturing(|bodies| bodies);
    let content = json!({"bytes": 41, "content": {"access_token": "[REDACTED]", "expires_in": 60}});
    assert_eq!(response(&fixture, "/sales/token", kind(JSON), true), Some(content));
    assert_eq!(response(&fixture, "/sales", kind(JSON), false).unwrap()["omitted"], "incomplete");
    assert_eq!(response(&fixture, "/other", kind(JSON), true), None);
    assert_eq!(response(&fixture, "/sales", kind("text/html"), true), None);
    assert_eq!(response(&capturing(|bodies| bodies.responses(false)), "/sales", kind(JSON), true), None);
    let requests = capturing(|bodies| bodies.requests(false));
    assert!(requests.begin("POST", "/sales", kind(JSON)).request_body().is_none());
    assert!(
        fixture.begin("POST", "/s%61les", kind(JSON)).request_body().is_some(),
        "another spelling is captured too"
    );
    assert!(!fixture.holds("S3CRET"));
}

#[test]
fn an_entry_at_the_head_has_no_response_body() {
    let fixture = with(|http| http.emit_at(EmitAt::Headers).capture_bodies(BodyCapture::new(["/sales"])));
    assert_eq!(response(&fixture, "/sales", kind(JSON), true), None);
}

#[test]
fn an_empty_body_is_not_recorded() {
    let fixture = capturing(|bodies| bodies);
    assert!(!request(&fixture, kind(JSON), &[]).metadata.contains_key("request_body"));
}

#[test]
fn bodies_that_do_not_fit_into_a_line_are_omitted() {
    let fixture = capturing(|bodies| bodies.limit(32_768));
    let body = format!(r#"{{"text":"{}"}}"#, "\u{202e}".repeat(10_000));
    let mut exchange = fixture.begin("POST", "/sales", kind(JSON));
    let tap = exchange.request_body().unwrap();
    tap.data(body.as_bytes());
    tap.end();
    exchange.respond(&ResponseFacts::new(200).headers(&Pairs(kind(JSON))));
    exchange.sent_data(body.as_bytes());
    exchange.complete();
    let entry = fixture.closing().pop().unwrap();
    for name in ["request_body", "response_body"] {
        let expected = json!({"bytes": body.len(), "omitted": "line_too_long", "sha256": sha256(&body)});
        assert_eq!(entry.metadata[name], expected);
    }
    assert!(!entry.metadata.contains_key("context_left_out"));

    let exchange = fixture.begin("POST", "/sales", kind(JSON));
    exchange.request_body().unwrap().data(&[b'1'; 20_000]);
    exchange.context().edit(|context| context.user = "u".repeat(70_000));
    drop(exchange);
    assert!(
        fixture.closing().pop().unwrap().metadata.contains_key("context_left_out"),
        "the entry is recorded without its context"
    );
}

#[test]
fn memory_is_bounded_by_the_limit() {
    use super::super::body::Body;
    let mut body = Body::new(super::super::capture::Content::Json, 1_000);
    body.watch();
    for _ in 0..10_000 {
        body.push(&[b'1'; 90]);
        assert!(body.kept_capacity() <= 1_000);
    }
    body.end();
    assert_eq!(body.summary("x")["bytes"], 900_000);
}

#[test]
fn invalid_settings_are_rejected() {
    for bodies in [
        BodyCapture::new(["sales"]),
        BodyCapture::new(["/sales"]).limit(40_000),
        BodyCapture::new(["/sales"]).content_types(["json"]),
        BodyCapture::new(["/sales"]).content_types(["application/json; charset=utf-8"]),
    ] {
        let built: Result<HttpAudit, _> = HttpAudit::builder().capture_bodies(bodies).build();
        assert!(built.unwrap_err().is_invalid());
    }
}
