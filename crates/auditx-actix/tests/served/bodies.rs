//! Captured bodies: they are recorded without secrets and do not delay or change the exchange.

use actix_web::HttpResponse;
use actix_web::middleware::Compress;
use actix_web::web::{Json, Payload, get, post};
use auditx_actix::AuditMiddleware;
use auditx_core::StoredEntry;
use auditx_core::http::BodyCapture;
use auditx_core::testing::TestTrail;
use auditx_tests::served::{SECRET, ask, ask_with, exchange_chunk, holds, send_chunked, wait_for_closings};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::{audited_with, serve};

const JSON: (&str, &str) = ("content-type", "application/json");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

fn capturing(trail: &TestTrail) -> AuditMiddleware {
    audited_with(trail, |middleware| {
        middleware.capture_bodies(BodyCapture::new(["/sales", "/echo", "/login"]))
    })
}

async fn sell(Json(sale): Json<Value>) -> Json<Value> {
    Json(json!({"token": SECRET, "of": sale["customer"]}))
}

async fn log_in(form: String) -> String {
    form
}

/// Streams the request body back as it arrives.
async fn echo(payload: Payload) -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").streaming(payload)
}

async fn report() -> Json<Vec<&'static str>> {
    Json(vec!["line"; 20_000])
}

async fn done() -> &'static str {
    "done"
}

macro_rules! served {
    ($trail:expr) => {{
        let audit = capturing($trail);
        serve!(|app| app
            .route("/sales", post().to(sell))
            .route("/login", post().to(log_in))
            .route("/echo", post().to(echo))
            .route("/sales/report", get().to(report))
            .route("/sales/never-read", post().to(done))
            .wrap(Compress::default())
            .wrap(audit.clone()))
    }};
}

async fn closing(trail: &TestTrail) -> StoredEntry {
    wait_for_closings(trail, 1).await.remove(0)
}

#[actix_web::test]
async fn bodies_of_chosen_routes_are_recorded_without_secrets() {
    let trail = TestTrail::new();
    let address = served!(&trail);
    let sale = json!({"customer": "C-7", "password": SECRET, "code": SECRET}).to_string();
    let answer = ask_with(address, "POST", "/sales", &[JSON], sale.as_bytes()).await;
    assert!(
        String::from_utf8_lossy(answer.body()).contains(SECRET),
        "the client receives the unredacted body"
    );
    let entry = closing(&trail).await;
    let content = json!({"customer": "C-7", "password": "[REDACTED]", "code": "[REDACTED]"});
    assert_eq!(entry.metadata["request_body"], json!({"bytes": sale.len(), "content": content}));
    assert_eq!(entry.metadata["response_body"]["content"], json!({"token": "[REDACTED]", "of": "C-7"}));

    let form = format!("user=thida&pass={SECRET}&SAMLResponse={SECRET}&a=1;token={SECRET}");
    let answer = ask_with(address, "POST", "/login", &[FORM], form.as_bytes()).await;
    assert_eq!(answer.body(), form.as_bytes());
    let entry = wait_for_closings(&trail, 2).await.remove(1);
    assert_eq!(entry.metadata["request_body"]["content"]["user"], "thida");
    assert!(!entry.metadata.contains_key("response_body"), "text/plain is not captured");
    assert!(!holds(&trail, SECRET));
}

#[actix_web::test]
async fn captured_chunks_are_forwarded_without_buffering() {
    let trail = TestTrail::new();
    let address = served!(&trail);
    let mut stream = send_chunked(address, "/echo", &[JSON]).await;
    for text in ["[\"first\",", "\"second\",", "\"third\"]"] {
        exchange_chunk(&mut stream, text).await;
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    let entry = closing(&trail).await;
    for name in ["request_body", "response_body"] {
        assert_eq!(entry.metadata[name]["content"], json!(["first", "second", "third"]), "{name}");
    }
}

#[actix_web::test]
async fn an_aborted_request_body_is_recorded_as_incomplete() {
    let trail = TestTrail::new();
    let address = served!(&trail);
    let mut stream = send_chunked(address, "/echo", &[JSON]).await;
    exchange_chunk(&mut stream, "{\"password\":\"s3cr3t-77").await;
    drop(stream);
    let entry = closing(&trail).await;
    assert_eq!(entry.metadata["request_body"]["bytes"], 22);
    assert_eq!(entry.metadata["request_body"]["omitted"], "incomplete");
    assert!(!holds(&trail, "s3cr3t-77"));
}

#[actix_web::test]
async fn a_body_over_the_limit_is_sent_whole_and_recorded_by_size() {
    let trail = TestTrail::new();
    let address = served!(&trail);
    let answer = ask(address, "GET", "/sales/report", &[]).await;
    let length = answer.body().len();
    assert_eq!(answer.header("content-length"), Some(length.to_string()), "content-length is still sent");
    let entry = closing(&trail).await;
    assert_eq!(entry.metadata["response_body"]["bytes"], length);
    assert_eq!(entry.metadata["response_body"]["omitted"], "too_long");
    assert_eq!(entry.metadata["response_body"]["sha256"].as_str().unwrap().len(), 64);
}

#[actix_web::test]
async fn unread_and_compressed_bodies_are_recorded_as_omitted() {
    let trail = TestTrail::new();
    let address = served!(&trail);
    let answer = ask_with(address, "POST", "/sales/never-read", &[JSON], b"{}").await;
    assert_eq!(answer.body(), b"done");
    let entry = closing(&trail).await;
    assert_eq!(entry.metadata["request_body"]["omitted"], "incomplete");

    ask(address, "GET", "/sales/report", &[("accept-encoding", "gzip")]).await;
    let entry = wait_for_closings(&trail, 2).await.remove(1);
    assert_eq!(entry.metadata["response_body"]["omitted"], "encoded");
}

#[actix_web::test]
async fn a_malformed_body_is_recorded_as_omitted() {
    let trail = TestTrail::new();
    let address = served!(&trail);
    let answer = ask_with(address, "POST", "/sales", &[JSON], b"{\"password\":\"s3cr3t-77c0ffee\"").await;
    assert_eq!(answer.status(), 400);
    assert_eq!(closing(&trail).await.metadata["request_body"]["omitted"], "malformed");
    assert!(!holds(&trail, SECRET));
}
