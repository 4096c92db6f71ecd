//! Evidence bundles: what they contain, that their proofs hold, and what they do not tell.

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _, Write as _};
use std::net::TcpStream;

use auditx_core::RequestContext;
use auditx_tests::deadline::wait_until;
use auditx_tests::tool::output_of;
use auditx_tlog::{InclusionProof, VerifierKey};
use auditx_ui::{Dashboard, Viewer};
use serde_json::{Value, json};
use zip::ZipArchive;

use crate::server::{Server, TIMEOUT, Trail};

fn served(trail: &Trail, viewer: Viewer) -> Server {
    Server::of(Dashboard::new(&trail.logger).unwrap().everyone_is(viewer))
}

/// A trail whose lines are all signed, and which another process could still write.
fn signed(count: usize) -> Trail {
    let trail = Trail::with(count);
    wait_until("the checkpoint", || {
        auditx_reader::latest_checkpoint(trail.directory.path())
            .is_ok_and(|checkpoint| checkpoint.size() == count as u64 + 2)
    });
    trail
}

/// The headers, in lower case, and the bytes of an answer.
fn download(server: &Server, path: &str) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    let host = server.address;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let body = bytes.split_off(end + 4);
    (String::from_utf8(bytes).unwrap().to_ascii_lowercase(), body)
}

/// The files of an archive.
struct Case(BTreeMap<String, String>);

impl Case {
    fn of(server: &Server, path: &str) -> Self {
        let (head, body) = download(server, path);
        assert!(head.starts_with("http/1.1 200 "), "{head}\n{}", String::from_utf8_lossy(&body));
        assert!(head.contains(&format!("\r\ncontent-length: {}\r\n", body.len())), "{head}");
        assert!(head.contains("\r\ncontent-type: application/zip\r\n"), "{head}");
        let mut archive = ZipArchive::new(Cursor::new(body)).unwrap();
        let count = archive.len();
        let read = |index| {
            let mut file = archive.by_index(index).unwrap();
            let mut text = String::new();
            file.read_to_string(&mut text).unwrap();
            (file.name().unwrap().into_owned(), text)
        };
        Self((0..count).map(read).collect())
    }

    fn manifest(&self) -> Value {
        serde_json::from_str(&self.0["manifest.json"]).unwrap()
    }

    fn entries(&self) -> Vec<&str> {
        self.0["entries.jsonl"].lines().collect()
    }

    /// Checks every proof with this key; returns the proved lines.
    fn proved(&self, key: &VerifierKey) -> Vec<String> {
        let proofs = self.0.iter().filter(|(name, _)| name.starts_with("proofs/"));
        let mut proved: Vec<(u64, String)> = proofs
            .map(|(name, text)| {
                let proof = InclusionProof::parse(text.as_bytes()).unwrap();
                proof.check(std::slice::from_ref(key)).unwrap();
                assert_eq!(*name, format!("proofs/{}.tlog-proof", proof.index()));
                (proof.index(), String::from_utf8(proof.line().to_vec()).unwrap())
            })
            .collect();
        proved.sort();
        proved.into_iter().map(|(_, line)| line).collect()
    }
}

#[test]
fn every_entry_of_a_bundle_is_proved() {
    let trail = signed(30);
    let key = trail.logger.verifier_key().unwrap();
    let server = served(&trail, Viewer::new("mya"));
    let case = Case::of(&server, "/export/bundle?q=branch:MDY&tz=Asia/Yangon");
    assert_eq!(case.entries().len(), 15);
    assert_eq!(case.proved(&key), case.entries());
    let stored: Vec<_> = auditx_tests::trail::lines(trail.directory.path())
        .into_iter()
        .filter(|line| line.json["branch_id"] == "MDY")
        .map(|line| line.text)
        .collect();
    assert_eq!(case.entries(), stored, "their exact bytes");
    assert!(case.0["key.vkey"].contains(&key.to_string()));

    let manifest = case.manifest();
    assert_eq!(manifest["query"], "branch:MDY --tz Asia/Yangon");
    assert_eq!((&manifest["selected"], &manifest["without_proof"]), (&json!(15), &json!(0)));
    // The record of this download is not part of it.
    assert_eq!(manifest["range"]["lines"], 32);
    assert!(case.0["README.txt"].contains("auditx check proofs/SEQ.tlog-proof --key key.vkey"));
}

#[test]
fn the_hashes_of_a_bundle_are_those_of_its_files() {
    let trail = signed(3);
    let case = Case::of(&served(&trail, Viewer::new("mya")), "/export/bundle");
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("proofs")).unwrap();
    for (name, text) in &case.0 {
        std::fs::write(directory.path().join(name), text).unwrap();
    }
    let check = format!("cd {} && sha256sum -c SHA256SUMS", directory.path().display());
    let sums = output_of("sh", &["-c", &check], b"");
    assert!(sums.lines().all(|line| line.ends_with(": OK")), "{sums}");
    assert_eq!(sums.lines().count(), case.0.len() - 1, "every file but the list itself");
}

#[test]
fn the_manifest_names_the_period_with_absolute_times() {
    let trail = signed(3);
    let server = served(&trail, Viewer::new("mya"));
    let path = "/export/bundle?q=Invoice&since=2026-01-02&until=2126-01-02&source=&tz=Asia/Yangon";
    let scope = Case::of(&server, path).manifest()["scope"].clone();
    assert_eq!(scope, "--since 2026-01-01T17:30:00.000000Z --until 2126-01-01T17:30:00.000000Z");
    assert_eq!(Case::of(&server, "/export/bundle?q=Invoice").manifest()["scope"], "");
    assert_eq!(server.get("/export/bundle?since=tomorrowish", "").status, 400);
}

#[test]
fn a_bundle_does_not_count_entries_that_do_not_exist_for_its_viewer() {
    let trail = signed(30);
    let key = trail.logger.verifier_key().unwrap();
    let server = served(&trail, Viewer::new("mya").branch("MDY"));
    let case = Case::of(&server, "/export/bundle?q=Invoice+-%22Invoice+29%22");
    assert!(case.entries().iter().all(|line| line.contains("\"MDY\"")), "{:?}", case.entries());
    assert_eq!(case.proved(&key), case.entries());
    let manifest = case.manifest();
    assert_eq!((&manifest["selected"], &manifest["scope"]), (&json!(14), &json!("--branch \"MDY\"")));
    let range = &manifest["range"];
    assert_eq!(
        (&range["lines"], &range["first_seq"], &range["last_seq"]),
        (&json!(15), &json!(3), &json!(31))
    );
    assert_eq!(manifest["unreadable_lines"], json!(null));
    assert!(!case.0["key.vkey"].contains("named in line"), "{}", case.0["key.vkey"]);
    assert_eq!(server.get("/export/bundle?q=branch:YGN", "").status, 404);
}

#[test]
fn damage_is_in_the_manifest_but_not_described_to_a_viewer_with_a_scope() {
    let trail = Trail::with(6);
    trail.logger.close(TIMEOUT).unwrap();
    let path = trail.directory.path().join("audit.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    // Line 6 is of the branch YGN.
    std::fs::write(&path, text.replace("Invoice 4 posted", "Invoice 9 posted")).unwrap();
    let of = |viewer: Viewer| {
        let server = Server::of(Dashboard::unrecorded(trail.directory.path()).everyone_is(viewer));
        let fault = Case::of(&server, "/export/bundle?q=branch:MDY").manifest()["fault"].clone();
        let (head, _) = download(&server, "/export/bundle?q=branch:MDY+OR+branch:YGN");
        (fault.as_str().unwrap().to_owned(), head.split(' ').nth(1).unwrap().to_owned())
    };
    let (fault, status) = of(Viewer::new("auditor"));
    assert!(fault.contains("line 6"), "{fault}");
    assert_eq!(status, "500", "the altered line cannot be proved");
    let (fault, status) = of(Viewer::new("mya").branch("MDY"));
    assert_eq!(fault, "the trail is damaged, so entries may be missing or wrong");
    assert_eq!(status, "200", "for this viewer the altered line does not exist");
}

#[test]
fn an_altered_line_of_a_scoped_viewer_is_a_problem_without_details() {
    let trail = Trail::with(6);
    trail.logger.close(TIMEOUT).unwrap();
    let path = trail.directory.path().join("audit.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("Invoice 3 posted", "Invoice 9 posted")).unwrap();
    let dashboard = Dashboard::unrecorded(trail.directory.path());
    let server = Server::of(dashboard.everyone_is(Viewer::new("mya").branch("MDY")));
    let answer = server.get("/export/bundle", "");
    assert_eq!(answer.status, 500);
    assert!(answer.body.contains("cannot be read") && !answer.body.contains("line 5"), "{}", answer.body);
}

#[test]
fn entries_that_are_not_signed_yet_have_no_proof() {
    let trail = signed(3);
    trail.logger.close(TIMEOUT).unwrap();
    let lines = auditx_tests::trail::lines(trail.directory.path());
    let seq = lines.last().unwrap().seq + 1;
    let line = format!(
        "{{\"seq\":{seq},\"timestamp\":\"2026-11-24T16:00:00.000000Z\",\"description\":\"Invoice late\"}}\n"
    );
    let path = trail.directory.path().join("audit.jsonl");
    std::fs::OpenOptions::new().append(true).open(path).unwrap().write_all(line.as_bytes()).unwrap();
    let dashboard = Dashboard::unrecorded(trail.directory.path());
    let server = Server::of(dashboard.everyone_is(Viewer::new("mya")));
    let case = Case::of(&server, "/export/bundle?q=Invoice");
    assert_eq!(case.entries().len(), 4);
    assert_eq!(case.proved(&trail.logger.verifier_key().unwrap()), case.entries()[..3]);
    let manifest = case.manifest();
    assert_eq!((&manifest["without_proof"], &manifest["unsigned_lines"]), (&json!(1), &json!(1)));
}

#[test]
fn a_bundle_of_nothing_is_a_problem_and_a_recorded_read() {
    let trail = signed(3);
    let server = served(&trail, Viewer::new("mya").role("auditor"));
    let answer = server.get("/export/bundle?q=nowhere&since=1d", "");
    assert_eq!(answer.status, 404);
    assert!(answer.body.contains("no entries were found"), "{}", answer.body);
    let reads = trail.reads();
    let [read] = reads.as_slice() else { panic!("{reads:?}") };
    assert_eq!(
        (&read["action"], &read["user"], &read["user_role"]),
        (&"EXPORT".into(), &"mya".into(), &"auditor".into())
    );
    assert_eq!(read["description"], "Audit trail exported with proofs");
    assert_eq!(read["metadata"], json!({ "query": "nowhere", "since": "1d" }));
}

#[test]
fn a_trail_without_a_checkpoint_has_no_bundles() {
    let directory = tempfile::tempdir().unwrap();
    let line = "{\"timestamp\": \"2026-11-24T09:00:00+00:00\", \"description\": \"Legacy\"}\n";
    std::fs::write(directory.path().join("audit.jsonl"), line).unwrap();
    let server = Server::of(Dashboard::unrecorded(directory.path()).everyone_is(Viewer::new("mya")));
    let answer = server.get("/export/bundle", "");
    assert_eq!(answer.status, 404);
    assert!(answer.body.contains("there is no checkpoint"), "{}", answer.body);
    assert!(!answer.body.contains(&directory.path().display().to_string()), "{}", answer.body);
}

#[test]
fn a_bundle_that_cannot_be_recorded_is_refused() {
    let trail = signed(3);
    let server = served(&trail, Viewer::new("mya"));
    trail.logger.close(TIMEOUT).unwrap();
    let answer = server.get("/export/bundle", "");
    assert_eq!((answer.status, answer.body.contains("cannot be recorded")), (503, true), "{}", answer.body);
}

#[test]
fn too_many_entries_for_a_bundle_are_a_problem_that_says_what_to_do() {
    let trail = Trail::new();
    let _scope = RequestContext::new().user("thida").enter();
    for number in 0..10_001 {
        trail.logger.log(format!("Invoice {number} posted")).record().unwrap();
    }
    trail.logger.flush(TIMEOUT).unwrap();
    let server = served(&trail, Viewer::new("mya"));
    let answer = server.get("/export/bundle?q=user:thida", "");
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains("may have 10000 entries") && answer.body.contains("narrow the search"));
}

#[test]
fn the_link_to_a_bundle_selects_what_the_page_shows() {
    let trail = signed(30);
    let server = served(&trail, Viewer::new("mya"));
    let page = server.get("/?q=user:thida+%22Invoice+1%22&since=1d", "").body;
    let link = page.split("href=\"").find(|rest| rest.starts_with("/export/bundle")).unwrap();
    let link = link.split('"').next().unwrap().replace("&amp;", "&");
    let case = Case::of(&server, &link);
    assert_eq!(case.entries().len(), 11, "1 and 10 to 19");
}
