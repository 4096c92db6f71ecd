//! Applications and collectors that are killed, as processes: this program starts itself again.

use std::env;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;

use auditx_tests::child::Child;
use auditx_tests::random::Random;
use rustix::process::{Signal, getpid, kill_process};

use super::*;

/// The role of a child, and its directory.
const ROLE: &str = "AUDITX_SQLITE_TEST_ROLE";
const DIRECTORY: &str = "AUDITX_SQLITE_TEST_DIRECTORY";
/// What a child that is an application stores.
const ENTRY: &str = "AUDITX_SQLITE_TEST_ENTRY";
/// The kill points of the trail; see `kill_point` in `auditx-store`.
const KILL_AT: &str = "AUDITX_TEST_KILL_AT";

/// How often a collector is killed at each step.
const KILLS: u32 = 100;

fn child(role: &str, directory: &Path) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "outbox::tests::kills::is_a_child", "--ignored", "--nocapture"]);
    command.env(ROLE, role).env(DIRECTORY, directory);
    command
}

/// Waits for a line, after those of the test harness.
fn wait_for_line(child: &Child, line: &str) {
    while child.next_line().expect("the child runs") != line {}
}

#[test]
#[ignore = "what a child process of the other tests does"]
fn is_a_child() {
    let Ok(role) = env::var(ROLE) else { return };
    let directory = PathBuf::from(env::var(DIRECTORY).unwrap());
    let outbox = || SqliteOutbox::open(directory.join("erp.db"));
    match role.as_str() {
        "stores" | "commits" => apply(&directory, role == "commits"),
        "holder" => {
            let _outbox = outbox().unwrap();
            println!("\nopened");
            sleep_until_killed();
        }
        step => collect(step, &directory, outbox().unwrap()),
    }
}

fn sleep_until_killed() -> ! {
    loop {
        thread::park();
    }
}

fn kill_this_process() {
    kill_process(getpid(), Signal::KILL).unwrap();
}

/// Stores an entry, commits it or not, and says so.
fn apply(directory: &Path, commits: bool) {
    let mut connection = Connection::open(directory.join("erp.db")).unwrap();
    // SQLite writes changed pages before the commit, as it does in a large transaction.
    connection.pragma_update(None, "cache_size", 0).unwrap();
    let entry = EncodedEntry::parse(env::var(ENTRY).unwrap()).unwrap();
    let transaction = connection.transaction().unwrap();
    store(&transaction, &entry).unwrap();
    if commits {
        transaction.commit().unwrap();
    }
    println!("\ndone");
    sleep_until_killed();
}

/// Collects until it is killed, or the outbox is empty.
fn collect(step: &str, directory: &Path, outbox: SqliteOutbox) {
    let mut config = Config::new(directory.join("logs"));
    if step == "recorded" {
        config = config.on_audit("kill", |_| {
            kill_this_process();
            Ok(())
        });
    }
    if step == "removing" {
        let hook = || {
            kill_this_process();
            false
        };
        outbox.connection.commit_hook(Some(hook)).unwrap();
    }
    let logger = AuditLogger::open(config).unwrap();
    let collector = Collector::spawn(&logger, Killed { step: step.to_owned(), outbox }).unwrap();
    emptied(&collector);
}

/// An outbox that kills its process at a step.
struct Killed {
    step: String,
    outbox: SqliteOutbox,
}

impl Killed {
    fn at(&self, step: &str) {
        if self.step == step {
            kill_this_process();
        }
    }
}

impl Outbox for Killed {
    fn waiting(&mut self) -> Result<Option<(Vec<Uuid>, Moment)>> {
        self.outbox.waiting()
    }

    fn take(&mut self, limit: usize) -> Result<Vec<Waiting>> {
        let rows = self.outbox.take(limit)?;
        self.at("taken");
        Ok(rows)
    }

    fn remove(&mut self, keys: &[i64]) -> Result<()> {
        self.at("durable");
        self.outbox.remove(keys)?;
        self.at("removed");
        Ok(())
    }

    fn refuse(&mut self, key: i64, reason: &str) -> Result<()> {
        self.outbox.refuse(key, reason)
    }

    fn wait(&mut self, timeout: Duration) -> Result<()> {
        self.outbox.wait(timeout)
    }
}

/// A database, a trail that only children write, and what it must have in the end.
struct Loop {
    /// Its own trail stays empty: its logger only encodes.
    application: Application,
    number: u32,
    expected: Vec<String>,
}

impl Loop {
    fn new(mode: &str) -> Self {
        Self { application: Application::new(mode), number: 0, expected: Vec::new() }
    }

    fn directory(&self) -> PathBuf {
        self.application.directory.path().join("killed")
    }

    /// Makes changes, of which some roll back.
    fn change(&mut self) {
        for is_committed in [true, false, true] {
            self.number += 1;
            let transaction = self.application.changed(self.number);
            if is_committed {
                transaction.commit().unwrap();
                self.expected.push(format!("customer {}", self.number));
            }
        }
    }

    /// Runs a collector that kills itself at this step, often enough; the trail's kill points have a `:`.
    fn kill(mut self, step: &str, kills: u32) {
        let mut random = Random::seeded();
        fs::create_dir(self.directory()).unwrap();
        let link = self.directory().join("erp.db");
        symlink(self.application.database(), link).unwrap();
        let trail = self.directory().join("logs");
        // A new trail whose process is killed before its first checkpoint is signed may not open again. That
        // is not what is tested here.
        AuditLogger::open(Config::new(&trail)).unwrap().close(TIMEOUT).unwrap();
        let (mut killed, mut ended) = (0, 0);
        while killed < kills {
            self.change();
            let mut command = child(step, &self.directory());
            if step.contains(':') {
                // The first passes are those of opening the trail.
                command.env(KILL_AT, format!("{step}#{}", 1 + random.below(2)));
            }
            let (status, output) = Child::start(&mut command).end();
            match status.signal() {
                Some(9) => killed += 1,
                _ if status.success() => ended += 1,
                _ => panic!("{step}: {status} {output:?}"),
            }
            assert!(ended <= kills * 2, "{step}: {killed} kills, {ended} collectors ended");
        }
        let Self { application, expected, .. } = self;
        let logger = AuditLogger::open(Config::new(&trail)).unwrap();
        let outbox = SqliteOutbox::open(application.database()).unwrap();
        emptied(&Collector::spawn(&logger, outbox).unwrap());
        logger.close(TIMEOUT).unwrap();
        assert_eq!(recorded(&trail), expected, "{step}");
        assert_eq!(application.rows(), 0, "{step}");
    }
}

fn kill_in_both_modes(step: &str) {
    for mode in MODES {
        Loop::new(mode).kill(step, KILLS / 2);
    }
}

#[test]
fn a_collector_killed_before_it_records_loses_nothing() {
    kill_in_both_modes("taken");
}

#[test]
fn a_collector_killed_after_an_entry_is_in_the_trail_records_it_once() {
    kill_in_both_modes("recorded");
}

#[test]
fn a_collector_killed_while_its_entries_are_written_records_them_once() {
    kill_in_both_modes("drain: written");
}

#[test]
fn a_collector_killed_when_its_entries_are_synced_records_them_once() {
    kill_in_both_modes("sync: done");
}

#[test]
fn a_collector_killed_before_it_removes_records_once() {
    kill_in_both_modes("durable");
}

#[test]
fn a_collector_killed_before_its_removal_commits_records_once() {
    kill_in_both_modes("removing");
}

#[test]
fn a_collector_killed_after_it_removed_records_once() {
    kill_in_both_modes("removed");
}

#[test]
fn what_an_application_stored_is_recorded_if_it_committed_before_it_was_killed() {
    for mode in MODES {
        let application = Application::new(mode);
        let mut expected = Vec::new();
        for number in 0..40 {
            let description = format!("customer {number}");
            let entry = application.logger.log(description.as_str()).encode().unwrap();
            let commits = number % 2 == 1;
            let role = if commits { "commits" } else { "stores" };
            let mut command = child(role, application.directory.path());
            let running = Child::start(command.env(ENTRY, entry.to_string()));
            wait_for_line(&running, "done");
            if commits {
                expected.push(description);
            }
            running.signal(Signal::KILL);
            assert_eq!(running.end().0.signal(), Some(9));
        }
        assert_eq!(application.collected(), expected);
    }
}

#[test]
fn the_lock_ends_with_a_killed_collector() {
    let application = Application::new("WAL");
    let holder = Child::start(&mut child("holder", application.directory.path()));
    wait_for_line(&holder, "opened");
    let error = SqliteOutbox::open(application.database()).unwrap_err();
    assert!(error.is_taken() && error.to_string().contains(&holder.id().to_string()), "{error}");
    holder.signal(Signal::KILL);
    assert_eq!(holder.end().0.signal(), Some(9));
    SqliteOutbox::open(application.database()).unwrap();
}
