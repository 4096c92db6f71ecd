//! Servers that are killed at each step of a collector and of an application.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use auditx_capture::{Collector, Outbox, Waiting};
use auditx_core::{AuditLogger, Config};
use auditx_postgres::PostgresOutbox;
use auditx_reader::Moment;
use auditx_tests::deadline::{wait_for, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use uuid::Uuid;

use super::kill_points::{BLOCKS, COMMITS, IS_IDLE, REMOVES, kills};
use super::outbox::{App, entry, outbox_of, recorded, server_with_outbox};
use super::*;

/// How often the server is killed at each step by default. Each time it recovers, which takes most of a
/// second.
const KILLS: usize = 3;

/// The session of the collector.
const COLLECTOR: &str =
    "SELECT pid::text FROM pg_locks WHERE locktype = 'advisory' AND objid = 1 AND granted";

/// What is killed.
#[derive(Debug, Clone, Copy)]
enum Kill {
    /// The server with all its processes.
    All,
    /// The first process of the server; the others end when they notice.
    First,
    /// The process of the collector's session. The server then ends all others and recovers.
    Session,
}

/// The server, and the step of the collector at which it is killed next.
struct Target {
    server: Mutex<Server>,
    /// While it is locked, the collector stops at its next step.
    armed: Mutex<Option<(&'static str, Kill)>>,
    kills: AtomicUsize,
}

impl Target {
    fn app(&self, user: &str) -> App {
        App::open(&self.server.lock().unwrap(), user)
    }

    /// Kills the server and waits until it answers again.
    fn kill(&self, kill: Kill) {
        let witness = self.app("admin");
        // A collector that connects waits for the server below.
        let session = matches!(kill, Kill::Session)
            .then(|| wait_for("the collector to connect", || witness.value(COLLECTOR)));
        let mut server = self.server.lock().unwrap();
        if let Some(pid) = session {
            kill_process(Pid::from_raw(pid.parse().unwrap()).unwrap(), Signal::KILL).unwrap();
            wait_until("the end of all sessions", || witness.try_sql("SELECT 1").is_err());
            server.wait();
        } else {
            match kill {
                Kill::All => server.kill_all(),
                _ => server.kill(),
            }
            server.start_again();
        }
        // ORDERING: the mutex of the server is what makes others wait for it.
        self.kills.fetch_add(1, Ordering::Relaxed);
    }

    /// Kills the server if it is to be killed at this step.
    fn at(&self, step: &str) {
        let armed = self.armed.lock().unwrap().take_if(|(armed, _)| *armed == step);
        if let Some((_, kill)) = armed {
            self.kill(kill);
        }
    }
}

/// An outbox whose server is killed at a step.
struct Disturbed {
    target: Arc<Target>,
    outbox: PostgresOutbox,
}

impl Outbox for Disturbed {
    fn waiting(&mut self) -> auditx_capture::Result<Option<(Vec<Uuid>, Moment)>> {
        // Attempts while the server starts would only make the pauses longer.
        drop(self.target.server.lock());
        self.outbox.waiting()
    }

    fn take(&mut self, limit: usize) -> auditx_capture::Result<Vec<Waiting>> {
        self.target.at("taking");
        let rows = self.outbox.take(limit)?;
        if !rows.is_empty() {
            self.target.at("taken");
        }
        Ok(rows)
    }

    fn remove(&mut self, keys: &[i64]) -> auditx_capture::Result<()> {
        self.target.at("durable");
        self.outbox.remove(keys)?;
        self.target.at("removed");
        Ok(())
    }

    fn refuse(&mut self, key: i64, reason: &str) -> auditx_capture::Result<()> {
        self.outbox.refuse(key, reason)
    }

    fn wait(&mut self, timeout: Duration) -> auditx_capture::Result<()> {
        self.outbox.wait(timeout)
    }
}

/// A database, a trail, and what the trail must have in the end.
struct Rounds {
    target: Arc<Target>,
    collector: Collector,
    logger: AuditLogger,
    directory: TempDir,
    number: u64,
    expected: Vec<u64>,
}

impl Rounds {
    fn new() -> Self {
        let server = server_with_outbox();
        server.sql(BLOCKS);
        let outbox = outbox_of(&server);
        let target = Arc::new(Target {
            server: Mutex::new(server),
            armed: Mutex::new(None),
            kills: AtomicUsize::new(0),
        });
        let directory = tempfile::tempdir().unwrap();
        let hooked = target.clone();
        let config = Config::new(directory.path()).on_audit("kill", move |_| {
            hooked.at("recorded");
            Ok(())
        });
        let logger = AuditLogger::open(config).unwrap();
        let outbox = Disturbed { target: target.clone(), outbox };
        let collector = Collector::spawn(&logger, outbox).unwrap();
        Self { target, collector, logger, directory, number: 0, expected: Vec::new() }
    }

    fn begin(&mut self, app: &App) {
        self.number += 1;
        app.sql(&format!("BEGIN; INSERT INTO invoice VALUES ({})", self.number));
        app.store(&entry(&self.logger, self.number));
    }

    /// Makes changes: one rolls back, and one is in a transaction that is left open.
    fn change(&mut self) -> App {
        let [app, open] = [(); 2].map(|()| self.target.app("app"));
        for end in ["COMMIT", "ROLLBACK", "COMMIT"] {
            self.begin(&app);
            app.sql(end);
            if end == "COMMIT" {
                self.expected.push(self.number);
            }
        }
        self.begin(&open);
        open
    }

    /// Kills the server when the collector comes to this step.
    fn kill_at(&mut self, step: &'static str, kill: Kill) {
        let (target, kills) = (self.target.clone(), self.target.kills.load(Ordering::Relaxed));
        let mut armed = target.armed.lock().unwrap();
        let _open = self.change();
        *armed = Some((step, kill));
        drop(armed);
        wait_until("the kill", || target.kills.load(Ordering::Relaxed) > kills);
    }

    /// Kills the server while its statement that removes rows has not committed.
    fn kill_while_it_removes(&mut self, kill: Kill) {
        let [blocker, admin] = [(); 2].map(|()| self.target.app("admin"));
        blocker.sql("SELECT pg_advisory_lock(78)");
        let _open = self.change();
        wait_for("the collector to remove", || admin.value(REMOVES));
        self.target.kill(kill);
    }

    fn kill_while_the_collector_waits(&mut self, kill: Kill) {
        // A transaction that is open would keep the collector awake.
        drop(self.change());
        let admin = self.target.app("admin");
        wait_for("the collector to wait", || admin.value(IS_IDLE));
        self.target.kill(kill);
    }

    /// Kills the server while a commit is sent and not done. It never is.
    fn kill_while_it_commits(&mut self, kill: Kill) {
        let [app, blocker, admin] = ["app", "admin", "admin"].map(|user| self.target.app(user));
        let _open = self.change();
        blocker.sql("SELECT pg_advisory_lock(77)");
        self.begin(&app);
        std::thread::scope(|scope| {
            let committing = scope.spawn(move || app.try_sql("COMMIT"));
            wait_for("the application to commit", || admin.value(COMMITS));
            self.target.kill(kill);
            assert!(committing.join().unwrap().is_err());
        });
    }

    /// Waits until the collector finds nothing.
    fn wait_until_empty(&self) {
        let before = self.collector.progress().emptied;
        let is_done = self.collector.wait_until(TIMEOUT, |progress| progress.emptied > before + 1);
        assert!(is_done, "{:?}", self.collector.progress());
    }

    /// Asserts that the trail has what committed, each once and in order, and the outbox nothing.
    fn finish(self) {
        self.wait_until_empty();
        let server = self.target.server.lock().unwrap();
        assert_eq!(server.sql("SELECT count(*) FROM auditx.outbox"), "0");
        let committed = server.sql("SELECT string_agg(number::text, ',' ORDER BY number) FROM invoice");
        let expected: Vec<String> = self.expected.iter().map(u64::to_string).collect();
        assert_eq!(committed, expected.join(","));
        assert_eq!(recorded(self.directory.path()), self.expected);
        assert_eq!(self.collector.progress().refused, 0);
    }
}

/// Kills the server, often enough and in each of the ways.
fn kill_servers(kill: impl Fn(&mut Rounds, Kill)) {
    let kills = kills(KILLS);
    let mut rounds = Rounds::new();
    for what in [Kill::All, Kill::First, Kill::Session].into_iter().cycle().take(kills) {
        kill(&mut rounds, what);
        // Each failure in a row makes the pause of the collector longer.
        if rounds.target.kills.load(Ordering::Relaxed).is_multiple_of(2) {
            rounds.wait_until_empty();
        }
    }
    assert_eq!(rounds.target.kills.load(Ordering::Relaxed), kills);
    rounds.finish();
}

#[test]
fn a_server_killed_before_the_collector_takes_loses_nothing() {
    kill_servers(|rounds, kill| rounds.kill_at("taking", kill));
}

#[test]
fn a_server_killed_before_the_collector_records_loses_nothing() {
    kill_servers(|rounds, kill| rounds.kill_at("taken", kill));
}

#[test]
fn a_server_killed_after_an_entry_is_in_the_trail_repeats_nothing() {
    kill_servers(|rounds, kill| rounds.kill_at("recorded", kill));
}

#[test]
fn a_server_killed_before_the_collector_removes_repeats_nothing() {
    kill_servers(|rounds, kill| rounds.kill_at("durable", kill));
}

#[test]
fn a_server_killed_before_a_removal_commits_repeats_nothing() {
    kill_servers(Rounds::kill_while_it_removes);
}

#[test]
fn a_server_killed_after_the_collector_removed_repeats_nothing() {
    kill_servers(|rounds, kill| rounds.kill_at("removed", kill));
}

#[test]
fn a_server_killed_while_the_collector_waits_loses_nothing() {
    kill_servers(Rounds::kill_while_the_collector_waits);
}

#[test]
fn a_server_killed_before_a_commit_is_done_leaves_neither_change_nor_entry() {
    kill_servers(Rounds::kill_while_it_commits);
}
