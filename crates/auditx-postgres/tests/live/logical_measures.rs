//! Prints numbers for the documentation: `cargo test --release -p auditx-postgres -- --ignored --nocapture`.

use std::path::PathBuf;
use std::process::Command;

use auditx_capture::Collector;
use auditx_postgres::capture::Table;
use tempfile::TempDir;

use super::logical::{enable, log_of};
use super::outbox::{App, trail_to_collect_in};
use super::*;

const ROWS: u64 = 20_000;

fn pgbench() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut found: Vec<PathBuf> = versions
        .map(|version| version.unwrap().path().join("bin/pgbench"))
        .filter(|path| path.exists())
        .collect();
    found.sort();
    found.pop().unwrap_or_else(|| "pgbench".into())
}

/// Starts a server that syncs, with accounts.
fn accounts(settings: &'static [&'static str]) -> Server {
    let server = Server::start_with(settings);
    server.sql(&format!(
        "CREATE TABLE account (id int PRIMARY KEY, owner text, branch text, \
         opened timestamptz DEFAULT now(), \
         balance numeric, note text); INSERT INTO account SELECT n, 'owner ' || n, 'YGN', now(), 0, \
         repeat('x', 100) FROM generate_series(1, {ROWS}) n"
    ));
    server.sql("VACUUM ANALYZE account");
    server.sql("CHECKPOINT");
    server
}

fn collected(server: &Server) -> (TempDir, Collector) {
    enable(server, &Table::new("account", "finance")).unwrap();
    server.sql("CREATE ROLE collector LOGIN REPLICATION PASSWORD 'secret' IN ROLE auditx_collect");
    let (directory, logger) = trail_to_collect_in();
    let collector = Collector::spawn(&logger, log_of(server)).unwrap();
    (directory, collector)
}

/// Returns updates per second, with 8 clients.
fn updates(server: &Server, directory: &TempDir) -> f64 {
    let script = directory.path().join("update.sql");
    let sql =
        format!("\\set id random(1, {ROWS})\nUPDATE account SET balance = balance + 1 WHERE id = :id;\n");
    fs::write(&script, sql).unwrap();
    let output = Command::new(pgbench())
        .args(["-n", "-M", "prepared", "-c", "8", "-T", "5", "-f"])
        .arg(&script)
        .arg(server.url("admin", server.port()))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("tps = "));
    line.unwrap_or_else(|| panic!("{text} {:?}", output.stderr)).split(' ').next().unwrap().parse().unwrap()
}

#[test]
#[ignore = "measures"]
fn measure_the_cost_of_an_update() {
    let plain = accounts(&["shared_buffers=128MB", "wal_level=replica"]);
    let unread = accounts(&["shared_buffers=128MB", "wal_level=logical"]);
    let read = accounts(&["shared_buffers=128MB", "wal_level=logical"]);
    enable(&unread, &Table::new("account", "finance")).unwrap();
    let (_trail, collector) = collected(&read);
    let scripts = tempfile::tempdir().unwrap();
    let mut ratios = [Vec::new(), Vec::new()];
    for _ in 0..5 {
        let [without, unread, with] = [&plain, &unread, &read].map(|server| updates(server, &scripts));
        eprintln!("{without:.0} updates/s, in the log {unread:.0}, collected {with:.0}");
        ratios[0].push(unread / without);
        ratios[1].push(with / without);
    }
    for (what, mut ratios) in ["in the log", "collected"].into_iter().zip(ratios) {
        ratios.sort_by(f64::total_cmp);
        eprintln!("{what}: median ratio {:.3}, all {ratios:.3?}", ratios[ratios.len() / 2]);
    }
    eprintln!("{:?}", collector.progress());
}

#[test]
#[ignore = "measures"]
fn measure_reading_the_log() {
    let server = accounts(&["shared_buffers=128MB", "wal_level=logical", "fsync=off"]);
    let (_trail, collector) = collected(&server);
    drop(collector);
    let app = App::open(&server, "admin");
    for round in 0..10 {
        app.sql(&format!("UPDATE account SET balance = balance + {round} + 1"));
    }
    let (directory, logger) = trail_to_collect_in();
    let outbox = wait_for_log(&server);
    let begin = Instant::now();
    let collector = Collector::spawn(&logger, outbox).unwrap();
    assert!(collector.wait_until(TIMEOUT, |progress| progress.collected == 10 * ROWS));
    eprintln!("{:.0} changes/s collected", 10.0 * ROWS as f64 / begin.elapsed().as_secs_f64());
    let mut delays = Vec::new();
    for number in 1..=500 {
        let before = collector.progress().collected;
        app.sql(&format!("UPDATE account SET balance = balance + 1 WHERE id = {number}"));
        let begin = Instant::now();
        assert!(collector.wait_until(TIMEOUT, |progress| progress.collected > before));
        delays.push(begin.elapsed());
    }
    delays.sort_unstable();
    eprintln!("commit to durable in the trail: median {:?}, 99 % {:?}", delays[250], delays[495]);
    drop((collector, logger, directory));
}

fn wait_for_log(server: &Server) -> auditx_postgres::LogOutbox {
    let url = server.url("collector", server.port());
    auditx_tests::deadline::wait_for("the slot", || auditx_postgres::LogOutbox::open(&url).ok())
}
