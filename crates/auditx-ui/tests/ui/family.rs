//! Several trails below one directory, as one view.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use auditx_core::{AuditLogger, Config, RequestContext};
use auditx_tests::events::EventStream;
use auditx_ui::{Dashboard, Source, Viewer};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::server::{Server, TIMEOUT, Trail};

/// Trails of two tenants with entries in turn.
struct Family {
    directory: TempDir,
    loggers: Vec<AuditLogger>,
}

const NAMES: [&str; 3] = ["mdy/worker-1", "ygn/worker-1", "ygn/worker-2"];

impl Family {
    fn with(count: usize) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let opened = |name: &&str| AuditLogger::open(Config::new(directory.path().join(name))).unwrap();
        let loggers: Vec<AuditLogger> = NAMES.iter().map(opened).collect();
        let family = Self { directory, loggers };
        (0..count).for_each(|number| family.record(number));
        family.loggers.iter().for_each(|logger| logger.flush(TIMEOUT).unwrap());
        family
    }

    /// Records an entry whose time is later than that of the one before.
    fn record(&self, number: usize) {
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        let before = now();
        while now() == before {
            std::hint::spin_loop();
        }
        let member = number % NAMES.len();
        let company = NAMES[member].split('/').next().unwrap();
        let _scope = RequestContext::new().company_id(company).user("thida").enter();
        self.loggers[member].log(format!("Invoice {number} posted")).record().unwrap();
    }

    fn server(&self, viewer: Viewer) -> Server {
        Server::of(Dashboard::unrecorded(self.directory.path()).everyone_is(viewer))
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        self.loggers.iter().for_each(|logger| drop(logger.close(TIMEOUT)));
    }
}

fn descriptions(page: &Value) -> Vec<String> {
    let entries = page["entries"].as_array().unwrap();
    entries.iter().map(|entry| entry["description"].as_str().unwrap().to_owned()).collect()
}

/// The numbers of invoices on a page, in its order.
fn invoices(page: &str) -> Vec<usize> {
    let rows = page.split(">Invoice ").skip(1);
    rows.map(|row| row.split(' ').next().unwrap().parse().unwrap()).collect()
}

/// The address that a link with this relation leads to.
fn link(page: &str, relation: &str) -> Option<String> {
    let tag = page.split("<a ").find(|tag| tag.starts_with(&format!("rel=\"{relation}\"")))?;
    let href = tag.split("href=\"").nth(1)?.split('"').next()?;
    Some(href.replace("&amp;", "&"))
}

#[test]
fn a_family_is_one_list_in_the_order_of_time() {
    let family = Family::with(250);
    let server = family.server(Viewer::new("mya"));
    let first = server.get("/?q=invoice", "").body;
    assert_eq!(invoices(&first), (150..250).rev().collect::<Vec<_>>());
    for number in 250..260 {
        family.record(number);
    }
    let older = server.get(&link(&first, "next").unwrap(), "").body;
    assert_eq!(invoices(&older), (50..150).rev().collect::<Vec<_>>());
    let oldest = server.get(&link(&older, "next").unwrap(), "").body;
    assert_eq!(invoices(&oldest), (0..50).rev().collect::<Vec<_>>());
    assert_eq!(link(&oldest, "next"), None);
    let newer = server.get(&link(&oldest, "prev").unwrap(), "").body;
    assert_eq!(invoices(&newer), (50..150).rev().collect::<Vec<_>>());
}

#[test]
fn the_api_continues_a_family_with_one_cursor() {
    let family = Family::with(100);
    let server = family.server(Viewer::new("mya"));
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let answer = server.get(&format!("/api/v1/entries?q=invoice&order=asc&limit=7&cursor={cursor}"), "");
        assert_eq!(answer.status, 200, "{}", answer.body);
        let page = answer.json();
        found.extend(descriptions(&page));
        match page["next"].as_str() {
            Some(next) => cursor = next.replace('%', "%25"),
            None => break,
        }
    }
    let expected: Vec<String> = (0..100).map(|number| format!("Invoice {number} posted")).collect();
    assert_eq!(found, expected);
}

#[test]
fn one_trail_of_a_family_can_be_chosen() {
    let family = Family::with(30);
    let server = family.server(Viewer::new("mya"));
    let page = server.get("/?q=invoice&trail=ygn%2Fworker-1", "").body;
    assert_eq!(invoices(&page), (0..30).rev().filter(|number| number % 3 == 1).collect::<Vec<_>>());
    for name in NAMES {
        assert!(page.contains(&format!("<option value=\"{name}\"")) || page.contains(name), "{name}");
    }
    let missing = server.get("/api/v1/entries?trail=..%2Fother", "");
    assert_eq!(
        (missing.status, missing.json()["detail"].as_str().unwrap()),
        (404, "there is no trail \"../other\"")
    );
}

#[test]
fn an_entry_of_a_family_is_named_by_its_trail_and_number() {
    let family = Family::with(30);
    // Signs the last lines.
    family.loggers.iter().for_each(|logger| logger.close(TIMEOUT).unwrap());
    let server = family.server(Viewer::new("mya"));
    assert_eq!(server.get("/api/v1/entries/2", "").status, 400);
    let entry = server.get("/api/v1/entries/2?trail=ygn%2Fworker-2", "").json();
    assert_eq!(entry["description"], "Invoice 2 posted");
    let page = server.get("/entries/2?trail=ygn%2Fworker-2", "").body;
    assert!(page.contains("Invoice 2 posted") && page.contains("proof?trail=ygn%2Fworker-2"), "{page}");
    let proof = server.get("/api/v1/entries/2/proof?trail=ygn%2Fworker-2", "");
    assert!(proof.body.starts_with("c2sp.org/tlog-proof@v1\n"), "{}", proof.body);
}

#[test]
fn counts_and_downloads_are_of_the_whole_family() {
    let family = Family::with(60);
    let server = family.server(Viewer::new("mya"));
    assert!(server.get("/counts?q=invoice", "").body.contains("60 entries"));
    let csv = server.get("/export/csv?q=invoice", "");
    let numbers: Vec<usize> = csv
        .body
        .split("Invoice ")
        .skip(1)
        .map(|rest| rest.split(' ').next().unwrap().parse().unwrap())
        .collect();
    assert_eq!(numbers, (0..60).collect::<Vec<_>>());
    // Between the lines are the lengths of chunks.
    assert!(csv.body.contains("trail,seq,") && csv.body.contains("mdy/worker-1,2,"), "{}", csv.body);
    let lines = server.get("/export/ndjson?q=invoice", "").body;
    let first: Value =
        serde_json::from_str(lines.lines().find(|line| line.starts_with('{')).unwrap()).unwrap();
    assert_eq!((&first["trail"], &first["seq"]), (&json!("mdy/worker-1"), &json!(2)));
}

#[test]
fn other_tenants_do_not_exist_for_a_viewer_of_one() {
    let family = Family::with(30);
    let server = family.server(Viewer::new("mya").company("mdy"));
    let page = server.get("/?q=invoice", "").body;
    assert_eq!(invoices(&page), (0..30).rev().filter(|number| number % 3 == 0).collect::<Vec<_>>());
    assert!(!page.contains("ygn"), "{page}");
    assert_eq!(server.get("/api/v1/entries/2?trail=ygn%2Fworker-1", "").status, 404);
}

#[test]
fn a_check_verifies_every_trail_of_a_family() {
    let family = Family::with(30);
    family.loggers.iter().for_each(|logger| logger.close(TIMEOUT).unwrap());
    let server = family.server(Viewer::new("mya"));
    assert!(server.get("/", "").body.contains("Signed, not checked"));
    assert_eq!(server.post("/check", "", "").status, 303);
    assert!(server.get("/", "").body.contains("Signed, checked"));
    damage(&family.directory.path().join(NAMES[1]));
    server.post("/check", "", "");
    let page = server.get("/", "").body;
    assert!(page.contains("Broken, checked") && page.contains("ygn/worker-1: "), "{page}");
}

/// Changes a letter of an entry.
fn damage(trail: &Path) {
    let path = trail.join("audit.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replacen("Invoice", "Invoise", 1)).unwrap();
}

#[test]
fn reads_of_a_family_are_recorded_where_the_application_says() {
    let family = Family::with(3);
    let own = Trail::new();
    let dashboard = Dashboard::new(&own.logger).unwrap().source(Source::directory(family.directory.path()));
    let server = Server::of(dashboard.everyone_is(Viewer::new("mya")));
    assert!(server.get("/?q=invoice", "").body.contains("Invoice 2 posted"));
    let reads = own.reads();
    assert_eq!(reads.len(), 1);
    assert_eq!(reads[0]["metadata"]["query"], "invoice");
}

#[test]
fn no_answer_names_trails_or_lines_that_do_not_exist_for_the_viewer() {
    let family = Family::with(30);
    family.loggers.iter().for_each(|logger| logger.close(TIMEOUT).unwrap());
    let server = family.server(Viewer::new("mya").company("mdy"));
    let page = server.get("/api/v1/entries?limit=3", "").json();
    assert_eq!(page["entries"].as_array().unwrap().len(), 3);
    let mut answers = vec![page.to_string(), server.get("/?live=on", "").body];
    let next = page["next"].as_str().unwrap();
    let second = server.get(&format!("/api/v1/entries?limit=100&cursor={next}"), "").json();
    assert_eq!(second["entries"].as_array().unwrap().len(), 7);
    let mut events = EventStream::connect(server.address, "/api/v1/stream?q=invoice", next);
    answers.extend([second.to_string(), format!("{:?}", events.next())]);
    let of = |trail: &str, path: &str| {
        let answer = server.get(&format!("/api/v1/{path}?trail={trail}"), "");
        (answer.status, answer.body)
    };
    for path in ["entries", "entries/2", "stats"] {
        assert_eq!(of("ygn%2Fworker-1", path), of("nowhere", path), "{path}");
    }
    // Damage in a trail of another tenant.
    damage(&family.directory.path().join(NAMES[1]));
    answers.push(server.get("/api/v1/entries", "").body);
    assert!(answers[4].contains("The trail is damaged"), "{}", answers[4]);
    for answer in &answers {
        for hidden in ["ygn", "seq:", "@"] {
            assert!(!answer.contains(hidden), "{hidden} in {answer}");
        }
    }
}

#[test]
fn a_trail_is_named_exactly_as_it_is_listed() {
    let family = Family::with(3);
    std::os::unix::fs::symlink(family.directory.path().join(NAMES[0]), family.directory.path().join("link"))
        .unwrap();
    let server = family.server(Viewer::new("mya"));
    for alias in ["mdy//worker-1", "mdy/./worker-1", "mdy/worker-1/", "link", "mdy"] {
        assert_eq!(server.get(&format!("/api/v1/entries?trail={alias}"), "").status, 404, "{alias}");
    }
    let single = Trail::with(1);
    let below = AuditLogger::open(Config::new(single.directory.path().join("below"))).unwrap();
    let server = Server::of(Dashboard::unrecorded(single.directory.path()).everyone_is(Viewer::new("mya")));
    assert_eq!(server.get("/api/v1/entries?trail=below", "").status, 404, "it is not part of the view");
    below.close(TIMEOUT).unwrap();
}

#[test]
fn a_trail_that_is_away_for_one_page_keeps_its_place() {
    let family = Family::with(30);
    let server = family.server(Viewer::new("mya"));
    let page = |cursor: &str| {
        let cursor = cursor.replace('%', "%25");
        server.get(&format!("/api/v1/entries?q=invoice&order=asc&limit=9&cursor={cursor}"), "").json()
    };
    let first = page("");
    let (here, away) = (family.directory.path().join("mdy"), family.directory.path().join(".mdy"));
    std::fs::rename(&here, &away).unwrap();
    let second = page(first["next"].as_str().unwrap());
    std::fs::rename(&away, &here).unwrap();
    let third = page(second["next"].as_str().unwrap());
    let mut all = [first, second, third].iter().flat_map(descriptions).collect::<Vec<_>>();
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!((all.len(), count), (27, 27), "no entry is repeated");
}

#[test]
fn a_line_cannot_pretend_to_be_of_another_trail() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["a", "b"] {
        let folder = directory.path().join(name);
        std::fs::create_dir(&folder).unwrap();
        let line = format!("{{\"description\": \"Invoice of {name}\", \"trail\": \"other\"}}\n");
        std::fs::write(folder.join("audit.jsonl"), line).unwrap();
    }
    let server = Server::of(Dashboard::unrecorded(directory.path()).everyone_is(Viewer::new("mya")));
    let entries = server.get("/api/v1/entries?order=asc", "").json();
    let trails: Vec<&Value> =
        entries["entries"].as_array().unwrap().iter().map(|entry| &entry["trail"]).collect();
    assert_eq!(trails, [&json!("a"), &json!("b")]);
}
