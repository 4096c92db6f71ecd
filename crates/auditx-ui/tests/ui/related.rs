//! What the API says about one entry's surroundings: related entries, and the history of a record.

use auditx_core::RequestContext;
use auditx_ui::{Dashboard, Viewer};
use serde_json::{Value, json};

use crate::server::{Server, TIMEOUT, Trail};

fn served(trail: &Trail, viewer: Viewer) -> Server {
    Server::of(Dashboard::unrecorded(trail.directory.path()).everyone_is(viewer))
}

fn seqs(answer: &Value) -> Vec<u64> {
    let entries = answer["entries"].as_array().unwrap().iter();
    entries.map(|item| item["entry"]["seq"].as_u64().unwrap()).collect()
}

/// Records entries of one invoice from two branches, and returns the number of the first.
fn invoices(trail: &Trail) -> u64 {
    let mut first = None;
    for (number, (user, branch, request)) in
        [("thida", "YGN", "r1"), ("aung", "MDY", "r1"), ("thida", "YGN", "r2"), ("hla", "MDY", "r3")]
            .into_iter()
            .enumerate()
    {
        let _scope = RequestContext::new().user(user).branch_id(branch).request_id(request).enter();
        let entry = trail.logger.log("Invoice changed").entity("invoice", if number < 2 { "1" } else { "2" });
        let entry = entry.old_values(json!({ "amount": 1, "gone": "x" }));
        let receipt = entry.new_values(json!({ "amount": 2, "added": [null] })).record().unwrap();
        let seq = receipt.wait_durable().unwrap().seq;
        first.get_or_insert(seq);
    }
    trail.logger.flush(TIMEOUT).unwrap();
    first.unwrap()
}

#[test]
fn related_entries_say_why_they_are_related() {
    let trail = Trail::new();
    let first = invoices(&trail);
    let server = served(&trail, Viewer::new("mya"));
    let answer = server.get(&format!("/api/v1/entries/{first}/related"), "").json();
    assert_eq!(seqs(&answer), [first + 2, first + 1]);
    let why: Vec<&Value> = answer["entries"].as_array().unwrap().iter().map(|item| &item["why"]).collect();
    assert_eq!(why, [&json!(["user"]), &json!(["request", "entity"])]);

    let part = server.get(&format!("/api/v1/entries/{first}/related?limit=1"), "").json();
    assert_eq!(seqs(&part), [first + 2]);
    let next = part["next"].as_str().unwrap();
    let rest = server.get(&format!("/api/v1/entries/{first}/related?cursor={next}"), "").json();
    assert_eq!(seqs(&rest), [first + 1]);
    assert_eq!(server.get("/api/v1/entries/99/related", "").status, 404);
}

#[test]
fn the_page_of_an_entry_links_to_the_same_entries() {
    let trail = Trail::new();
    let first = invoices(&trail);
    let server = served(&trail, Viewer::new("mya"));
    let page = server.get(&format!("/entries/{first}"), "").body;
    let links = page.split("<h2>Related</h2>").nth(1).unwrap().split("</ul>").next().unwrap().to_owned();
    let hrefs: Vec<String> = links
        .split("href=\"")
        .skip(1)
        .map(|it| it.split('"').next().unwrap().replace("&amp;", "&"))
        .collect();
    assert_eq!(hrefs.len(), 3, "{links}");
    let found = hrefs.iter().map(|href| {
        let answer = server.get(&format!("/api/v1/entries{}", href.trim_start_matches('/')), "").json();
        let mut seqs: Vec<u64> = answer["entries"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["seq"].as_u64().unwrap())
            .collect();
        seqs.sort_unstable();
        seqs
    });
    // The request, the user, the record.
    let expected = [vec![first, first + 1], vec![first, first + 2], vec![first, first + 1]];
    assert!(found.eq(expected), "{links}");
}

#[test]
fn a_history_has_every_change_of_a_record() {
    let trail = Trail::new();
    let first = invoices(&trail);
    let server = served(&trail, Viewer::new("mya"));
    let newest = server.get("/api/v1/history?entity=invoice/1", "").json();
    assert_eq!(seqs(&newest), [first + 1, first]);
    let oldest = server.get("/api/v1/history?entity=invoice/1&order=asc", "").json();
    assert_eq!(seqs(&oldest), [first, first + 1]);
    let changes = json!([
        { "field": "amount", "old": 1, "new": 2 },
        { "field": "gone", "old": "x" },
        { "field": "added", "new": [null] },
    ]);
    assert_eq!(oldest["entries"][0]["changes"], changes);
    assert_eq!(seqs(&server.get("/api/v1/history?entity=invoice/3", "").json()), [0; 0]);
    // An id is taken literally.
    assert_eq!(seqs(&server.get("/api/v1/history?entity=invoice/*", "").json()), [0; 0]);
    assert_eq!(seqs(&server.get("/api/v1/history?entity=invoice/1&until=2020", "").json()), [0; 0]);
    for entity in ["", "invoice", "/1", "invoice/"] {
        let answer = server.get(&format!("/api/v1/history?entity={entity}"), "");
        assert_eq!(answer.status, 400);
        assert!(answer.body.contains("expected TYPE/ID"), "{}", answer.body);
    }
}

#[test]
fn entries_of_other_branches_are_not_related_and_have_no_history() {
    let trail = Trail::new();
    let first = invoices(&trail);
    let server = served(&trail, Viewer::new("mya").branch("YGN"));
    let related = server.get(&format!("/api/v1/entries/{first}/related"), "").json();
    assert_eq!((seqs(&related), &related["signed"]), (vec![first + 2], &Value::Null));
    assert_eq!(server.get(&format!("/api/v1/entries/{}/related", first + 1), "").status, 404);
    assert_eq!(seqs(&server.get("/api/v1/history?entity=invoice/1", "").json()), [first]);
}
