//! Untrusted values from clients (addresses, ids), and values that must not be stored (sessions, tokens).

use serde_json::json;

use crate::client::{MANAGER, Request};
use crate::server::{Server, Service};
use crate::trail;

for_each_service! {
    forged_address_and_company_headers_are_ignored,
    a_trusted_proxy_determines_the_client_address,
    an_invalid_request_id_is_replaced_and_recorded,
    invalid_header_bytes_are_refused_by_the_server,
    only_the_hash_of_a_session_is_recorded,
    secrets_in_a_query_are_masked,
    a_secret_in_the_wrong_field_is_not_recorded,
    a_wrong_token_is_recorded_without_the_token,
    repeated_wrong_tokens_are_recorded_as_critical,
}

fn me() -> Request {
    Request::get("/me").token(MANAGER)
}

fn forged_address_and_company_headers_are_ignored(service: Service) {
    let server = Server::start(service);
    let forged = me()
        .id("forged")
        .header("X-Forwarded-For", "198.51.100.7")
        .header("Forwarded", "for=198.51.100.7")
        .header("X-Real-IP", "198.51.100.7")
        .header("X-Company-ID", "CO-666")
        .header("X-User", "root");
    assert_eq!(server.request(&forged).json()["ip"], "127.0.0.1");
    let entries = server.stop();
    let closing = trail::closing(&entries, "forged");
    assert_eq!(
        (closing.ip.as_str(), closing.company_id.as_str(), closing.user.as_str()),
        ("127.0.0.1", "CO-001", "thida")
    );
    assert!(!closing.metadata.contains_key("peer"), "{:?}", closing.metadata);
}

fn a_trusted_proxy_determines_the_client_address(service: Service) {
    let server = Server::start_with(service, &["--trust-proxy", "10.0.0.0/8", "--trust-proxy", "127.0.0.1"]);
    let get = |id, forwarded: &str| server.request(&me().id(id).header("X-Forwarded-For", forwarded)).json();
    assert_eq!(get("one", "6.6.6.6, 198.51.100.7")["ip"], "198.51.100.7");
    assert_eq!(get("two", "6.6.6.6, 198.51.100.8, 10.1.2.3")["ip"], "198.51.100.8");
    assert_eq!(server.request(&me().id("none")).json()["ip"], "127.0.0.1");
    let entries = server.stop();
    for (id, ip, peer) in [
        ("one", "198.51.100.7", json!("127.0.0.1")),
        ("two", "198.51.100.8", json!("127.0.0.1")),
        ("none", "127.0.0.1", json!(null)),
    ] {
        let closing = trail::closing(&entries, id);
        let found = closing.metadata.get("peer").cloned().unwrap_or_default();
        assert_eq!((closing.ip.as_str(), found), (ip, peer), "{id}");
    }
}

fn an_invalid_request_id_is_replaced_and_recorded(service: Service) {
    let long = "a".repeat(200);
    let hostile: [&[u8]; 7] = [
        b"two words",
        b"\\u001b[31mred\\n{\"seq\":1}",
        b"tab\tbed",
        long.as_bytes(),
        b"\xff\xfe\x80",
        "\u{202e}txt.exe".as_bytes(),
        b"<script>alert(1)</script>",
    ];
    let server = Server::start(service);
    let mut ids = Vec::new();
    for id in hostile {
        let answer = server.request(&me().header("X-Request-ID", id));
        assert!(is_uuid(answer.id()), "{:?} was returned", answer.id());
        assert_eq!(answer.json()["request_id"], answer.id(), "the handler sees the same id");
        ids.push(answer.id().to_owned());
    }
    let empty = server.request(&me().header("X-Request-ID", ""));
    assert!(is_uuid(empty.id()));
    let entries = server.stop();
    for (id, refused) in ids.iter().zip(hostile) {
        let recorded = &trail::closing(&entries, id).metadata["refused_request_id"];
        assert_eq!(*recorded, *String::from_utf8_lossy(refused), "as received, escaped in the line");
    }
    assert_eq!(trail::closings(&entries).len(), hostile.len() + 1);
}

fn is_uuid(text: &str) -> bool {
    let groups: Vec<usize> = text.split('-').map(str::len).collect();
    groups == [8, 4, 4, 4, 12] && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

fn invalid_header_bytes_are_refused_by_the_server(service: Service) {
    let server = Server::start(service);
    for id in [b"\x1b[31mred".as_slice(), b"nul\0byte"] {
        let answer = server.request(&me().header("X-Request-ID", id));
        assert_eq!(answer.status, 400);
    }
    assert!(trail::closings(&server.stop()).is_empty(), "these requests do not reach the middleware");
}

fn only_the_hash_of_a_session_is_recorded(service: Service) {
    const SESSION: &str = "s3ss10n-5f0c9a77e1";
    let server = Server::start(service);
    let invoice = json!({"reference_no": "SI-1", "customer": "Golden Trading Co.", "amount": 1});
    server.request(&me().id("one").header("X-Session-ID", SESSION));
    server.request(
        &Request::post("/sales/invoice", &invoice).token(MANAGER).id("two").header("X-Session-ID", SESSION),
    );
    server.request(&me().id("other").header("X-Session-ID", "another"));
    assert!(!trail::holds(&server.logs(), SESSION.as_bytes()));
    let entries = server.stop();
    let session = |id| trail::closing(&entries, id).session_id.as_str();
    assert!(session("one").starts_with("sha256:") && session("one").len() == "sha256:".len() + 32);
    assert_eq!(session("one"), session("two"), "equal sessions stay comparable");
    assert_ne!(session("one"), session("other"));
    assert_eq!(trail::recorded_in(&entries, "two")[0].session_id, session("two"));
}

fn secrets_in_a_query_are_masked(service: Service) {
    const SECRET: &str = "qs-77c0ffee";
    let server = Server::start(service);
    let query = format!("/me?page=2&token={SECRET}&api%5Fkey={SECRET}&newPassword={SECRET}");
    assert_eq!(server.request(&Request::get(&query).token(MANAGER).id("query")).status, 200);
    assert!(!trail::holds(&server.logs(), SECRET.as_bytes()));
    let entries = server.stop();
    assert_eq!(
        trail::closing(&entries, "query").endpoint,
        "/me?page=2&token=[REDACTED]&api%5Fkey=[REDACTED]&newPassword=[REDACTED]"
    );
}

fn a_secret_in_the_wrong_field_is_not_recorded(service: Service) {
    const SECRET: &str = "hunter2-77c0ffee";
    let server = Server::start(service);
    let path = "/customers/CUST-220/credit-limit";
    let body = json!({"credit_limit": SECRET});
    let answer = server.request(&Request::put(path, &body).token(MANAGER).id("wrong"));
    assert!((400..500).contains(&answer.status));
    assert!(!trail::holds(&server.logs(), SECRET.as_bytes()));
    let entries = server.stop();
    assert_eq!(trail::closing(&entries, "wrong").status, Some(answer.status));
}

fn a_wrong_token_is_recorded_without_the_token(service: Service) {
    const GUESS: &str = "demo-guess-0badcafe";
    let server = Server::start(service);
    let answer = server.request(&Request::get("/me").token(GUESS).id("guess"));
    assert_eq!((answer.status, answer.id()), (401, "guess"));
    assert_eq!(server.request(&Request::get("/me").id("without")).status, 401);
    assert!(!trail::holds(&server.logs(), GUESS.as_bytes()));
    let entries = server.stop();
    for (id, reason) in [("guess", "unknown bearer token"), ("without", "no bearer token")] {
        let closing = trail::closing(&entries, id);
        assert_eq!(trail::ending(closing), ("WARNING", Some(401), false, "completed"));
        assert_eq!(closing.user, "SYSTEM");
        let recorded = trail::recorded_in(&entries, id);
        assert_eq!(recorded.len(), 1);
        let attempt = recorded[0];
        assert_eq!(
            (attempt.level.as_str(), attempt.user.as_str(), attempt.success),
            ("SECURITY", "UNKNOWN", false)
        );
        assert_eq!((attempt.module.as_str(), attempt.action.as_str()), ("auth", "LOGIN"));
        assert_eq!((attempt.ip.as_str(), &attempt.metadata["reason"]), ("127.0.0.1", &json!(reason)));
    }
}

fn repeated_wrong_tokens_are_recorded_as_critical(service: Service) {
    let server = Server::start(service);
    for number in 0..7 {
        server.request(&Request::get("/me").token(&format!("guess-{number}")));
    }
    let entries = server.stop();
    let levels: Vec<&str> =
        entries.iter().filter(|entry| entry.module == "auth").map(|entry| entry.level.as_str()).collect();
    assert_eq!(levels, [["SECURITY"; 5].as_slice(), &["CRITICAL"; 2]].concat());
}
