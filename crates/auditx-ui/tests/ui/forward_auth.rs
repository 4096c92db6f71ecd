//! Viewers that a proxy names in a header.

use auditx_core::http::TrustedProxies;
use auditx_ui::{Dashboard, ForwardAuth, Key, Viewer};
use axum::http::HeaderName;

use crate::server::{Server, Trail};

const KEY: &str = "a key of sixteen bytes or more";

/// The tests connect from 127.0.0.1.
fn behind(trail: &Trail, network: &str) -> Dashboard {
    let proxies = TrustedProxies::parse([network]).unwrap();
    let proxy = ForwardAuth::new(HeaderName::from_static("remote-user"), proxies)
        .role_header(HeaderName::from_static("remote-groups"));
    Dashboard::new(&trail.logger).unwrap().forward_auth(proxy)
}

#[test]
fn the_viewer_whom_a_trusted_proxy_names_is_recorded() {
    let trail = Trail::with(3);
    let server = Server::of(behind(&trail, "127.0.0.0/8"));
    let page = server.get("/", "Remote-User: thida\r\nRemote-Groups: auditor\r\n");
    assert!(page.status == 200 && page.body.contains("<bdi>thida</bdi>"), "{}", page.body);
    let reads = trail.reads();
    assert_eq!((&reads[0]["user"], &reads[0]["user_role"]), (&"thida".into(), &"auditor".into()));
}

#[test]
fn a_header_from_another_address_is_ignored() {
    let trail = Trail::with(3);
    let server = Server::of(behind(&trail, "10.0.0.0/8"));
    for path in ["/", "/api/v1/entries"] {
        let answer = server.get(path, "Remote-User: thida\r\n");
        assert_eq!(answer.status, 401, "{path}");
        assert!(answer.body.contains("come through the proxy that signs viewers in"), "{}", answer.body);
    }
    assert!(trail.reads().is_empty());
    let with_key = Server::of(behind(&trail, "10.0.0.0/8").key(Key::new(KEY).unwrap(), Viewer::new("mya")));
    let headers = format!("Remote-User: thida\r\nAuthorization: Bearer {KEY}\r\n");
    assert_eq!(with_key.get("/api/v1/entries", &headers).status, 200);
    assert_eq!(trail.reads()[0]["user"], "mya");
}

#[test]
fn a_proxy_that_names_nobody_admits_nobody() {
    let trail = Trail::with(3);
    assert_eq!(Server::of(behind(&trail, "127.0.0.1")).get("/", "").status, 401);
}

#[test]
fn a_name_that_is_not_plain_is_refused() {
    let trail = Trail::with(3);
    let server = Server::of(behind(&trail, "127.0.0.1"));
    let long = format!("Remote-User: {}\r\n", "x".repeat(257));
    for (headers, why) in [
        ("Remote-User: mya\r\nRemote-User: thida\r\n", "more than once"),
        ("Remote-User: \r\n", "is empty"),
        (&long, "257 bytes"),
        ("Remote-User: mya\tadmin\r\n", "control characters"),
        ("Remote-User: mya\r\nRemote-Groups: a\r\nRemote-Groups: b\r\n", "remote-groups occurs"),
    ] {
        let answer = server.get("/api/v1/entries", headers);
        assert_eq!(answer.status, 400, "{headers}");
        assert!(answer.body.contains(why), "{}", answer.body);
    }
    assert!(trail.reads().is_empty());
}
