//! Background jobs: a service, a Redis, and workers that are killed, stopped, and given nonsense.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use auditx_core::{AuditLogger, Config, RequestContext, StoredEntry};
use auditx_examples::queue::Queue;
use auditx_tests::child::Child;
use auditx_tests::deadline::{PATIENCE, wait_for, wait_until};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::client::{CLERK, MANAGER, Request, Response};
use crate::redis::RedisServer;
use crate::server::{Server, Service};
use crate::trail;

const LEDGER: &str = "\
CO-001,BR-YGN,SKU-1001,50,SI-2026-0042
CO-002,BR-NPT,SKU-1001,7,SI-2026-0043
CO-001,BR-MDY,SKU-1002,3,SI-2026-0044
CO-001,BR-MDY,SKU-1001,-2,CN-2026-0001
";

/// A queue and what workers need. Programs are started in it.
struct Office {
    redis: RedisServer,
    directory: TempDir,
}

impl Office {
    fn new() -> Self {
        Self { redis: RedisServer::start(), directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn trail_of(&self, worker: &str) -> PathBuf {
        self.path("logs").join(worker)
    }

    /// Puts the ledger in its place at once, whatever was there.
    fn write_ledger(&self) {
        fs::write(self.path("new"), LEDGER).unwrap();
        fs::rename(self.path("new"), self.path("ledger.csv")).unwrap();
    }

    /// A ledger that nobody can read before the test writes it: a job that has begun stays at it.
    fn withhold_ledger(&self) {
        mknodat(CWD, self.path("ledger.csv"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    }

    /// Gives the withheld ledger to the one who waits for it.
    fn release_ledger(&self) {
        let mut pipe = fs::OpenOptions::new().write(true).open(self.path("ledger.csv")).unwrap();
        pipe.write_all(LEDGER.as_bytes()).unwrap();
    }

    fn web(&self) -> Server {
        Server::start_with(Service::Jobs, &["--redis", &self.redis.url()])
    }

    fn worker(&self, name: &str, arguments: &[&str]) -> Child {
        let worker = Child::start(
            Command::new(env!("CARGO_BIN_EXE_jobs_worker"))
                .args(["--name", name, "--redis", &self.redis.url(), "--heartbeat", "1", "--log-dir"])
                .arg(self.path("logs"))
                .arg("--ledger")
                .arg(self.path("ledger.csv"))
                .arg("--reports")
                .arg(self.path("reports"))
                .args(arguments),
        );
        assert_eq!(worker.next_line().as_deref(), Some("taking jobs"));
        worker
    }

    /// Puts something into the queue that no service of ours has put there.
    fn smuggle(&self, id: &str, bytes: &[u8]) {
        let put = async { Queue::at(&self.redis.url()).unwrap().put(id, bytes.to_vec()).await };
        Runtime::new().unwrap().block_on(put).unwrap();
    }

    fn wait_for(&self, worker: &str, job: &Value, description: &str) -> StoredEntry {
        trail::wait_for_entry(&self.trail_of(worker), description, |entry| {
            entry.metadata.get("job_id") == Some(job) && entry.description == description
        })
    }

    fn report(&self, job: &Value) -> String {
        fs::read_to_string(self.path("reports").join(format!("{}.csv", job.as_str().unwrap()))).unwrap()
    }
}

fn export(token: &str, id: &str) -> Request {
    Request::post("/reports/export", &json!({"product_id": "SKU-1001"})).token(token).id(id)
}

/// The id of the job that was acknowledged.
fn job_of(answer: &Response) -> Value {
    assert_eq!(answer.status, 202);
    assert_eq!(answer.json()["request_id"], answer.id());
    answer.json()["job_id"].clone()
}

/// Asks it to stop, as service managers do; what it has recorded in its life.
fn stop(worker: Child, trail: &Path) -> Vec<StoredEntry> {
    worker.signal(Signal::TERM);
    let (status, said) = worker.end();
    assert!(status.success());
    assert_eq!(said, ["stopping after the job at hand"]);
    let entries = trail::read(trail);
    assert_eq!(entries.last().and_then(trail::kind), Some("close"));
    entries
}

/// Attempt and description of each entry of a job.
fn history<'e>(entries: &'e [StoredEntry], job: &Value) -> Vec<(u64, &'e str)> {
    let entries = entries.iter().filter(|entry| entry.metadata.get("job_id") == Some(job));
    entries.map(|entry| (entry.metadata["attempt"].as_u64().unwrap(), entry.description.as_str())).collect()
}

#[test]
fn a_worker_records_what_it_does_under_the_request_that_asked_for_it() {
    let office = Office::new();
    office.write_ledger();
    let (web, worker) = (office.web(), office.worker("worker-1", &[]));
    let asked = [("first", MANAGER), ("second", CLERK)].map(|(id, token)| (id, web.ask(&export(token, id))));
    for (_, answer) in &asked {
        office.wait_for("worker-1", &job_of(answer), "Report exported");
    }
    let worked = stop(worker, &office.trail_of("worker-1"));
    let served = web.stop();

    for (id, answer) in &asked {
        let job = job_of(answer);
        let requested = trail::recorded_in(&served, id);
        let described: Vec<&str> = requested.iter().map(|entry| entry.description.as_str()).collect();
        assert_eq!(described, ["Report export requested"]);
        assert_eq!(requested[0].id, job, "the job is called after the entry that asks for it");
        assert_eq!(trail::ending(trail::closing(&served, id)), ("AUDIT", Some(202), true, "completed"));

        assert_eq!(history(&worked, &job), [(1, "Report export begun"), (1, "Report exported")]);
        let done = trail::recorded_in(&worked, id);
        assert_eq!(done.len(), 2);
        for entry in done {
            let who = |entry: &StoredEntry| {
                [&entry.user, &entry.user_role, &entry.company_id, &entry.branch_id, &entry.ip]
                    .map(String::clone)
            };
            assert_eq!(who(entry), who(requested[0]));
            assert!(entry.user != "SYSTEM" && !entry.company_id.is_empty(), "{entry:?}");
            assert_eq!((entry.module.as_str(), entry.action.as_str()), ("reporting", "EXPORT"));
        }
        assert_eq!(
            office.report(&job),
            "branch,product,quantity,reference\r\n\
             BR-YGN,SKU-1001,50,SI-2026-0042\r\nBR-MDY,SKU-1001,-2,CN-2026-0001\r\n",
            "of the company that asked, and of the product"
        );
    }
    assert!(!trail::holds(&office.path("logs"), MANAGER.as_bytes()), "a token does not cross the queue");
}

#[test]
fn a_free_worker_takes_jobs_between_heartbeats() {
    let office = Office::new();
    office.write_ledger();
    let (web, worker) = (office.web(), office.worker("worker-1", &["--heartbeat", "3600"]));
    for number in 0..20 {
        let job = job_of(&web.ask(&export(MANAGER, &number.to_string())));
        office.wait_for("worker-1", &job, "Report exported");
    }
    stop(worker, &office.trail_of("worker-1"));
}

#[test]
fn a_worker_killed_in_the_middle_of_a_job_leaves_it_to_the_next() {
    let office = Office::new();
    office.withhold_ledger();
    let (web, killed) = (office.web(), office.worker("worker-1", &[]));
    let job = job_of(&web.ask(&export(MANAGER, "killed")));
    office.wait_for("worker-1", &job, "Report export begun");
    killed.signal(Signal::KILL);
    assert!(!killed.end().0.success());

    office.write_ledger();
    let next = office.worker("worker-2", &[]);
    office.wait_for("worker-2", &job, "Report exported");
    assert!(office.report(&job).contains("SI-2026-0042"));
    let worked = stop(next, &office.trail_of("worker-2"));
    assert_eq!(history(&worked, &job), [(1, "Report export begun"), (1, "Report exported")]);
    assert!(trail::recorded_in(&worked, "killed").iter().all(|entry| entry.user == "thida"));

    // The next process with that trail writes what the killed one had accepted.
    let config = Config::new(office.path("logs")).instance("worker-1");
    AuditLogger::open(config).unwrap().close(PATIENCE).unwrap();
    let left = trail::read(&office.trail_of("worker-1"));
    assert_eq!(history(&left, &job), [(1, "Report export begun")]);
}

#[test]
fn a_job_that_takes_longer_than_three_heartbeats_stays_with_its_worker() {
    let office = Office::new();
    office.withhold_ledger();
    let (web, busy) = (office.web(), office.worker("worker-1", &[]));
    let long = job_of(&web.ask(&export(MANAGER, "long")));
    office.wait_for("worker-1", &long, "Report export begun");
    // Its attempts are one, two and three seconds apart: that is the other worker's clock.
    let other = office.worker("worker-2", &["--attempts", "4", "--ledger", "no-such-ledger.csv"]);
    let hopeless = job_of(&web.ask(&export(CLERK, "hopeless")));
    office.wait_for("worker-2", &hopeless, "Report export given up");
    office.release_ledger();
    office.wait_for("worker-1", &long, "Report exported");
    let worked = stop(busy, &office.trail_of("worker-1"));
    assert_eq!(history(&worked, &long), [(1, "Report export begun"), (1, "Report exported")]);
    assert_eq!(history(&worked, &hopeless), [], "a worker has one job at a time");
    let worked = stop(other, &office.trail_of("worker-2"));
    assert_eq!(history(&worked, &long), []);
}

#[test]
fn a_worker_told_to_stop_finishes_its_job_and_leaves_the_next_one_to_others() {
    let office = Office::new();
    office.withhold_ledger();
    let (web, first) = (office.web(), office.worker("worker-1", &["--grace", "3600"]));
    let at_hand = job_of(&web.ask(&export(MANAGER, "at-hand")));
    office.wait_for("worker-1", &at_hand, "Report export begun");
    let waiting = job_of(&web.ask(&export(CLERK, "waiting")));
    first.signal(Signal::TERM);
    assert_eq!(first.next_line().as_deref(), Some("stopping after the job at hand"));
    office.release_ledger();
    assert!(first.end().0.success());
    let worked = trail::read(&office.trail_of("worker-1"));
    assert_eq!(history(&worked, &at_hand), [(1, "Report export begun"), (1, "Report exported")]);
    assert_eq!(history(&worked, &waiting), []);
    assert_eq!(worked.last().and_then(trail::kind), Some("close"));

    office.write_ledger();
    let second = office.worker("worker-2", &[]);
    office.wait_for("worker-2", &waiting, "Report exported");
    let worked = stop(second, &office.trail_of("worker-2"));
    assert_eq!(history(&worked, &at_hand), [], "what was done is not done again");
}

#[test]
fn a_job_that_outlives_the_grace_is_left_to_the_next_worker() {
    let office = Office::new();
    office.withhold_ledger();
    let (web, first) = (office.web(), office.worker("worker-1", &["--grace", "1"]));
    let job = job_of(&web.ask(&export(MANAGER, "long")));
    office.wait_for("worker-1", &job, "Report export begun");
    let worked = stop(first, &office.trail_of("worker-1"));
    assert_eq!(history(&worked, &job), [(1, "Report export begun")]);

    office.write_ledger();
    let second = office.worker("worker-2", &[]);
    office.wait_for("worker-2", &job, "Report exported");
    stop(second, &office.trail_of("worker-2"));
}

#[test]
fn a_job_that_makes_no_sense_is_refused_and_the_worker_goes_on() {
    let office = Office::new();
    let (web, worker) = (office.web(), office.worker("worker-1", &[]));
    let job = |carrier: Value| json!({"carrier": carrier, "export": {"product_id": "SKU-1001"}}).to_string();
    let carried = serde_json::to_value(RequestContext::new().user("mallory").to_carrier()).unwrap();
    let long = "x".repeat(100_000);
    let nonsense = [
        ("no-json", "\u{0}{{".to_owned(), "not the expected JSON at line 1 column 1"),
        ("no-carrier", json!({"export": {}}).to_string(), "not the expected JSON"),
        ("no-version", job(json!({"auditx-user": "mallory"})), "a carrier needs the key \"auditx-version\""),
        ("unknown-version", job(json!({"auditx-version": "9"})), "carrier version \"9\" is unknown here"),
        ("long-version", job(json!({"auditx-version": long})), "carrier version \"xxxxx"),
        ("no-address", job(json!({"auditx-version": "1", "auditx-ip": "all"})), "which is no address"),
        ("long-user", job(json!({"auditx-version": "1", "auditx-user": long})), "too large for an entry"),
        ("../../outside", job(carried), "its id is no id of ours"),
    ];
    for (id, bytes, _) in &nonsense {
        office.smuggle(id, bytes.as_bytes());
    }
    for (id, ..) in &nonsense {
        office.wait_for("worker-1", &json!(id), "Report export refused");
    }
    // By its third attempt, anything that is tried again has been.
    let good = job_of(&web.ask(&export(MANAGER, "good")));
    trail::wait_for_entry(&office.trail_of("worker-1"), "a second failure", |entry| {
        entry.description == "Report export failed" && entry.metadata["attempt"] == 2
    });
    office.write_ledger();
    office.wait_for("worker-1", &good, "Report exported");
    let worked = stop(worker, &office.trail_of("worker-1"));

    for (id, _, why) in &nonsense {
        assert_eq!(history(&worked, &json!(id)), [(1, "Report export refused")]);
        let refused = worked.iter().find(|entry| entry.metadata.get("job_id") == Some(&json!(id))).unwrap();
        assert_eq!(
            (refused.level.as_str(), refused.success, refused.user.as_str()),
            ("ERROR", false, "SYSTEM")
        );
        let reason = refused.metadata["reason"].as_str().unwrap();
        assert!(reason.contains(why), "{id}: {reason}");
    }
    let reports = fs::read_dir(office.path("reports")).unwrap().count();
    assert_eq!(reports, 1, "the good one");
}

#[test]
fn a_job_that_fails_is_tried_again_and_each_attempt_is_recorded() {
    let office = Office::new();
    let (web, worker) = (office.web(), office.worker("worker-1", &[]));
    let job = job_of(&web.ask(&export(MANAGER, "retried")));
    let failed = office.wait_for("worker-1", &job, "Report export failed");
    assert_eq!((failed.level.as_str(), failed.success, failed.user.as_str()), ("ERROR", false, "thida"));
    assert!(failed.metadata["reason"].as_str().unwrap().contains("ledger.csv: No such file"));
    office.write_ledger();
    office.wait_for("worker-1", &job, "Report exported");
    let worked = stop(worker, &office.trail_of("worker-1"));

    let history = history(&worked, &job);
    let attempts = u64::try_from(history.len() / 2).unwrap();
    assert!(attempts > 1);
    let expected = (1..=attempts).flat_map(|attempt| {
        let ending = if attempt < attempts { "Report export failed" } else { "Report exported" };
        [(attempt, "Report export begun"), (attempt, ending)]
    });
    assert_eq!(history, expected.collect::<Vec<_>>());
}

#[test]
fn a_job_that_goes_on_failing_is_given_up() {
    let office = Office::new();
    let (web, worker) = (office.web(), office.worker("worker-1", &["--attempts", "2"]));
    let hopeless = job_of(&web.ask(&export(MANAGER, "hopeless")));
    office.wait_for("worker-1", &hopeless, "Report export given up");
    office.write_ledger();
    let good = job_of(&web.ask(&export(MANAGER, "good")));
    office.wait_for("worker-1", &good, "Report exported");
    let worked = stop(worker, &office.trail_of("worker-1"));
    let expected = [
        (1, "Report export begun"),
        (1, "Report export failed"),
        (2, "Report export begun"),
        (2, "Report export given up"),
    ];
    assert_eq!(history(&worked, &hopeless), expected);
}

#[test]
fn a_request_whose_job_the_queue_does_not_take_is_refused_and_recorded() {
    let office = Office::new();
    let web = office.web();
    job_of(&web.ask(&export(MANAGER, "before")));
    let port = office.redis.port();
    drop(office.redis);
    for id in ["gone", "still-gone"] {
        let answer = web.ask(&export(MANAGER, id));
        assert_eq!((answer.status, answer.json()), (503, json!({"error": "try again later"})));
    }

    let _back = RedisServer::start_on(port);
    let again = (0..).map(|number| format!("again-{number}"));
    let mut asked = again.map(|id| web.ask(&export(MANAGER, &id)));
    wait_until("a service that finds Redis again", || asked.next().unwrap().status == 202);

    let served = web.stop();
    for id in ["gone", "still-gone"] {
        let recorded = trail::recorded_in(&served, id);
        let described: Vec<&str> = recorded.iter().map(|entry| entry.description.as_str()).collect();
        assert_eq!(described, ["Report export requested", "Report export not enqueued"]);
        let failed = recorded[1];
        assert_eq!((failed.success, failed.user.as_str()), (false, "thida"));
        assert_eq!(failed.metadata["job_id"], recorded[0].id);
        let closing = trail::closing(&served, id);
        assert_eq!(trail::ending(closing), ("ERROR", Some(503), false, "completed"));
        assert!(closing.metadata["error"].as_str().unwrap().starts_with("the queue "));
    }
}

#[test]
fn a_worker_whose_redis_goes_away_ends_with_an_error() {
    let office = Office::new();
    let worker = office.worker("worker-1", &[]);
    drop(office.redis);
    let (status, said) = worker.end();
    assert!(!status.success());
    assert!(said.is_empty(), "{said:?}");
    let trail = office.directory.path().join("logs/worker-1");
    let last = wait_for("the end of its trail", || trail::read(&trail).pop());
    assert_eq!(trail::kind(&last), Some("close"));
}
