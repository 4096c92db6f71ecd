//! What slow, hostile or many clients, and damaged or old trails, must not do.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::TcpStream;

use auditx_core::RequestContext;
use auditx_tests::deadline::wait_until;
use auditx_ui::{Dashboard, Key, Viewer};
use axum::Router;
use serde_json::json;

use crate::server::{Answer, Server, TIMEOUT, Trail};

const KEY: &str = "a key of sixteen bytes or more";

fn open(trail: &Trail) -> Server {
    Server::of(Dashboard::new(&trail.logger).unwrap().everyone_is(Viewer::new("mya")))
}

fn link(answer: &Answer, rel: &str) -> String {
    let rest = answer.body.split(&format!("rel=\"{rel}\" href=\"")).nth(1).unwrap();
    rest.split('"').next().unwrap().replace("&amp;", "&")
}

#[test]
fn clients_that_do_not_read_hold_up_only_further_downloads() {
    let trail = Trail::new();
    // Far more than the buffers of a connection hold.
    for _ in 0..6_000 {
        trail.logger.log("x".repeat(8_000)).record().unwrap();
    }
    trail.logger.flush(TIMEOUT).unwrap();
    let server = open(&trail);
    let request = format!("GET /export/ndjson HTTP/1.1\r\nHost: {}\r\n\r\n", server.address);
    let mut stalled = Vec::new();
    wait_until("as many downloads as may run", || {
        let mut client = TcpStream::connect(server.address).unwrap();
        client.write_all(request.as_bytes()).unwrap();
        stalled.push(client);
        server.get("/export/csv?q=nowhere", "").status == 503
    });
    let refused = server.get("/export/csv?q=nowhere", "");
    assert_eq!(refused.header("retry-after"), Some("10"));
    assert_eq!(server.get("/export/bundle", "").status, 503);
    assert_eq!(server.get("/?q=nowhere", "").status, 200);
    drop(stalled);
    wait_until("the downloads to be given up", || server.get("/export/csv?q=nowhere", "").status == 200);
}

#[test]
fn a_download_of_a_damaged_trail_does_not_look_complete() {
    let trail = Trail::with(5);
    trail.logger.close(TIMEOUT).unwrap();
    let path = trail.directory.path().join("audit.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("Invoice 3 posted", "Invoice 4 posted")).unwrap();
    let server = Server::of(Dashboard::unrecorded(trail.directory.path()).everyone_is(Viewer::new("mya")));
    let whole = |body: &str| body.ends_with("0\r\n\r\n");
    assert!(!whole(&server.get("/export/ndjson", "").body));
    std::fs::write(&path, text).unwrap();
    assert!(whole(&server.get("/export/ndjson", "").body));
}

#[test]
fn damage_is_not_described_to_a_viewer_for_whom_those_lines_do_not_exist() {
    let trail = Trail::with(6);
    trail.logger.close(TIMEOUT).unwrap();
    let path = trail.directory.path().join("audit.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    // Line 6 is of the branch YGN.
    std::fs::write(&path, text.replace("Invoice 4 posted", "Invoice 9 posted")).unwrap();
    let viewer = Viewer::new("mya").branch("MDY");
    let server = Server::of(Dashboard::unrecorded(trail.directory.path()).everyone_is(viewer));
    assert_eq!(server.post("/check", "", "").status, 303);
    let page = server.get("/", "").body;
    assert!(page.contains("Broken, checked") && page.contains("The trail is damaged"), "{page}");
    for secret in ["line 6", "audit.jsonl", "Signed to"] {
        assert!(!page.contains(secret), "{secret}: {page}");
    }
    assert_eq!(server.get("/api/v1/entries/6", "").status, 404);
    assert_eq!(server.get("/api/v1/entries", "").json()["signed"], json!(null));
}

#[test]
fn another_site_cannot_make_reads() {
    let trail = Trail::with(3);
    let server = open(&trail);
    let from = |path: &str, headers: &str| server.get(path, headers).status;
    let image = "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: image\r\n";
    let link = "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n";
    assert_eq!([from("/?q=forged", image), from("/export/csv", image), from("/export/csv", link)], [403; 3]);
    assert_eq!(server.post("/check", "Sec-Fetch-Site: same-site\r\n", "").status, 403);
    assert_eq!(trail.reads(), [json!(null); 0]);
    assert_eq!(from("/?q=linked", link), 200);
}

#[test]
fn wrong_keys_and_sign_ins_are_recorded() {
    let trail = Trail::with(1);
    let server =
        Server::of(Dashboard::new(&trail.logger).unwrap().key(Key::new(KEY).unwrap(), Viewer::new("mya")));
    server.post("/sign-in", "", "key=wrong");
    server.get("/api/v1/entries", "Authorization: Bearer wrong\r\n");
    server.post("/sign-in", "", &format!("key={}", KEY.replace(' ', "+")));
    trail.logger.flush(TIMEOUT).unwrap();
    let lines = auditx_tests::trail::lines(trail.directory.path());
    let logins = lines.iter().filter(|line| line.json["action"] == "LOGIN");
    let logins: Vec<_> = logins.map(|line| (&line.json["user"], &line.json["success"])).collect();
    let (unknown, mya) = (json!("unknown"), json!("mya"));
    assert_eq!(logins, [(&unknown, &json!(false)), (&unknown, &json!(false)), (&mya, &json!(true))]);
}

#[test]
fn a_stale_cookie_or_a_foreign_header_does_not_lock_out() {
    let trail = Trail::with(1);
    let server =
        Server::of(Dashboard::new(&trail.logger).unwrap().key(Key::new(KEY).unwrap(), Viewer::new("mya")));
    let signed_in = server.post("/sign-in", "", &format!("key={}", KEY.replace(' ', "+")));
    let cookie = signed_in.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    assert_eq!(server.get("/", &format!("Cookie: auditx_session=stale; {cookie}\r\n")).status, 200);
    assert_eq!(open(&trail).get("/", "Authorization: Bearer of-a-proxy\r\n").status, 200);
    assert_eq!(server.get("/api/v1/entries?api%5Fkey=abc", "").status, 400);
}

#[test]
fn a_long_query_is_recorded_shortened() {
    let trail = Trail::with(1);
    let server = open(&trail);
    let word = "%01".repeat(5_000);
    assert_eq!(server.get(&format!("/?q={word}"), "").status, 200);
    assert_eq!(trail.reads()[0]["metadata"]["query"].as_str().unwrap().chars().count(), 2_000);
}

#[test]
fn a_prefix_may_have_parameters() {
    let trail = Trail::with(3);
    let router = Dashboard::new(&trail.logger).unwrap().everyone_is(Viewer::new("mya")).router();
    let server = Server::serving(Router::new().nest("/t/{tenant}/audit", router));
    let page = server.get("/t/acme/audit", "");
    assert!(page.body.contains("href=\"/t/acme/audit/entries/2\""), "{}", page.body);
    assert_eq!(server.get("/t/acme/audit/entries/2", "").status, 200);
}

#[test]
fn lines_without_a_number_have_pages_too() {
    let directory = tempfile::tempdir().unwrap();
    let text = (0..350).fold(String::new(), |mut text, number| {
        let time = format!("2026-11-24T09:00:{:02}+00:00", number % 60);
        writeln!(text, "{{\"timestamp\": \"{time}\", \"description\": \"Legacy {number}\"}}").unwrap();
        text
    });
    std::fs::write(directory.path().join("audit.jsonl"), text).unwrap();
    let server = Server::of(Dashboard::unrecorded(directory.path()).everyone_is(Viewer::new("mya")));
    let shown = |answer: &Answer| -> Vec<u64> {
        let parts = answer.body.split("<bdi>Legacy ").skip(1);
        parts.map(|part| part.split('<').next().unwrap().parse().unwrap()).collect()
    };
    let first = server.get("/", "");
    let second = server.get(&link(&first, "next"), "");
    assert!(shown(&second).iter().copied().eq((150..250).rev()), "{:?}", shown(&second));
    let again = server.get(&link(&second, "prev"), "");
    assert_eq!(shown(&again), shown(&first));
    assert_eq!(shown(&server.get(&link(&again, "next"), "")), shown(&second));
}

#[test]
fn a_page_of_huge_entries_is_shorter_and_continues() {
    let trail = Trail::new();
    let _scope = RequestContext::new().user("thida").enter();
    for number in 0..120 {
        let text = "x".repeat(60_000);
        trail.logger.log(format!("Import {number}")).metadata("text", text).record().unwrap();
    }
    trail.logger.flush(TIMEOUT).unwrap();
    let server = Server::of(Dashboard::unrecorded(trail.directory.path()).everyone_is(Viewer::new("mya")));
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    for _ in 0..4 {
        let path = format!("/api/v1/entries?q=Import&order=asc&limit=1000&cursor={cursor}");
        let answer = server.get(&path, "");
        assert!(answer.body.len() < 5 << 20, "{} bytes", answer.body.len());
        let json = answer.json();
        let entries = json["entries"].as_array().unwrap().iter();
        seen.extend(entries.map(|entry| entry["description"].as_str().unwrap().to_owned()));
        match json["next"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    assert!(seen.iter().cloned().eq((0..120).map(|number| format!("Import {number}"))), "{seen:?}");
}
