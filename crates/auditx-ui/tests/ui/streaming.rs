//! `GET /api/v1/stream`: every new entry once and in order, whatever the client and the trail do.

use std::sync::atomic::{AtomicBool, Ordering};

use auditx_core::{AuditLogger, Config, RequestContext, Retention};
use auditx_tests::events::EventStream;
use auditx_ui::{Dashboard, Viewer};
use serde_json::{Value, json};

use crate::server::{Server, TIMEOUT, Trail};

/// Follows the entries that match.
fn follow(server: &Server, query: &str, last: &str) -> EventStream {
    EventStream::connect(server.address, &format!("/api/v1/stream{query}"), last)
}

/// Asserts that the next entries are these invoices. Returns the id of the last one.
fn expect(events: &mut EventStream, invoices: std::ops::Range<usize>) -> String {
    let (entries, id) = events.entries(invoices.len());
    let found = entries.iter().map(|entry| entry["description"].as_str().unwrap().to_owned());
    assert!(found.eq(invoices.map(|number| format!("Invoice {number} posted"))), "{entries:?}");
    id
}

fn served(trail: &Trail) -> Server {
    Server::of(Dashboard::unrecorded(trail.directory.path()).everyone_is(Viewer::new("mya")))
}

fn record(logger: &AuditLogger, invoices: std::ops::Range<usize>) {
    for number in invoices {
        logger.log(format!("Invoice {number} posted")).record().unwrap();
    }
}

#[test]
fn new_entries_are_sent_as_they_are_stored() {
    let trail = Trail::with(3);
    let server = served(&trail);
    let mut client = follow(&server, "", "");
    let entry =
        trail.logger.log("Invoice posted").amount("1250000.10".parse::<auditx_core::Amount>().unwrap());
    let seq = entry.record().unwrap().wait_durable().unwrap().seq;
    let event = client.next().unwrap();
    assert_eq!((event.kind.as_str(), event.id), ("entry", format!("seq:{seq}")));
    assert_eq!(event.data, auditx_tests::trail::lines(trail.directory.path()).pop().unwrap().text);
}

#[test]
fn a_client_that_connects_again_continues_where_it_was() {
    let trail = Trail::with(0);
    let server = served(&trail);
    let mut client = follow(&server, "?q=invoice", "");
    record(&trail.logger, 0..50);
    let id = expect(&mut client, 0..50);
    drop((client, server));
    record(&trail.logger, 50..2_500);
    trail.logger.flush(TIMEOUT).unwrap();
    let server = served(&trail);
    let mut client = follow(&server, "?q=invoice", &id);
    record(&trail.logger, 2_500..2_600);
    expect(&mut client, 50..2_600);
}

#[test]
fn a_client_that_does_not_read_gets_everything_when_it_does() {
    let trail = Trail::with(0);
    let server = served(&trail);
    let mut clients: Vec<EventStream> = (0..5).map(|_| follow(&server, "?q=invoice", "")).collect();
    record(&trail.logger, 0..10_000);
    trail.logger.flush(TIMEOUT).unwrap();
    for client in &mut clients {
        expect(client, 0..10_000);
    }
    record(&trail.logger, 10_000..10_001);
    for client in &mut clients {
        expect(client, 10_000..10_001);
    }
}

#[test]
fn segments_that_are_sealed_meanwhile_are_read_to_their_end() {
    let directory = tempfile::tempdir().unwrap();
    let logger = AuditLogger::open(Config::new(directory.path()).max_file_bytes(64 << 10)).unwrap();
    let trail = Trail { logger, directory };
    let server = served(&trail);
    let mut client = follow(&server, "?q=invoice", "");
    for number in 0..40 {
        record(&trail.logger, number * 100..(number + 1) * 100);
        expect(&mut client, number * 100..(number + 1) * 100);
    }
    let sealed = std::fs::read_dir(trail.directory.path()).unwrap().flatten();
    let sealed = sealed.filter(|file| file.file_name().to_string_lossy().starts_with("audit-")).count();
    assert!(sealed >= 5, "{sealed} segments were sealed");
}

#[test]
fn a_client_learns_which_entries_were_retired_before_it_read_them() {
    let directory = tempfile::tempdir().unwrap();
    let logger = AuditLogger::open(Config::new(directory.path()).max_file_bytes(64 << 10)).unwrap();
    let trail = Trail { logger, directory };
    let server = served(&trail);
    let mut client = follow(&server, "?q=invoice", "");
    record(&trail.logger, 0..1);
    let id = expect(&mut client, 0..1);
    drop(client);
    record(&trail.logger, 1..2_000);
    trail.logger.flush(TIMEOUT).unwrap();
    let retired = trail.logger.retire(Retention::BackupCount(1)).unwrap();
    assert!(!retired.segments.is_empty(), "{retired:?}");
    let mut client = follow(&server, "?q=invoice", &id);
    let gap = client.next().unwrap();
    assert_eq!(gap.kind, "gap");
    let gap: Value = serde_json::from_str(&gap.data).unwrap();
    assert_eq!(id, format!("seq:{}", gap["after"]));
    let (entries, _) = client.entries(1);
    assert!(entries[0]["seq"].as_u64() >= gap["next"].as_u64(), "{gap} {entries:?}");
}

#[test]
fn only_entries_that_match_and_exist_for_the_viewer_are_sent() {
    let trail = Trail::new();
    let viewer = Viewer::new("mya").branch("MDY");
    let server = Server::of(Dashboard::new(&trail.logger).unwrap().everyone_is(viewer));
    let mut client = follow(&server, "?q=invoice&source=security", "");
    for (branch, level) in [("YGN", "SECURITY"), ("MDY", "NORMAL"), ("MDY", "SECURITY")] {
        let _scope = RequestContext::new().branch_id(branch).enter();
        let level = level.parse().unwrap();
        trail.logger.log(format!("Invoice of {branch}")).level(level).record().unwrap();
    }
    let (entries, _) = client.entries(1);
    assert_eq!((&entries[0]["branch_id"], &entries[0]["level"]), (&json!("MDY"), &json!("SECURITY")));
    let reads = trail.reads();
    assert_eq!(reads[0]["description"], "Audit trail followed");
    assert_eq!(reads[0]["metadata"]["query"], "invoice");
}

#[test]
fn a_family_is_followed_and_a_new_trail_from_its_beginning() {
    let directory = tempfile::tempdir().unwrap();
    let opened = |name: &str| AuditLogger::open(Config::new(directory.path().join(name))).unwrap();
    let (first, second) = (opened("a/worker-1"), opened("b,@ %/worker-1"));
    let dashboard = Dashboard::unrecorded(directory.path()).everyone_is(Viewer::new("mya"));
    let server = Server::of(dashboard);
    let mut client = follow(&server, "?q=invoice", "");
    record(&second, 0..1);
    expect(&mut client, 0..1);
    record(&first, 1..2);
    let id = expect(&mut client, 1..2);
    let third = opened("c");
    record(&third, 2..3);
    let (entries, _) = client.entries(1);
    assert_eq!((&entries[0]["trail"], &entries[0]["description"]), (&json!("c"), &json!("Invoice 2 posted")));
    drop(client);
    record(&second, 3..4);
    let mut client = follow(&server, "?q=invoice", &id);
    let (entries, _) = client.entries(2);
    let mut trails: Vec<_> = entries.iter().map(|entry| entry["trail"].as_str().unwrap()).collect();
    trails.sort_unstable();
    assert_eq!(trails, ["b,@ %/worker-1", "c"]);
    for logger in [first, second, third] {
        logger.close(TIMEOUT).unwrap();
    }
}

#[test]
fn a_client_that_reads_slowly_learns_what_was_retired_meanwhile() {
    let directory = tempfile::tempdir().unwrap();
    let logger = AuditLogger::open(Config::new(directory.path()).max_file_bytes(64 << 10)).unwrap();
    let trail = Trail { logger, directory };
    let dashboard = Dashboard::unrecorded(trail.directory.path()).everyone_is(Viewer::new("mya"));
    let server = Server::with_small_buffers(dashboard);
    let mut client = follow(&server, "?q=invoice", "").with_small_buffers();
    record(&trail.logger, 0..1);
    let (first, _) = client.entries(1);
    let padding = "x".repeat(600);
    for number in 1..20_000 {
        trail.logger.log(format!("Invoice {number} posted {padding}")).record().unwrap();
    }
    trail.logger.flush(TIMEOUT).unwrap();
    assert!(!trail.logger.retire(Retention::BackupCount(1)).unwrap().segments.is_empty());
    let (mut before, mut gap) = (first[0]["seq"].as_u64(), None);
    client.until("an entry after the retired ones", |event| {
        match event.kind.as_str() {
            "gap" => gap = Some(serde_json::from_str::<Value>(&event.data).unwrap()),
            "entry" => {
                let entry: Value = serde_json::from_str(&event.data).unwrap();
                let seq = entry["seq"].as_u64().unwrap();
                // Records of checkpoints and seals are between entries.
                if before.is_some_and(|before| seq > before + 100) {
                    let gap = gap.take().expect("a gap is announced before the entry after it");
                    assert!(gap["after"].as_u64() >= before && gap["next"].as_u64() <= Some(seq), "{gap}");
                    return Some(());
                }
                before = Some(seq);
            }
            _ => {}
        }
        None
    });
}

#[test]
fn a_client_of_a_trail_that_was_replaced_follows_the_new_one() {
    let directory = tempfile::tempdir().unwrap();
    let logger = AuditLogger::open(Config::new(directory.path())).unwrap();
    record(&logger, 0..5);
    logger.flush(TIMEOUT).unwrap();
    let trail = Trail { logger, directory };
    let server = served(&trail);
    let mut client = follow(&server, "?q=invoice", "seq:70");
    let gap: Value = serde_json::from_str(&client.next().unwrap().data).unwrap();
    assert_eq!((&gap["after"], &gap["next"]), (&json!(70), &json!(7)));
    record(&trail.logger, 5..8);
    expect(&mut client, 5..8);
}

#[test]
fn entries_that_a_killed_process_left_without_a_number_are_sent_when_they_have_one() {
    const CHILD: &str = "AUDITX_TEST_STREAM_CHILD";
    if let Ok(directory) = std::env::var(CHILD) {
        let logger = AuditLogger::open(Config::new(directory)).unwrap();
        record(&logger, 0..20);
        logger.flush(TIMEOUT).unwrap();
        record(&logger, 20..6_000);
        std::process::abort();
    }
    let name = "entries_that_a_killed_process_left_without_a_number_are_sent_when_they_have_one";
    let directory = tempfile::tempdir().unwrap();
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args([&format!("streaming::{name}"), "--exact"])
        .env(CHILD, directory.path())
        .output()
        .unwrap()
        .status;
    assert!(!status.success());
    let serve = || Server::of(Dashboard::unrecorded(directory.path()).everyone_is(Viewer::new("mya")));
    let server = serve();
    let mut client = follow(&server, "?q=invoice&after=seq:1", "");
    // The next process gives the rest their numbers.
    let (first, id) = client.entries(10);
    assert_eq!(first[0]["description"], "Invoice 0 posted");
    drop((client, server));
    let logger = AuditLogger::open(Config::new(directory.path())).unwrap();
    let server = serve();
    let mut client = follow(&server, "?q=invoice", &id);
    expect(&mut client, 10..6_000);
    logger.close(TIMEOUT).unwrap();
}

#[test]
fn a_client_can_connect_while_entries_are_recorded_without_pause() {
    let trail = Trail::with(10);
    let server = served(&trail);
    let _first = follow(&server, "?q=nowhere", "");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                trail.logger.log("Invoice posted").record().unwrap();
            }
        });
        for _ in 0..5 {
            drop(follow(&server, "?q=nowhere", ""));
            assert_eq!(server.get("/?q=nowhere", "").status, 200);
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_trail_that_was_away_for_a_while_is_followed_again() {
    let directory = tempfile::tempdir().unwrap();
    let opened = |name: &str| AuditLogger::open(Config::new(directory.path().join(name))).unwrap();
    let (first, second) = (opened("a"), opened("b"));
    let server = Server::of(Dashboard::unrecorded(directory.path()).everyone_is(Viewer::new("mya")));
    let mut client = follow(&server, "?q=invoice", "");
    record(&first, 0..1);
    expect(&mut client, 0..1);
    first.close(TIMEOUT).unwrap();
    let (here, away) = (directory.path().join("a"), directory.path().join(".away"));
    std::fs::rename(&here, &away).unwrap();
    // The thread notices it by the time that it passes this on.
    record(&second, 1..2);
    expect(&mut client, 1..2);
    std::fs::rename(&away, &here).unwrap();
    let first = opened("a");
    record(&first, 2..3);
    expect(&mut client, 2..3);
    record(&first, 3..4);
    expect(&mut client, 3..4);
    for logger in [first, second] {
        logger.close(TIMEOUT).unwrap();
    }
}

#[test]
fn a_cursor_with_control_characters_is_refused() {
    let trail = Trail::with(1);
    let server = served(&trail);
    for cursor in ["byte:0:a%0Ab", "byte:0:a%00", "seq:x"] {
        assert_eq!(server.get(&format!("/api/v1/stream?after={cursor}"), "").status, 400, "{cursor}");
    }
}
