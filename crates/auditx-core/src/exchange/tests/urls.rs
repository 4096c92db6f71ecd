//! Tests of the recorded parts of a request's head: the endpoint, the user agent, the referer.

use super::*;

#[test]
fn a_late_route_masks_endpoint_and_description() {
    let fixture = fixture();
    let mut exchange = fixture.begin("GET", "/r/S3CRET", Vec::new());
    exchange.matched("/r/{token}");
    exchange.respond(&ResponseFacts::new(200).expected_bytes(Some(0)));
    drop(exchange);
    let entry = fixture.closing().pop().unwrap();
    assert_eq!(entry.endpoint, "/r/[REDACTED]?token=[REDACTED]&a=1");
    assert_eq!(entry.description, "HTTP GET /r/[REDACTED] completed with 200");
    assert!(!fixture.holds("S3CRET"));
}

#[test]
fn the_pattern_of_the_route_can_replace_the_path() {
    let fixture =
        with(|http| http.endpoint(EndpointPolicy::Route).query(QueryPolicy::Names).exclude(["/c/7"]));
    let headers = Pairs(Vec::new());
    let begin = |path, route| {
        fixture.http.begin(&RequestFacts::new("GET", path, &headers).query(Some("a=1")).route(route))
    };
    drop(begin("/c/8", Some("/c/{id}")));
    drop(begin("/c/7", Some("/c/{id}")));
    drop(begin("/nowhere", None));
    let entries = fixture.closing();
    let endpoints: Vec<&str> = entries.iter().map(|entry| entry.endpoint.as_str()).collect();
    assert_eq!(endpoints, ["/c/{id}?a", "/nowhere?a"], "paths are excluded as received");
    assert!(entries[0].description.starts_with("HTTP GET /c/{id} aborted"));
}

#[test]
fn a_masked_path_is_excluded_as_received() {
    let fixture = with(|http| http.exclude(["/token"]));
    drop(fixture.begin("GET", "/token/%2e%2e%2fsales", Vec::new()));
    drop(fixture.begin("GET", "/token/S3CRET", Vec::new()));
    let endpoint = fixture.closing().pop().unwrap().endpoint;
    assert_eq!((fixture.closing().len(), endpoint.split('?').next()), (1, Some("/token/[REDACTED]")));
}

#[test]
fn the_user_agent_is_recorded_by_default() {
    let agent =
        || vec![("user-agent", b"curl/8\x1b[31m\xff".to_vec()), ("referer", b"https://x/?code=S".to_vec())];
    let fixture = fixture();
    drop(fixture.begin("GET", "/x", agent()));
    drop(fixture.begin("GET", "/x", vec![("user-agent", vec![b'a'; 1_000])]));
    drop(fixture.begin("GET", "/x", Vec::new()));
    let entries = fixture.closing();
    assert_eq!(entries[0].metadata["user_agent"], "curl/8\u{1b}[31m\u{fffd}");
    assert!(fixture.holds("curl/8\\u001b[31m"), "control characters are escaped in the line");
    assert_eq!(entries[1].metadata["user_agent"], "a".repeat(256));
    assert!(!entries[2].metadata.contains_key("user_agent"));
    assert!(!entries[0].metadata.contains_key("referer"));

    let fixture = with(|http| http.user_agent(false).referer(true));
    drop(fixture.begin("GET", "/x", agent()));
    let entry = fixture.closing().pop().unwrap();
    assert!(!entry.metadata.contains_key("user_agent"));
    assert_eq!(entry.metadata["referer"], "https://x/?code=[REDACTED]");
}

#[test]
fn http_names_are_not_masked_in_metadata() {
    let fixture = fixture();
    let entry = fixture.logger.log("Product created").metadata("code", "P-1").metadata("key", "row-7");
    entry.record().unwrap();
    let entry = fixture.closing().pop().unwrap();
    assert_eq!((&entry.metadata["code"], &entry.metadata["key"]), (&json!("P-1"), &json!("row-7")));
}
