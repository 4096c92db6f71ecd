//! Ships to a real PostgreSQL server: each line arrives once, in order and unchanged, whatever fails
//! meanwhile.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod application_kills;
mod capture;
mod capture_values;
mod certificates;
mod copies;
mod cursors;
mod ddl;
mod kill_points;
mod logical;
mod logical_failures;
mod logical_measures;
mod logical_slots;
mod outbox;
mod outbox_failures;
mod questions;
mod ranges;
mod search_path;
mod server_kills;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use auditx_postgres::{Postgres, VERSION, init};
use auditx_ship::{Progress, Shipper, State, dead_letters};
use auditx_store::shipper_positions;
use auditx_tests::deadline::TIMEOUT;
use auditx_tests::postgres::Server;
use auditx_tests::proxy::{DRIP, Fault, Proxy};
use auditx_tests::shipping::{lines, open, settings, stop, trail, wait_for_all};

/// Starts a server with the schema and a user who may only ship.
fn server() -> Server {
    let server = Server::start();
    assert_eq!(run_init(&server).unwrap(), 0);
    server.sql("CREATE ROLE shipper LOGIN PASSWORD 'secret' IN ROLE auditx_ship");
    server
}

fn run_init(server: &Server) -> auditx_postgres::Result<usize> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(init(&server.url("admin", server.port())))
}

fn ship(directory: &Path, server: &Server, port: u16) -> Shipper {
    Shipper::spawn(directory, Postgres::new(&server.url("shipper", port)).unwrap(), settings()).unwrap()
}

/// Asserts that each line is stored once and unchanged, and that the hashes and the trail's row match.
fn assert_same(server: &Server, directory: &Path) {
    let stored = server.sql("SELECT line FROM auditx.entry ORDER BY seq");
    let expected = lines(directory);
    assert_eq!(stored.lines().count(), expected.len());
    assert!(stored.lines().eq(&expected));
    assert_eq!(
        server.sql(
            "SELECT count(*) FROM auditx.entry \
             WHERE leaf_hash <> sha256('\\x00'::bytea || convert_to(line, 'UTF8'))"
        ),
        "0"
    );
    assert_eq!(server.sql("SELECT last_seq - first_seq + 1 FROM auditx.trail"), expected.len().to_string());
}

#[test]
fn lines_arrive_unchanged_and_once_even_without_a_cursor() {
    let (server, directory) = (server(), tempfile::tempdir().unwrap());
    assert_eq!(run_init(&server).unwrap(), VERSION, "a second call changes nothing");
    let shipper = ship(directory.path(), &server, server.port());
    // The shipper starts before the trail exists, and the trail grows while it is shipped.
    let logger = open(directory.path());
    for number in 0..2_500 {
        logger
            .log(format!("Invoice {number} posted"))
            .entity("invoice", format!("SI-{number}"))
            .record()
            .unwrap();
    }
    logger.close(TIMEOUT).unwrap();
    let count = lines(directory.path()).len();
    wait_for_all(&shipper, count);
    stop(shipper);
    assert_same(&server, directory.path());
    let found = "SELECT count(*) FROM auditx.entry \
                 WHERE entity_id = 'SI-77' AND body->>'description' = 'Invoice 77 posted'";
    assert_eq!(server.sql(found), "1");
    assert_eq!(server.sql("SELECT count(*) FROM auditx.entry WHERE body IS NULL"), "0");
    assert_eq!(server.sql("SELECT count(*) FROM auditx.entry_default"), "0", "each month has its partition");
    let [(name, saved)] = &shipper_positions(directory.path()).unwrap()[..] else { panic!() };
    assert_eq!(*saved, count as u64);

    fs::remove_file(directory.path().join(format!(".auditx/cursors/ship-{name}"))).unwrap();
    let shipper = ship(directory.path(), &server, server.port());
    wait_for_all(&shipper, count);
    assert_eq!(shipper.progress().sent, 0, "the destination reports its last line");
    stop(shipper);
    assert_same(&server, directory.path());
}

#[test]
fn cut_connections_lose_and_duplicate_nothing() {
    let (server, directory) = (server(), trail(300));
    // Some of the cuts lose the response to a commit.
    let proxy = Proxy::before(server.port(), Fault::Cut { first: 1, more: 7 });
    let mut settings = settings();
    settings.lines = 16;
    let destination = Postgres::new(&server.url("shipper", proxy.port())).unwrap();
    let shipper = Shipper::spawn(directory.path(), destination, settings).unwrap();
    wait_for_all(&shipper, lines(directory.path()).len());
    let progress = shipper.progress();
    stop(shipper);
    assert!(proxy.cuts() > 50 && progress.retries.sum() > 50, "{} {progress:?}", proxy.cuts());
    assert!(progress.sent < progress.next, "no response to a commit was lost: {progress:?}");
    assert_same(&server, directory.path());
}

#[test]
fn a_slow_or_silent_network_loses_nothing() {
    let (server, directory) = (server(), trail(60));
    let proxy = Proxy::before(server.port(), Fault::Trickle(Duration::from_millis(1)));
    let mut settings = settings();
    // Too many for such a slow connection, so the shipper must reduce the batch. One line passes in the time
    // also if a pause is several times longer on a busy machine.
    settings.lines = 60;
    settings.timeout = Duration::from_secs(8);
    let destination = Postgres::new(&server.url("shipper", proxy.port())).unwrap();
    let shipper = Shipper::spawn(directory.path(), destination, settings).unwrap();
    assert!(
        shipper.wait_until(Instant::now() + TIMEOUT, |progress| progress.next > 0),
        "{:?}",
        shipper.progress()
    );
    for fault in [DRIP, Fault::Blackhole] {
        let before = shipper.progress().retries.timed_out;
        proxy.change(fault);
        let has_timed_out = |progress: &Progress| {
            progress.retries.timed_out > before + 1 && progress.last_error.contains("no answer")
        };
        assert!(
            shipper.wait_until(Instant::now() + TIMEOUT, has_timed_out),
            "{fault:?} {:?}",
            shipper.progress()
        );
    }
    proxy.change(Fault::None);
    wait_for_all(&shipper, lines(directory.path()).len());
    stop(shipper);
    assert_same(&server, directory.path());
}

#[test]
fn a_server_that_is_killed_repeatedly_stores_each_line_once() {
    let (mut server, directory) = (server(), trail(4_000));
    let mut settings = settings();
    settings.lines = 50;
    let destination = Postgres::new(&server.url("shipper", server.port())).unwrap();
    let shipper = Shipper::spawn(directory.path(), destination, settings).unwrap();
    let count = lines(directory.path()).len();
    for part in 1..=4 {
        let so_far = (count * part / 6) as u64;
        assert!(shipper.wait_until(Instant::now() + TIMEOUT, |progress| progress.next >= so_far));
        server.kill();
        server.start_again();
    }
    wait_for_all(&shipper, count);
    assert!(shipper.progress().retries.sum() > 0);
    stop(shipper);
    assert_same(&server, directory.path());
}

#[test]
fn two_shippers_of_one_trail_duplicate_nothing() {
    let (server, directory) = (server(), trail(2_000));
    let mut settings = settings();
    settings.lines = 20;
    let shippers = [(); 2].map(|()| {
        let destination = Postgres::new(&server.url("shipper", server.port())).unwrap();
        Shipper::spawn(directory.path(), destination, settings.clone()).unwrap()
    });
    for shipper in shippers {
        wait_for_all(&shipper, lines(directory.path()).len());
        stop(shipper);
    }
    assert_same(&server, directory.path());
}

#[test]
fn a_refused_line_is_parked_and_replaced_by_a_stub() {
    let (server, directory) = (server(), trail(1_500));
    server
        .sql("ALTER TABLE auditx.entry ADD CONSTRAINT no_seven CHECK (line NOT LIKE '%Invoice 777 posted%')");
    let shipper = ship(directory.path(), &server, server.port());
    let lines = lines(directory.path());
    wait_for_all(&shipper, lines.len());
    assert_eq!(shipper.progress().parked, 1);
    stop(shipper);
    let seq = lines.iter().position(|line| line.contains("Invoice 777 posted")).unwrap();
    let [(name, _)] = &shipper_positions(directory.path()).unwrap()[..] else { panic!() };
    assert_eq!(dead_letters(directory.path(), name).unwrap(), [seq as u64]);
    let parked = directory.path().join(format!(".auditx/dead/{name}/{seq}.json"));
    let parked: serde_json::Value = serde_json::from_slice(&fs::read(parked).unwrap()).unwrap();
    assert_eq!(parked["line"], lines[seq].as_str());
    assert!(parked["why"].as_str().unwrap().contains("no_seven"), "{parked}");
    let stub = server.sql(&format!("SELECT line FROM auditx.entry WHERE seq = {seq}"));
    let leaf = auditx_tlog::leaf_of(stub.as_bytes()).unwrap();
    assert!(leaf.is_erased && leaf.hash == auditx_tlog::leaf_hash(lines[seq].as_bytes()));
    assert_eq!(server.sql("SELECT count(*) FROM auditx.entry"), lines.len().to_string());
}

#[test]
fn errors_that_an_operator_can_fix_are_retried() {
    let (server, directory) = (server(), trail(100));
    for (break_sql, fix_sql, code) in [
        (
            "REVOKE INSERT ON auditx.entry FROM auditx_ship",
            "GRANT INSERT ON auditx.entry TO auditx_ship",
            "42501",
        ),
        (
            "ALTER TABLE auditx.entry RENAME COLUMN branch TO gone",
            "ALTER TABLE auditx.entry RENAME COLUMN gone TO branch",
            "42703",
        ),
        ("ALTER ROLE shipper PASSWORD 'other'", "ALTER ROLE shipper PASSWORD 'secret'", "28P01"),
        ("ALTER SCHEMA auditx RENAME TO gone", "ALTER SCHEMA gone RENAME TO auditx", "42P01"),
    ] {
        server.sql(break_sql);
        let shipper = ship(directory.path(), &server, server.port());
        let deadline = Instant::now() + TIMEOUT;
        let is_reported = shipper.wait_until(deadline, |progress| progress.last_error.contains(code));
        assert!(is_reported, "{break_sql}: {:?}", shipper.progress());
        server.sql(fix_sql);
        wait_for_all(&shipper, lines(directory.path()).len());
        stop(shipper);
        assert_same(&server, directory.path());
        let logger = open(directory.path());
        logger.log("one more").record().unwrap();
        logger.close(TIMEOUT).unwrap();
    }
}

#[test]
fn a_diverged_copy_ends_the_shipper_an_empty_one_is_refilled() {
    let (server, directory) = (server(), trail(200));
    let count = lines(directory.path()).len();
    let shipper = ship(directory.path(), &server, server.port());
    wait_for_all(&shipper, count);
    stop(shipper);

    server.sql("UPDATE auditx.trail SET last_leaf_hash = sha256('another')");
    let shipper = ship(directory.path(), &server, server.port());
    let ended = |progress: &Progress| progress.state == State::Ended;
    assert!(shipper.wait_until(Instant::now() + TIMEOUT, ended));
    let error = shipper.stop(Instant::now() + TIMEOUT).unwrap_err();
    assert!(error.is_diverged() && error.to_string().contains(&format!("line {}", count - 1)), "{error}");

    // Only a superuser can do this.
    let delete = "DELETE FROM auditx.entry; DELETE FROM auditx.trail";
    server.sql(&format!("SET session_replication_role = replica; {delete}"));
    let shipper = ship(directory.path(), &server, server.port());
    wait_for_all(&shipper, count);
    assert_eq!(shipper.progress().regressions, 1);
    stop(shipper);
    assert_same(&server, directory.path());
}

#[test]
fn shipped_lines_cannot_be_changed_or_removed() {
    let (server, directory) = (server(), trail(10));
    let shipper = ship(directory.path(), &server, server.port());
    wait_for_all(&shipper, lines(directory.path()).len());
    stop(shipper);
    for change in [
        "UPDATE auditx.entry SET actor = 'nobody'",
        "DELETE FROM auditx.entry",
        "TRUNCATE auditx.entry",
        "DELETE FROM auditx.trail",
        "UPDATE auditx.trail SET last_seq = 1",
    ] {
        let refusal = server.refusal(change);
        assert!(refusal.contains("insert-only") || refusal.contains("only grows"), "{change}: {refusal}");
        let refusal = server.refusal(&format!("SET ROLE auditx_ship; {change}"));
        assert!(refusal.contains("permission denied") || refusal.contains("only"), "{change}: {refusal}");
    }
    assert_same(&server, directory.path());
}

#[test]
fn a_shipper_stops_during_an_outage_and_continues_later() {
    let (mut server, directory) = (server(), trail(500));
    server.kill();
    let shipper = ship(directory.path(), &server, server.port());
    assert!(shipper.wait_until(Instant::now() + TIMEOUT, |progress| progress.retries.sum() > 2));
    shipper.stop(Instant::now()).unwrap();
    server.start_again();
    let shipper = ship(directory.path(), &server, server.port());
    wait_for_all(&shipper, lines(directory.path()).len());
    stop(shipper);
    assert_same(&server, directory.path());
}
