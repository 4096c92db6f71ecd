//! Collectors that are killed at each step, as processes: this program starts itself again.

use std::env;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;

use auditx_capture::{Collector, Outbox, Waiting};
use auditx_core::{AuditLogger, Config};
use auditx_postgres::PostgresOutbox;
use auditx_reader::Moment;
use auditx_tests::child::Child;
use auditx_tests::deadline::wait_for;
use auditx_tests::random::Random;
use rustix::process::{Signal, getpid, kill_process};
use tempfile::TempDir;
use uuid::Uuid;

use super::outbox::{App, emptied, entry, outbox_of, recorded, server_with_outbox, trail_to_collect_in};
use super::*;

/// The step at which a child is killed, its trail and its database.
const STEP: &str = "AUDITX_TEST_STEP";
const DIRECTORY: &str = "AUDITX_TEST_COLLECT_IN";
const URL: &str = "AUDITX_TEST_COLLECT_FROM";
/// The last number that was stored, or that is to be.
pub(crate) const NUMBER: &str = "AUDITX_TEST_NUMBER";
/// The kill points of the trail; see `kill_point` in `auditx-store`.
const KILL_AT: &str = "AUDITX_TEST_KILL_AT";

/// How often a process is killed at each step, unless the variable says otherwise.
pub(crate) const KILLS: usize = 20;
const KILLS_VARIABLE: &str = "AUDITX_TEST_KILLS";

pub(crate) fn kills(default: usize) -> usize {
    env::var(KILLS_VARIABLE).map_or(default, |kills| kills.parse().unwrap())
}

/// Two states of the outbox after a collector was killed during its statement that removes.
const REMOVED: &str = "removing";
const NOT_REMOVED: &str = "removing, but its session ends";

/// Makes each commit wait while another session has the lock 77, and each removal while it has 78.
pub(crate) const BLOCKS: &str = "\
    CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
        PERFORM pg_advisory_xact_lock_shared(TG_ARGV[0]::int); RETURN NULL; END $$; \
    CREATE CONSTRAINT TRIGGER wait AFTER INSERT ON invoice DEFERRABLE INITIALLY DEFERRED \
        FOR EACH ROW EXECUTE FUNCTION wait(77); \
    CREATE TRIGGER wait AFTER DELETE ON auditx.outbox EXECUTE FUNCTION wait(78)";

/// The session whose commit waits, and the one whose removal waits.
pub(crate) const COMMITS: &str =
    "SELECT pid::text FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query = 'COMMIT'";
pub(crate) const REMOVES: &str = "SELECT pid::text FROM pg_stat_activity \
    WHERE wait_event_type = 'Lock' AND query LIKE '%DELETE FROM auditx.outbox WHERE%'";

/// True while a collector waits for a notification.
pub(crate) const IS_IDLE: &str =
    "SELECT 'x' FROM pg_locks WHERE locktype = 'advisory' AND objid = 2 AND mode = 'ExclusiveLock'";

pub(crate) fn child(step: &str, server: &Server, user: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "kill_points::is_a_child", "--ignored", "--nocapture", "--test-threads=1"]);
    command.env(STEP, step).env(URL, server.url(user, server.port()));
    command
}

#[test]
#[ignore = "what a child process of the other tests does"]
fn is_a_child() {
    let Ok(step) = env::var(STEP) else { return };
    let url = env::var(URL).unwrap();
    match env::var_os(DIRECTORY) {
        Some(directory) => collect(step, Path::new(&directory), &url),
        None => application_kills::apply(&step, &url),
    }
}

pub(crate) fn kill_this_process() {
    kill_process(getpid(), Signal::KILL).unwrap();
}

/// Collects until it is killed, or the outbox is empty.
fn collect(step: String, directory: &Path, url: &str) {
    let mut config = Config::new(directory);
    if step == "recorded" {
        // What an earlier process recorded comes again, and this one is not there yet.
        let last = format!("\"Invoice {} posted\"", env::var(NUMBER).unwrap());
        config = config.on_audit("kill", move |entry| {
            if entry.line().contains(&last) {
                kill_this_process();
            }
            Ok(())
        });
    }
    let logger = AuditLogger::open(config).unwrap();
    let waits_for_ever = step == "waiting";
    let outbox = Killed { step, outbox: PostgresOutbox::open(url).unwrap() };
    let collector = Collector::spawn(&logger, outbox).unwrap();
    assert!(collector.wait_until(TIMEOUT, |progress| progress.emptied > 0 && !waits_for_ever));
}

/// An outbox that kills its process at a step.
struct Killed {
    step: String,
    outbox: PostgresOutbox,
}

impl Killed {
    fn at(&self, step: &str) {
        if self.step == step {
            kill_this_process();
        }
    }
}

impl Outbox for Killed {
    fn waiting(&mut self) -> auditx_capture::Result<Option<(Vec<Uuid>, Moment)>> {
        self.outbox.waiting()
    }

    fn take(&mut self, limit: usize) -> auditx_capture::Result<Vec<Waiting>> {
        self.at("taking");
        let rows = self.outbox.take(limit)?;
        self.at("taken");
        Ok(rows)
    }

    fn remove(&mut self, keys: &[i64]) -> auditx_capture::Result<()> {
        self.at("durable");
        if self.step == "recorded" {
            // What follows the trail kills the process.
            loop {
                std::thread::park();
            }
        }
        self.outbox.remove(keys)?;
        self.at("removed");
        Ok(())
    }

    fn refuse(&mut self, key: i64, reason: &str) -> auditx_capture::Result<()> {
        self.outbox.refuse(key, reason)
    }

    fn wait(&mut self, timeout: Duration) -> auditx_capture::Result<()> {
        self.outbox.wait(timeout)
    }
}

/// A database, a trail that only children write, and what it must have in the end.
pub(crate) struct Rounds {
    pub(crate) server: Server,
    pub(crate) app: App,
    pub(crate) admin: App,
    /// Its own trail stays empty: it only encodes.
    pub(crate) encoder: AuditLogger,
    pub(crate) directory: TempDir,
    _encoder_directory: TempDir,
    pub(crate) number: u64,
    pub(crate) expected: Vec<u64>,
}

impl Rounds {
    pub(crate) fn new() -> Self {
        let server = server_with_outbox();
        server.sql(BLOCKS);
        let (app, admin) = (App::open(&server, "app"), App::open(&server, "admin"));
        let directory = tempfile::tempdir().unwrap();
        // A new trail whose process is killed before its first checkpoint is signed may not open again. That
        // is not what is tested here.
        AuditLogger::open(Config::new(directory.path())).unwrap().close(TIMEOUT).unwrap();
        let (_encoder_directory, encoder) = trail_to_collect_in();
        let expected = Vec::new();
        Self { server, app, admin, encoder, directory, _encoder_directory, number: 0, expected }
    }

    /// Makes changes, of which one rolls back.
    pub(crate) fn change(&mut self) {
        for is_committed in [true, false, true] {
            self.number += 1;
            self.app.sql(&format!("BEGIN; INSERT INTO invoice VALUES ({})", self.number));
            self.app.store(&entry(&self.encoder, self.number));
            if is_committed {
                self.app.sql("COMMIT");
                self.expected.push(self.number);
            } else {
                self.app.sql("ROLLBACK");
            }
        }
    }

    pub(crate) fn start(&self, step: &str, kill_at: Option<String>) -> Child {
        let mut command = child(step, &self.server, "collector");
        command.env(DIRECTORY, self.directory.path()).env(NUMBER, self.number.to_string());
        if let Some(kill_at) = kill_at {
            command.env(KILL_AT, kill_at);
        }
        Child::start(&mut command)
    }

    /// Waits until the session of a killed process has ended.
    pub(crate) fn forget(&self) {
        let is_gone =
            "SELECT 'x' WHERE NOT EXISTS (SELECT FROM pg_stat_activity WHERE usename = 'collector')";
        wait_for("the session of the killed process to end", || self.admin.value(is_gone));
    }

    pub(crate) fn waiting(&self) -> String {
        self.admin.value("SELECT count(*)::text FROM auditx.outbox").unwrap()
    }

    /// Asserts that the trail has what committed, each once and in order, and the outbox nothing.
    pub(crate) fn finish(self, step: &str) {
        let logger = AuditLogger::open(Config::new(self.directory.path())).unwrap();
        emptied(&Collector::spawn(&logger, outbox_of(&self.server)).unwrap(), &self.server);
        logger.close(TIMEOUT).unwrap();
        assert_eq!(recorded(self.directory.path()), self.expected, "{step}");
        let refused = self.server.sql("SELECT count(*) FROM auditx.outbox_refused");
        assert_eq!(refused, "0", "{step}");
    }
}

/// Runs a collector that kills itself at this step, often enough; the trail's kill points have a `:`.
fn kill_collectors(step: &str) {
    let (mut rounds, mut random) = (Rounds::new(), Random::seeded());
    let (kills, mut killed, mut ended) = (kills(KILLS), 0, 0);
    while killed < kills {
        rounds.change();
        // The first passes are those of opening the trail.
        let kill_at = step.contains(':').then(|| format!("{step}#{}", 1 + random.below(2)));
        let (status, output) = rounds.start(step, kill_at).end();
        match status.signal() {
            Some(9) => killed += 1,
            _ if status.success() => ended += 1,
            _ => panic!("{step}: {status} {output:?}"),
        }
        assert!(ended <= kills * 4, "{step}: {killed} kills, {ended} collectors ended");
        rounds.forget();
    }
    rounds.finish(step);
}

#[test]
fn a_collector_killed_before_it_takes_loses_nothing() {
    kill_collectors("taking");
}

#[test]
fn a_collector_killed_before_it_records_loses_nothing() {
    kill_collectors("taken");
}

#[test]
fn a_collector_killed_after_an_entry_is_in_the_trail_records_it_once() {
    kill_collectors("recorded");
}

#[test]
fn a_collector_killed_while_its_entries_are_written_records_them_once() {
    kill_collectors("drain: written");
}

#[test]
fn a_collector_killed_when_its_entries_are_synced_records_them_once() {
    kill_collectors("sync: done");
}

#[test]
fn a_collector_killed_before_it_removes_records_once() {
    kill_collectors("durable");
}

#[test]
fn a_collector_killed_after_it_removed_records_once() {
    kill_collectors("removed");
}

#[test]
fn a_collector_killed_while_the_server_removes_records_once() {
    let mut rounds = Rounds::new();
    let blocker = App::open(&rounds.server, "admin");
    for step in [REMOVED, NOT_REMOVED].iter().cycle().take(2 * kills(KILLS)) {
        rounds.change();
        blocker.sql("SELECT pg_advisory_lock(78)");
        let child = rounds.start(step, None);
        let pid = wait_for("the collector to remove", || rounds.admin.value(REMOVES));
        child.signal(Signal::KILL);
        assert_eq!(child.end().0.signal(), Some(9));
        if *step == NOT_REMOVED {
            rounds.admin.sql(&format!("SELECT pg_terminate_backend({pid}, 10000)"));
        }
        blocker.sql("SELECT pg_advisory_unlock(78)");
        rounds.forget();
        // The server need not notice that a client is gone before it has removed the rows.
        assert_eq!(rounds.waiting() == "0", *step == REMOVED, "{step}");
    }
    rounds.finish("removing");
}

#[test]
fn a_collector_killed_while_it_waits_loses_nothing() {
    let (mut rounds, mut random) = (Rounds::new(), Random::seeded());
    for _ in 0..kills(KILLS) {
        let child = rounds.start("waiting", None);
        wait_for("the collector to wait", || rounds.admin.value(IS_IDLE));
        // Wakes it, so that it is killed somewhere in a round.
        if random.below(2) == 0 {
            rounds.change();
        }
        child.signal(Signal::KILL);
        assert_eq!(child.end().0.signal(), Some(9));
        rounds.forget();
        rounds.change();
    }
    rounds.finish("waiting");
}
