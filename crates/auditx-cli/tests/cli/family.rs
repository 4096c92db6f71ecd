//! Tests of trails that are read together: the instances below a log directory.

mod checks;
mod choice;
mod following;
mod forms;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use auditx_core::{AuditLogger, BusinessModule, Clock, Config};
use auditx_tests::deadline::TIMEOUT;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::program::{Ended, auditx};
use crate::trail::{directory, parsed};

/// 2026-11-24T10:00:00Z
const TEN: u64 = 1_795_514_400;

/// A clock that the test sets.
#[derive(Debug, Clone, Default)]
struct SetClock(Arc<AtomicU64>);

impl Clock for SetClock {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.0.load(Ordering::Relaxed))
    }
}

/// An open instance below a log directory.
struct Instance {
    logger: AuditLogger,
    clock: SetClock,
}

impl Instance {
    fn open(log_dir: &Path, name: &str) -> Self {
        let clock = SetClock::default();
        clock.0.store(TEN, Ordering::Relaxed);
        let config = Config::new(log_dir).instance(name).max_file_bytes(65_535).clock(clock.clone());
        Self { logger: AuditLogger::open(config).unwrap(), clock }
    }

    /// Records an entry this many seconds after ten o'clock.
    fn record(&self, second: u64, description: &str) {
        self.clock.0.store(TEN + second, Ordering::Relaxed);
        let entry = self.logger.log(description).module(BusinessModule::Sales).user("admin");
        let entry = entry.entity("order", second.to_string()).amount(i64::try_from(second % 3).unwrap());
        entry.new_values(json!({"state": description})).record().unwrap();
    }

    fn close(self) {
        self.logger.close(TIMEOUT).unwrap();
    }
}

/// Creates a closed instance with one entry at each of these seconds, whose description is the second.
fn instance(log_dir: &Path, name: &str, seconds: &[u64]) {
    let instance = Instance::open(log_dir, name);
    for second in seconds {
        instance.record(*second, &second.to_string());
    }
    instance.close();
}

/// Creates two workers: one and two, with six entries in turn, of which the seconds 5 are equal.
fn workers() -> TempDir {
    let log_dir = directory();
    instance(log_dir.path(), "one", &[1, 4, 5]);
    instance(log_dir.path(), "two", &[2, 3, 5]);
    log_dir
}

/// Runs a command on the entries of the module sales, which excludes control records.
fn sales(arguments: &[&str], log_dir: &Path) -> Ended {
    auditx(&[arguments, &["--module", "sales"]].concat(), log_dir)
}

/// Returns the trail and the description of each line.
fn rows(out: &str) -> Vec<(String, String)> {
    let text = |line: &Value, name: &str| line[name].as_str().unwrap_or_default().to_owned();
    parsed(out).iter().map(|line| (text(line, "trail"), text(line, "description"))).collect()
}

/// Returns the descriptions, one after the other.
fn order(out: &str) -> String {
    rows(out).into_iter().map(|(_, description)| description).collect::<Vec<_>>().join(" ")
}

#[test]
fn entries_are_in_the_order_of_their_times() {
    let log_dir = workers();
    let query = sales(&["query"], log_dir.path());
    assert_eq!((query.status, query.err.as_str()), (Some(0), ""));
    let expected = [("one", "1"), ("two", "2"), ("two", "3"), ("one", "4"), ("one", "5"), ("two", "5")];
    assert_eq!(rows(&query.out), expected.map(|(trail, text)| (trail.to_owned(), text.to_owned())));
}

#[test]
fn newest_first_is_the_reverse() {
    let log_dir = workers();
    let mut newest_first = rows(&sales(&["query", "--order", "desc"], log_dir.path()).out);
    newest_first.reverse();
    assert_eq!(newest_first, rows(&sales(&["query"], log_dir.path()).out));
}

#[test]
fn a_limit_counts_the_entries_of_all_trails() {
    let log_dir = workers();
    let first = sales(&["query", "-n", "4"], log_dir.path());
    assert_eq!(order(&first.out), "1 2 3 4");
    assert_eq!(
        first.err,
        "auditx: there may be more entries: raise --limit, or continue in one trail, with --trail\n"
    );
    let last = sales(&["query", "--order", "desc", "-n", "3"], log_dir.path());
    assert_eq!(order(&last.out), "5 5 4");
    let none = sales(&["query", "-n", "0"], log_dir.path());
    assert_eq!(none.out, "");
    let all = sales(&["query", "-n", "7"], log_dir.path());
    assert_eq!((all.err.as_str(), rows(&all.out).len()), ("", 6));
}

/// Several segments of each trail, and more text than waits in a queue.
#[test]
fn many_entries_stay_in_order() {
    let log_dir = directory();
    let text = |second: u64| format!("{second} {}", "x".repeat(1_700));
    for (name, remainder) in [("a", 0), ("b", 1), ("c", 2)] {
        let instance = Instance::open(log_dir.path(), name);
        (0..200)
            .map(|number| 3 * number + remainder)
            .for_each(|second| instance.record(second, &text(second)));
        instance.close();
    }
    let numbers = |arguments: &[&str]| -> Vec<u64> {
        let out = sales(arguments, log_dir.path()).out;
        let number = |(_, text): (String, String)| text.split(' ').next().unwrap().parse().unwrap();
        rows(&out).into_iter().map(number).collect()
    };
    assert_eq!(numbers(&["query"]), (0..600).collect::<Vec<_>>());
    assert_eq!(numbers(&["query", "--threads", "1"]), (0..600).collect::<Vec<_>>());
    assert_eq!(numbers(&["query", "--order", "desc"]), (0..600).rev().collect::<Vec<_>>());
    assert_eq!(numbers(&["query", "--order", "desc", "-n", "250"]), (350..600).rev().collect::<Vec<_>>());
    assert_eq!(numbers(&["tail", "-n", "250"]), (350..600).collect::<Vec<_>>());
    assert_eq!(numbers(&["query", "--sort", "timestamp:desc"]), (0..600).rev().collect::<Vec<_>>());
}

#[test]
fn entries_of_one_trail_stay_in_its_order_if_its_clock_goes_back() {
    let log_dir = directory();
    instance(log_dir.path(), "one", &[1, 7, 3]);
    instance(log_dir.path(), "two", &[2, 5, 8]);
    assert_eq!(order(&sales(&["query"], log_dir.path()).out), "1 2 5 7 3 8");
}

#[test]
fn a_sort_orders_the_entries_of_all_trails() {
    let log_dir = workers();
    // The amounts are the seconds modulo 3; equal ones are in the order of their times, then of the trails.
    let sorted = sales(&["query", "--sort", "amount"], log_dir.path());
    assert_eq!((sorted.status, sorted.err.as_str()), (Some(0), ""));
    assert_eq!(order(&sorted.out), "3 1 4 2 5 5");
    let last: Vec<String> = rows(&sorted.out)[4..].iter().map(|(trail, _)| trail.clone()).collect();
    assert_eq!(last, ["one", "two"]);
    assert_eq!(order(&sales(&["query", "--sort", "amount:desc", "-n", "4"], log_dir.path()).out), "2 5 5 1");
}

#[test]
fn a_count_adds_up_all_trails() {
    let log_dir = workers();
    assert_eq!(sales(&["query", "--count"], log_dir.path()).out, "6\n");
}

#[test]
fn a_period_applies_to_every_trail() {
    let log_dir = workers();
    let period = ["query", "--since", "2026-11-24 10:00:03", "--until", "2026-11-24 10:00:05"];
    assert_eq!(order(&sales(&period, log_dir.path()).out), "3 4");
    let around = ["query", "--around", "2026-11-24 10:00:03", "--window", "1s"];
    assert_eq!(order(&sales(&around, log_dir.path()).out), "2 3 4");
}

#[test]
fn a_history_merges_the_changes_of_all_trails() {
    let log_dir = directory();
    for (name, states) in [("one", [(1, "draft"), (3, "paid")]), ("two", [(2, "posted"), (4, "void")])] {
        let instance = Instance::open(log_dir.path(), name);
        for (second, state) in states {
            instance.clock.0.store(TEN + second, Ordering::Relaxed);
            let entry = instance.logger.log("Order changed").entity("order", "7");
            entry.new_values(json!({"state": state})).record().unwrap();
        }
        instance.close();
    }
    let history = auditx(&["history", "order/7"], log_dir.path());
    assert_eq!((history.status, history.err.as_str()), (Some(0), ""));
    let lines: Vec<&str> = history.out.lines().collect();
    assert!(lines[0].starts_with("one  2  2026-11-24 10:00:01"), "{}", history.out);
    assert!(lines[2].starts_with("two  2  2026-11-24 10:00:02"), "{}", history.out);
    let states: Vec<&str> = history.out.lines().filter_map(|line| line.split(" → ").nth(1)).collect();
    assert_eq!(states, ["draft", "posted", "paid", "void"]);
    let json = auditx(&["history", "order/7", "--json"], log_dir.path());
    let entries: Vec<Value> = serde_json::from_str(&json.out).unwrap();
    let trails: Vec<&Value> = entries.iter().map(|entry| &entry["trail"]).collect();
    assert_eq!(trails, ["one", "two", "one", "two"]);
}

#[test]
fn stats_add_up_all_trails() {
    let log_dir = workers();
    let stats = sales(&["stats", "--by", "user", "--json"], log_dir.path());
    let found: Value = serde_json::from_str(&stats.out).unwrap();
    assert_eq!((&found["found"], &found["groups"][0]["count"]), (&json!(6), &json!(6)), "{}", stats.out);
}

#[test]
fn stats_count_by_trail() {
    let log_dir = workers();
    let stats = sales(&["stats", "--by", "user,trail", "--json"], log_dir.path());
    let found: Value = serde_json::from_str(&stats.out).unwrap();
    let groups: Vec<&Value> = found["groups"].as_array().unwrap().iter().map(|group| &group["by"]).collect();
    assert_eq!(
        groups,
        [&json!({"trail": "one", "user": "admin"}), &json!({"trail": "two", "user": "admin"})]
    );
    let table = sales(&["stats", "--by", "trail"], log_dir.path());
    assert!(table.out.starts_with("trail  Entries"), "{}", table.out);
}

#[test]
fn fields_and_values_are_those_of_all_trails() {
    let log_dir = workers();
    let values = sales(&["values", "description", "--json"], log_dir.path());
    let found: Value = serde_json::from_str(&values.out).unwrap();
    assert_eq!((&found["found"], &found["distinct"]), (&json!(6), &json!(5)), "{}", values.out);
    assert_eq!(found["values"][0], json!({"value": "5", "count": 2, "failed": 0}));
    let fields = sales(&["fields", "--json"], log_dir.path());
    let found: Value = serde_json::from_str(&fields.out).unwrap();
    let fields = found["fields"].as_array().unwrap();
    let description = fields.iter().find(|field| field["field"] == "description").unwrap();
    assert_eq!(description["count"], 6);
    assert_eq!(description["examples"], json!(["1", "4", "5"]), "those of the first trail come first");
}
