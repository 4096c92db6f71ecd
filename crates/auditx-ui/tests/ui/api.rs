//! The HTTP API: pages of entries, proofs, problems.

use auditx_core::{AuditLogger, Config, RequestContext};
use auditx_tlog::InclusionProof;
use auditx_ui::{Dashboard, Viewer};
use serde_json::{Value, json};

use crate::server::{Server, TIMEOUT, Trail};

fn served(trail: &Trail) -> Server {
    Server::of(Dashboard::unrecorded(trail.directory.path()).everyone_is(Viewer::new("mya")))
}

#[test]
fn cursors_lead_through_every_entry_once() {
    let trail = Trail::with(60);
    let server = served(&trail);
    for order in ["asc", "desc"] {
        let (mut seqs, mut cursor) = (Vec::new(), String::new());
        loop {
            let page =
                server.get(&format!("/api/v1/entries?order={order}&limit=25&cursor={cursor}"), "").json();
            let entries = page["entries"].as_array().unwrap().iter();
            seqs.extend(entries.map(|entry| entry["seq"].as_u64().unwrap()));
            match &page["next"] {
                Value::String(next) => cursor = next.clone(),
                _ => break,
            }
        }
        if order == "desc" {
            seqs.reverse();
        }
        assert!(seqs.iter().copied().eq(0..62), "{seqs:?}");
    }
}

#[test]
fn an_entry_is_passed_on_as_it_is_stored() {
    let trail = Trail::new();
    let receipt =
        trail.logger.log("Invoice posted").amount("1250000.10".parse::<auditx_core::Amount>().unwrap());
    let seq = receipt.record().unwrap().wait_durable().unwrap().seq;
    let line = auditx_tests::trail::lines(trail.directory.path()).pop().unwrap().text;
    assert!(line.contains("1250000.10"), "{line}");
    let server = served(&trail);
    assert_eq!(server.get(&format!("/api/v1/entries/{seq}"), "").body, line);
    let listed = server.get("/api/v1/entries?limit=1", "").body;
    assert!(listed.starts_with(&format!("{{\"entries\":[{line}],")), "{listed}");
}

#[test]
fn a_proof_can_be_checked_with_the_key_alone() {
    let trail = Trail::with(20);
    let key = trail.logger.verifier_key().unwrap();
    trail.logger.close(crate::server::TIMEOUT).unwrap();
    let proof = served(&trail).get("/api/v1/entries/7/proof", "");
    let proof = InclusionProof::parse(proof.body.as_bytes()).unwrap();
    proof.check(&[key]).unwrap();
    assert_eq!(proof.index(), 7);
}

#[test]
fn bad_requests_are_problems_that_say_what_to_do() {
    let trail = Trail::with(1);
    let server = served(&trail);
    for (path, status, part) in [
        ("/api/v1/entries?q=amount:%3Eabc", 400, "invalid query"),
        ("/api/v1/entries?since=tomorrowish", 400, "expected for example 2h"),
        ("/api/v1/entries?tz=Mars/Olympus", 400, "invalid time zone"),
        ("/api/v1/entries?limit=0", 400, "expected 1 to 1000"),
        ("/api/v1/entries?order=sideways", 400, "expected `asc` or `desc`"),
        ("/api/v1/entries?cursor=7", 400, "invalid cursor"),
        ("/api/v1/entries?source=none", 400, "expected `all` or `security`"),
        ("/api/v1/entries/99", 404, "no such entry"),
        ("/api/v1/entries?usr=mya", 400, "unknown field `usr`"),
        ("/api/v1/history?entity=invoice", 400, "expected TYPE/ID"),
        ("/api/v1/export/xlsx", 404, "expected csv, ndjson or bundle"),
        ("/api/v1/nothing", 404, "no such path"),
        ("/api/v2/entries", 404, "no such path"),
        // What the framework refuses before a handler runs is a problem too.
        ("/api/v1/entries?limit=many", 400, "limit"),
        ("/api/v1/entries/first", 400, "first"),
    ] {
        let answer = server.get(path, "");
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (status, Some("application/problem+json")),
            "{path}"
        );
        let problem = answer.json();
        assert_eq!(problem["status"], json!(status), "{path}");
        assert!(problem["detail"].as_str().unwrap().contains(part), "{path}: {problem}");
    }
}

#[test]
fn stats_count_what_a_search_finds() {
    let trail = Trail::with(60);
    for _ in 0..7 {
        trail.logger.log_security("Login failed").user("aung").success(false).record().unwrap();
    }
    trail.logger.flush(TIMEOUT).unwrap();
    let stats =
        served(&trail).get("/api/v1/stats?q=user:thida%20OR%20success:false&tz=Asia/Yangon", "").json();
    assert_eq!((&stats["total"], &stats["failed"]), (&json!(67), &json!(7)));
    let users = json!([{ "value": "thida", "count": 60 }, { "value": "aung", "count": 7 }]);
    assert_eq!(stats["facets"]["user"], users);
    assert_eq!((&stats["is_out_of_time"], &stats["reached"]), (&json!(false), &Value::Null));
    let bars = stats["timeline"].as_array().unwrap();
    let sum = |bars: &[Value], name: &str| {
        bars.iter().map(|bar| bar["levels"][name].as_u64().unwrap()).sum::<u64>()
    };
    assert_eq!([sum(bars, "other"), sum(bars, "security")], [60, 7]);
    assert_eq!(bars.iter().map(|bar| bar["total"].as_u64().unwrap()).sum::<u64>(), 67);
    assert!(bars[0]["begin"].as_str().unwrap().ends_with("+06:30"));
}

#[test]
fn a_check_says_whether_the_trail_is_sound() {
    let trail = Trail::with(6);
    trail.logger.close(TIMEOUT).unwrap();
    let path = trail.directory.path().join("audit.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    for viewer in [Viewer::new("mya"), Viewer::new("mya").branch("MDY")] {
        let is_scoped = viewer != Viewer::new("mya");
        let server = Server::of(Dashboard::unrecorded(trail.directory.path()).everyone_is(viewer));
        let never = server.get("/api/v1/verify", "").json();
        assert_eq!(never, json!({ "is_sound": null, "checked_at": null, "signed": null, "fault": null }));
        let sound = server.post("/api/v1/verify", "", "").json();
        assert_eq!((&sound["is_sound"], sound["signed"].is_null()), (&json!(true), is_scoped));
        assert_eq!(server.get("/api/v1/verify", "").json(), sound);

        std::fs::write(&path, text.replace("Invoice 4 posted", "Invoice 9 posted")).unwrap();
        let broken = server.post("/api/v1/verify", "", "").json();
        assert_eq!((&broken["is_sound"], broken["fault"].is_null()), (&json!(false), is_scoped), "{broken}");
        assert!(broken["checked_at"].is_string());
        std::fs::write(&path, &text).unwrap();
    }
}

#[test]
fn downloads_are_those_of_the_pages() {
    let trail = Trail::with(6);
    let server = served(&trail);
    for format in ["csv", "ndjson"] {
        let api = server.get(&format!("/api/v1/export/{format}?q=branch:MDY"), "");
        let page = server.get(&format!("/export/{format}?q=branch:MDY"), "");
        assert_eq!((api.status, api.body.matches("posted").count()), (200, 3));
        assert_eq!((api.header("content-type"), &api.body), (page.header("content-type"), &page.body));
        assert_eq!(api.header("content-disposition"), page.header("content-disposition"));
    }
}

#[test]
fn a_viewer_gets_counts_and_downloads_of_their_branch_only() {
    let trail = Trail::with(6);
    let viewer = Viewer::new("mya").branch("MDY");
    let server = Server::of(Dashboard::unrecorded(trail.directory.path()).everyone_is(viewer));
    let stats = server.get("/api/v1/stats", "").json();
    assert_eq!(
        (&stats["total"], &stats["facets"]["branch"]),
        (&json!(3), &json!([{ "value": "MDY", "count": 3 }]))
    );
    let download = server.get("/api/v1/export/ndjson", "").body;
    assert!(download.matches("MDY").count() == 3 && !download.contains("YGN"), "{download}");
}

#[test]
fn every_read_of_the_api_is_recorded() {
    let mut trail = Trail::new();
    let scope = RequestContext::new().user("thida").enter();
    let entry = trail.logger.log("Invoice posted").entity("invoice", "7");
    let seq = entry.record().unwrap().wait_durable().unwrap().seq;
    drop(scope);
    // Closing signs the entry, so that it has a proof.
    trail.logger.close(TIMEOUT).unwrap();
    trail.logger = AuditLogger::open(Config::new(trail.directory.path())).unwrap();
    let server = Server::of(Dashboard::new(&trail.logger).unwrap().everyone_is(Viewer::new("mya")));
    let entry = format!("entries/{seq}");
    let reads = [
        ("entries?q=text:Invoice", "Audit trail searched", json!("text:Invoice"), json!("1")),
        (entry.as_str(), "Audit entry viewed", json!(null), json!(null)),
        (&format!("{entry}/proof"), "Audit entry viewed", json!(null), json!(null)),
        (&format!("{entry}/related"), "Related audit entries viewed", json!(null), json!("0")),
        (
            "history?entity=invoice/7",
            "Audit history viewed",
            json!("entity_type:\"invoice\" entity_id:\"7\""),
            json!("1"),
        ),
        ("stats?q=text:Invoice", "Audit trail counted", json!("text:Invoice"), json!("1")),
        ("export/csv?q=text:Invoice", "Audit trail exported", json!("text:Invoice"), json!(null)),
    ];
    for (number, (path, description, query, found)) in reads.into_iter().enumerate() {
        assert_eq!(server.get(&format!("/api/v1/{path}"), "").status, 200, "{path}");
        let recorded = trail.reads();
        assert_eq!(recorded.len(), number + 1, "{path}");
        let read = &recorded[number];
        assert_eq!((&read["description"], &read["user"]), (&json!(description), &json!("mya")), "{path}");
        let metadata = &read["metadata"];
        assert_eq!((&metadata["query"], &metadata["found"]), (&query, &found), "{path}");
        assert_eq!(
            read["entity_id"],
            if path.contains(&entry) { json!(seq.to_string()) } else { json!(null) }
        );
    }
    // These say nothing about entries.
    for path in ["verify", "healthz", "openapi.json", "entries?limit=0"] {
        server.get(&format!("/api/v1/{path}"), "");
    }
    assert_eq!(trail.reads().len(), 7);
}
