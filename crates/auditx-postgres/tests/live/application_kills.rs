//! Applications that are killed at each step of a transaction, as processes: those of [`kill_points`].

use std::env;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;

use auditx_capture::Collector;
use auditx_core::{AuditLogger, Config, EncodedEntry};
use auditx_tests::child::Child;
use auditx_tests::deadline::wait_for;
use rustix::process::Signal;

use super::kill_points::{COMMITS, KILLS, NUMBER, Rounds, child, kill_this_process, kills};
use super::outbox::{App, emptied, entry, outbox_of};
use super::*;

/// What a child stores.
const ENTRY: &str = "AUDITX_TEST_ENTRY";

/// Makes a change with its entry until it is killed.
pub(crate) fn apply(step: &str, url: &str) {
    let at = |here: &str| {
        if step == here {
            kill_this_process();
        }
    };
    let app = App::connect(url);
    app.sql(&format!("BEGIN; INSERT INTO invoice VALUES ({})", env::var(NUMBER).unwrap()));
    at("changed");
    app.store(&EncodedEntry::parse(env::var(ENTRY).unwrap()).unwrap());
    at("stored");
    app.sql("COMMIT");
    at("committed");
}

/// Applications that are killed, and a collector that runs meanwhile.
fn kill_applications(step: &str, kill: impl Fn(&Rounds, &mut Command, usize) -> bool) {
    let mut rounds = Rounds::new();
    let logger = AuditLogger::open(Config::new(rounds.directory.path())).unwrap();
    let collector = Collector::spawn(&logger, outbox_of(&rounds.server)).unwrap();
    for round in 0..kills(KILLS) {
        rounds.number += 1;
        let text = entry(&rounds.encoder, rounds.number).to_string();
        let mut command = child(step, &rounds.server, "app");
        command.env(ENTRY, text).env(NUMBER, rounds.number.to_string());
        if kill(&rounds, &mut command, round) {
            rounds.expected.push(rounds.number);
        }
        // What commits later must also follow in the trail.
        rounds.change();
    }
    emptied(&collector, &rounds.server);
    drop(collector);
    logger.close(TIMEOUT).unwrap();
    let committed = rounds.server.sql("SELECT string_agg(number::text, ',' ORDER BY number) FROM invoice");
    let expected: Vec<String> = rounds.expected.iter().map(u64::to_string).collect();
    assert_eq!(committed, expected.join(","), "{step}");
    rounds.finish(step);
}

/// Starts a process and waits until it has killed itself.
fn kills_itself(command: &mut Command) {
    assert_eq!(Child::start(command).end().0.signal(), Some(9));
}

#[test]
fn an_application_killed_before_it_stores_leaves_nothing() {
    kill_applications("changed", |_, command, _| {
        kills_itself(command);
        false
    });
}

#[test]
fn an_application_killed_before_it_commits_leaves_nothing() {
    kill_applications("stored", |_, command, _| {
        kills_itself(command);
        false
    });
}

#[test]
fn an_application_killed_after_it_committed_leaves_its_entry() {
    kill_applications("committed", |_, command, _| {
        kills_itself(command);
        true
    });
}

#[test]
fn an_application_killed_while_the_server_commits_leaves_its_change_and_entry_or_neither() {
    kill_applications("committing", |rounds, command, round| {
        let blocker = App::open(&rounds.server, "admin");
        blocker.sql("SELECT pg_advisory_lock(77)");
        let child = Child::start(command);
        let pid = wait_for("the application to commit", || rounds.admin.value(COMMITS));
        child.signal(Signal::KILL);
        assert_eq!(child.end().0.signal(), Some(9));
        let is_committed = round % 2 == 0;
        if is_committed {
            blocker.sql("SELECT pg_advisory_unlock(77)");
            let change = format!("SELECT 'x' FROM invoice WHERE number = {}", rounds.number);
            wait_for("the commit", || rounds.admin.value(&change));
        } else {
            rounds.admin.sql(&format!("SELECT pg_terminate_backend({pid}, 10000)"));
            blocker.sql("SELECT pg_advisory_unlock(77)");
        }
        is_committed
    });
}
