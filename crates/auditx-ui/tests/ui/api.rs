//! The HTTP API: pages of entries, proofs, problems.

use auditx_tlog::InclusionProof;
use auditx_ui::{Dashboard, Viewer};
use serde_json::{Value, json};

use crate::server::{Server, Trail};

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
        ("/api/v1/entries?order=sideways", 400, "expected asc or desc"),
        ("/api/v1/entries?cursor=7", 400, "invalid cursor"),
        ("/api/v1/entries?source=none", 400, "expected all or security"),
        ("/api/v1/entries/99", 404, "no entry 99"),
        ("/api/v1/nothing", 404, "no such path"),
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
