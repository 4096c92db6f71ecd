//! Who may read the trail, which entries exist for them, and that their reads are recorded.

use auditx_ui::{Dashboard, Key, Viewer};
use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use serde_json::json;

use crate::server::{Server, Trail};

const KEY: &str = "a key of sixteen bytes or more";

fn with_key(trail: &Trail) -> Server {
    Server::of(
        Dashboard::new(&trail.logger)
            .unwrap()
            .key(Key::new(KEY).unwrap(), Viewer::new("mya").role("auditor")),
    )
}

#[test]
fn a_request_without_a_viewer_is_refused() {
    let trail = Trail::with(3);
    let server = Server::of(Dashboard::new(&trail.logger).unwrap());
    for path in
        ["/", "/entries/2", "/export/csv", "/export/bundle", "/api/v1/entries", "/api/v1/entries/2/proof"]
    {
        let answer = server.get(path, "");
        assert_eq!(answer.status, 401, "{path}");
        assert!(!answer.body.contains("Invoice"), "{path}");
    }
    assert_eq!(server.get("/api/v1/healthz", "").status, 200);
    assert_eq!(trail.reads(), [json!(null); 0]);
}

#[test]
fn a_browser_signs_in_with_a_key_and_out() {
    let trail = Trail::with(3);
    let server = with_key(&trail);
    let first = server.get("/", "");
    assert_eq!((first.status, first.header("location")), (303, Some("/sign-in")));
    assert_eq!(server.post("/sign-in", "", "key=wrong").status, 401);

    let signed_in = server.post("/sign-in", "", &format!("key={}", KEY.replace(' ', "+")));
    assert_eq!(signed_in.status, 303);
    let cookie = signed_in.header("set-cookie").unwrap().to_owned();
    assert!(cookie.ends_with("; path=/; httponly; samesite=strict"), "{cookie}");
    let cookie = format!("Cookie: {}\r\n", cookie.split(';').next().unwrap());
    assert!(server.get("/", &cookie).body.contains("Invoice 2 posted"));

    assert_eq!(server.post("/sign-out", &cookie, "").status, 303);
    assert_eq!(server.get("/", &cookie).status, 303);
}

#[test]
fn a_program_sends_its_key_in_a_header() {
    let trail = Trail::with(3);
    let server = with_key(&trail);
    let answer = server.get("/api/v1/entries", &format!("Authorization: Bearer {KEY}\r\n"));
    assert_eq!(answer.status, 200);
    let wrong = server.get("/api/v1/entries", "Authorization: Bearer wrong\r\n");
    assert_eq!((wrong.status, wrong.header("www-authenticate")), (401, Some("bearer")));
    assert_eq!(wrong.header("content-type"), Some("application/problem+json"));
}

#[test]
fn wrong_keys_are_throttled() {
    let trail = Trail::with(1);
    let server = with_key(&trail);
    let statuses: Vec<u16> = (0..12).map(|_| server.post("/sign-in", "", "key=guess").status).collect();
    assert_eq!(statuses, [[401; 10].as_slice(), &[429; 2]].concat());
}

#[test]
fn a_key_in_an_address_is_refused_with_an_explanation() {
    let trail = Trail::with(1);
    let server = with_key(&trail);
    let answer = server.get(&format!("/api/v1/entries?q=a&api_key={}", KEY.replace(' ', "+")), "");
    assert_eq!(answer.status, 400);
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("a key must not be in an address") && detail.contains("api_key"), "{detail}");
}

#[test]
fn a_foreign_host_is_refused() {
    let trail = Trail::with(1);
    let dashboard = Dashboard::new(&trail.logger).unwrap().everyone_is(Viewer::new("mya"));
    let server = Server::of(dashboard.hosts(["127.0.0.1", "audit.example"]));
    let status = |host: &str| server.send(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")).status;
    assert_eq!([status("audit.example:8080"), status("Audit.Example"), status("127.0.0.1:1")], [200; 3]);
    assert_eq!([status("rebound.example"), status("127.0.0.1.rebound.example:80")], [421; 2]);
}

#[test]
fn a_form_of_another_site_is_refused() {
    let trail = Trail::with(1);
    let server = Server::of(Dashboard::new(&trail.logger).unwrap().everyone_is(Viewer::new("mya")));
    assert_eq!(server.post("/check", "Sec-Fetch-Site: cross-site\r\n", "").status, 403);
    assert_eq!(server.post("/check", "Sec-Fetch-Site: same-origin\r\n", "").status, 303);
}

#[test]
fn every_answer_forbids_foreign_scripts_frames_and_copies() {
    let trail = Trail::with(1);
    let server = with_key(&trail);
    let assets = ["/assets/dashboard.css", "/assets/proof.js", "/assets/nothing.js"];
    for path in ["/", "/sign-in", "/api/v1/entries", "/api/v1/nothing", "/nothing"].iter().chain(&assets) {
        let answer = server.get(path, "");
        let policy = answer.header("content-security-policy").unwrap_or_default();
        let rules: Vec<&str> = policy.split("; ").collect();
        let sources: Vec<&str> =
            rules.iter().find_map(|rule| rule.strip_prefix("script-src ")).unwrap().split(' ').collect();
        assert!(sources.iter().all(|source| source.starts_with("'sha256-")), "{path}: {policy}");
        for rule in [
            "default-src 'none'",
            "connect-src 'self'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        ] {
            assert!(rules.contains(&rule), "{path}: {policy}");
        }
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{path}");
    }
}

#[test]
fn who_read_what_is_recorded() {
    let trail = Trail::with(3);
    let server = with_key(&trail);
    let key = format!("Authorization: Bearer {KEY}\r\n");
    assert_eq!(server.get("/?q=user:thida&since=1d", &key).status, 200);
    assert_eq!(server.get("/entries/2", &key).status, 200);
    assert_eq!(server.get("/export/ndjson?q=Invoice", &key).status, 200);
    assert_eq!(server.get("/api/v1/entries?q=nothing", &key).status, 200);
    let reads = trail.reads();
    let read: Vec<_> = reads
        .iter()
        .map(|read| {
            (read["description"].as_str().unwrap(), read["action"].as_str().unwrap(), &read["metadata"])
        })
        .collect();
    assert_eq!(
        read,
        [
            ("Audit trail searched", "READ", &json!({ "query": "user:thida", "since": "1d", "found": "3" })),
            ("Audit entry viewed", "READ", &json!(null)),
            ("Audit trail exported", "EXPORT", &json!({ "query": "Invoice" })),
            ("Audit trail searched", "READ", &json!({ "query": "nothing", "found": "0" })),
        ]
    );
    assert!(reads.iter().all(|read| read["user"] == "mya" && read["user_role"] == "auditor"), "{reads:?}");
    assert_eq!((&reads[1]["entity_type"], &reads[1]["entity_id"]), (&json!("audit_entry"), &json!("2")));
}

#[test]
fn a_read_that_cannot_be_recorded_is_refused() {
    let trail = Trail::with(3);
    let server = with_key(&trail);
    trail.logger.close(crate::server::TIMEOUT).unwrap();
    let answer = server.get("/api/v1/entries", &format!("Authorization: Bearer {KEY}\r\n"));
    assert_eq!(answer.status, 503);
    assert!(!answer.body.contains("Invoice"), "{}", answer.body);
}

/// An application that knows its user.
fn mounted(trail: &Trail, viewer: Viewer) -> Server {
    let signed_in = from_fn(move |mut request: Request, next: Next| {
        request.extensions_mut().insert(viewer.clone());
        next.run(request)
    });
    let dashboard = Dashboard::new(&trail.logger).unwrap().router().layer(signed_in);
    Server::serving(Router::new().nest("/admin/audit", dashboard))
}

#[test]
fn entries_outside_the_scope_of_a_viewer_do_not_exist() {
    let trail = Trail::with(4);
    let server = mounted(&trail, Viewer::new("mya").branch("MDY"));
    let page = server.get("/admin/audit", "").body;
    assert!(page.contains("Invoice 3 posted") && !page.contains("Invoice 2 posted"), "{page}");
    // Lines 0 and 1 are control records; line 2 is of the other branch.
    for path in ["entries/2", "api/v1/entries/2", "api/v1/entries/2/proof"] {
        assert_eq!(server.get(&format!("/admin/audit/{path}"), "").status, 404, "{path}");
    }
    assert_eq!(server.get("/admin/audit/api/v1/entries/3", "").status, 200);
    let export = server.get("/admin/audit/export/csv?q=Invoice", "").body;
    assert!(export.contains("Invoice 1 posted") && !export.contains("Invoice 0 posted"), "{export}");
    let listed = server.get("/admin/audit/api/v1/entries?q=branch:YGN", "").json();
    assert_eq!(listed["entries"], json!([]));
}

#[test]
fn links_stay_below_the_prefix() {
    let trail = Trail::with(150);
    let server = mounted(&trail, Viewer::new("mya"));
    for path in ["/admin/audit", "/admin/audit?before=seq:120", "/admin/audit/entries/5"] {
        let answer = server.get(path, "");
        assert_eq!(answer.status, 200, "{path}");
        let links = ["href=\"", "action=\""].into_iter().flat_map(|before| answer.body.split(before).skip(1));
        let links: Vec<&str> = links.filter_map(|rest| rest.split('"').next()).collect();
        assert!(links.len() > 5, "{links:?}");
        let stray: Vec<_> =
            links.iter().filter(|link| !link.starts_with("/admin/audit") && **link != "data:,").collect();
        assert!(stray.is_empty(), "{stray:?}");
    }
}
