//! Background jobs: a service, a Redis server, and workers that are killed, stopped, and given invalid jobs.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use auditx_core::{AuditLogger, Config, RequestContext, StoredEntry};
use auditx_examples::queue::Queue;
use auditx_tests::child::Child;
use auditx_tests::deadline::{TIMEOUT, wait_for, wait_until};
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

/// A Redis server and a directory for the service and its workers.
struct Fixture {
    redis: RedisServer,
    directory: TempDir,
}

impl Fixture {
    fn new() -> Self {
        Self { redis: RedisServer::start(), directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn trail_of(&self, worker: &str) -> PathBuf {
        self.path("logs").join(worker)
    }

    /// Creates or replaces the ledger atomically.
    fn write_ledger(&self) {
        fs::write(self.path("new"), LEDGER).unwrap();
        fs::rename(self.path("new"), self.path("ledger.csv")).unwrap();
    }

    /// Makes the ledger a FIFO, so that a job that reads it blocks until [`Self::unblock_ledger`].
    fn block_ledger(&self) {
        mknodat(CWD, self.path("ledger.csv"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    }

    /// Writes the ledger into the FIFO.
    fn unblock_ledger(&self) {
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
        assert_eq!(worker.next_line().as_deref(), Some("waiting for jobs"));
        worker
    }

    /// Enqueues arbitrary bytes, as another program with access to Redis could.
    fn enqueue(&self, id: &str, bytes: &[u8]) {
        let put = async { Queue::connect(&self.redis.url()).unwrap().put(id, bytes.to_vec()).await };
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

/// Returns the id of the acknowledged job.
fn job_of(answer: &Response) -> Value {
    assert_eq!(answer.status, 202);
    assert_eq!(answer.json()["request_id"], answer.id());
    answer.json()["job_id"].clone()
}

/// Stops the worker with SIGTERM and returns all entries of its trail.
fn stop(worker: Child, trail: &Path) -> Vec<StoredEntry> {
    worker.signal(Signal::TERM);
    let (status, printed) = worker.end();
    assert!(status.success());
    assert_eq!(printed, ["stopping after the current job"]);
    let entries = trail::read(trail);
    assert_eq!(entries.last().and_then(trail::kind), Some("close"));
    entries
}

/// Returns attempt and description of each entry of a job.
fn history<'e>(entries: &'e [StoredEntry], job: &Value) -> Vec<(u64, &'e str)> {
    let entries = entries.iter().filter(|entry| entry.metadata.get("job_id") == Some(job));
    entries.map(|entry| (entry.metadata["attempt"].as_u64().unwrap(), entry.description.as_str())).collect()
}

#[test]
fn a_worker_records_in_the_context_of_the_request() {
    let fixture = Fixture::new();
    fixture.write_ledger();
    let (web, worker) = (fixture.web(), fixture.worker("worker-1", &[]));
    let users = [("first", MANAGER), ("second", CLERK)];
    let answers = users.map(|(id, token)| (id, web.request(&export(token, id))));
    for (_, answer) in &answers {
        fixture.wait_for("worker-1", &job_of(answer), "Report exported");
    }
    let worked = stop(worker, &fixture.trail_of("worker-1"));
    let served = web.stop();

    for (id, answer) in &answers {
        let job = job_of(answer);
        let requested = trail::recorded_in(&served, id);
        let described: Vec<&str> = requested.iter().map(|entry| entry.description.as_str()).collect();
        assert_eq!(described, ["Report export requested"]);
        assert_eq!(requested[0].id, job, "the job's id is the id of the request's entry");
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
            fixture.report(&job),
            "branch,product,quantity,reference\r\n\
             BR-YGN,SKU-1001,50,SI-2026-0042\r\nBR-MDY,SKU-1001,-2,CN-2026-0001\r\n",
            "only rows of the user's company and of the product"
        );
    }
    assert!(!trail::holds(&fixture.path("logs"), MANAGER.as_bytes()), "the token is not in the queue");
}

#[test]
fn a_free_worker_takes_jobs_between_heartbeats() {
    let fixture = Fixture::new();
    fixture.write_ledger();
    let (web, worker) = (fixture.web(), fixture.worker("worker-1", &["--heartbeat", "3600"]));
    for number in 0..20 {
        let job = job_of(&web.request(&export(MANAGER, &number.to_string())));
        fixture.wait_for("worker-1", &job, "Report exported");
    }
    stop(worker, &fixture.trail_of("worker-1"));
}

#[test]
fn another_worker_takes_the_job_of_a_killed_one() {
    let fixture = Fixture::new();
    fixture.block_ledger();
    let (web, killed) = (fixture.web(), fixture.worker("worker-1", &[]));
    let job = job_of(&web.request(&export(MANAGER, "killed")));
    fixture.wait_for("worker-1", &job, "Report export begun");
    killed.signal(Signal::KILL);
    assert!(!killed.end().0.success());

    fixture.write_ledger();
    let next = fixture.worker("worker-2", &[]);
    fixture.wait_for("worker-2", &job, "Report exported");
    assert!(fixture.report(&job).contains("SI-2026-0042"));
    let worked = stop(next, &fixture.trail_of("worker-2"));
    assert_eq!(history(&worked, &job), [(1, "Report export begun"), (1, "Report exported")]);
    assert!(trail::recorded_in(&worked, "killed").iter().all(|entry| entry.user == "thida"));

    // The next process that opens the trail writes the entries that the killed one had accepted.
    let config = Config::new(fixture.path("logs")).instance("worker-1");
    AuditLogger::open(config).unwrap().close(TIMEOUT).unwrap();
    let left = trail::read(&fixture.trail_of("worker-1"));
    assert_eq!(history(&left, &job), [(1, "Report export begun")]);
}

#[test]
fn a_job_longer_than_three_heartbeats_stays_with_its_worker() {
    let fixture = Fixture::new();
    fixture.block_ledger();
    let (web, busy) = (fixture.web(), fixture.worker("worker-1", &[]));
    let long = job_of(&web.request(&export(MANAGER, "long")));
    fixture.wait_for("worker-1", &long, "Report export begun");
    // Worker 2 retries its job after one, two and three seconds, longer than three heartbeats of worker 1.
    let other = fixture.worker("worker-2", &["--attempts", "4", "--ledger", "no-such-ledger.csv"]);
    let hopeless = job_of(&web.request(&export(CLERK, "hopeless")));
    fixture.wait_for("worker-2", &hopeless, "Report export given up");
    fixture.unblock_ledger();
    fixture.wait_for("worker-1", &long, "Report exported");
    let worked = stop(busy, &fixture.trail_of("worker-1"));
    assert_eq!(history(&worked, &long), [(1, "Report export begun"), (1, "Report exported")]);
    assert_eq!(history(&worked, &hopeless), [], "a worker has one job at a time");
    let worked = stop(other, &fixture.trail_of("worker-2"));
    assert_eq!(history(&worked, &long), []);
}

#[test]
fn a_stopping_worker_finishes_its_job_and_takes_no_other() {
    let fixture = Fixture::new();
    fixture.block_ledger();
    let (web, first) = (fixture.web(), fixture.worker("worker-1", &["--grace", "3600"]));
    let current = job_of(&web.request(&export(MANAGER, "current")));
    fixture.wait_for("worker-1", &current, "Report export begun");
    let waiting = job_of(&web.request(&export(CLERK, "waiting")));
    first.signal(Signal::TERM);
    assert_eq!(first.next_line().as_deref(), Some("stopping after the current job"));
    fixture.unblock_ledger();
    assert!(first.end().0.success());
    let worked = trail::read(&fixture.trail_of("worker-1"));
    assert_eq!(history(&worked, &current), [(1, "Report export begun"), (1, "Report exported")]);
    assert_eq!(history(&worked, &waiting), []);
    assert_eq!(worked.last().and_then(trail::kind), Some("close"));

    fixture.write_ledger();
    let second = fixture.worker("worker-2", &[]);
    fixture.wait_for("worker-2", &waiting, "Report exported");
    let worked = stop(second, &fixture.trail_of("worker-2"));
    assert_eq!(history(&worked, &current), [], "a finished job is not repeated");
}

#[test]
fn a_job_longer_than_the_grace_period_goes_to_another_worker() {
    let fixture = Fixture::new();
    fixture.block_ledger();
    let (web, first) = (fixture.web(), fixture.worker("worker-1", &["--grace", "1"]));
    let job = job_of(&web.request(&export(MANAGER, "long")));
    fixture.wait_for("worker-1", &job, "Report export begun");
    let worked = stop(first, &fixture.trail_of("worker-1"));
    assert_eq!(history(&worked, &job), [(1, "Report export begun")]);

    fixture.write_ledger();
    let second = fixture.worker("worker-2", &[]);
    fixture.wait_for("worker-2", &job, "Report exported");
    stop(second, &fixture.trail_of("worker-2"));
}

#[test]
fn an_invalid_job_is_refused_and_the_worker_continues() {
    let fixture = Fixture::new();
    let (web, worker) = (fixture.web(), fixture.worker("worker-1", &[]));
    let job = |carrier: Value| json!({"carrier": carrier, "export": {"product_id": "SKU-1001"}}).to_string();
    let carried = serde_json::to_value(RequestContext::new().user("mallory").to_carrier()).unwrap();
    let long = "x".repeat(100_000);
    let invalid = [
        ("no-json", "\u{0}{{".to_owned(), "not the expected JSON at line 1 column 1"),
        ("no-carrier", json!({"export": {}}).to_string(), "not the expected JSON"),
        ("no-version", job(json!({"auditx-user": "mallory"})), "carrier has no key \"auditx-version\""),
        ("unknown-version", job(json!({"auditx-version": "9"})), "unknown carrier version \"9\""),
        ("long-version", job(json!({"auditx-version": long})), "carrier version \"xxxxx"),
        ("no-address", job(json!({"auditx-version": "1", "auditx-ip": "all"})), "is not an IP address"),
        ("long-user", job(json!({"auditx-version": "1", "auditx-user": long})), "too large for an entry"),
        ("../../outside", job(carried), "invalid job id"),
    ];
    for (id, bytes, _) in &invalid {
        fixture.enqueue(id, bytes.as_bytes());
    }
    for (id, ..) in &invalid {
        fixture.wait_for("worker-1", &json!(id), "Report export refused");
    }
    // When the good job has failed twice, an invalid job would have been retried too.
    let good = job_of(&web.request(&export(MANAGER, "good")));
    trail::wait_for_entry(&fixture.trail_of("worker-1"), "a second failure", |entry| {
        entry.description == "Report export failed" && entry.metadata["attempt"] == 2
    });
    fixture.write_ledger();
    fixture.wait_for("worker-1", &good, "Report exported");
    let worked = stop(worker, &fixture.trail_of("worker-1"));

    for (id, _, why) in &invalid {
        assert_eq!(history(&worked, &json!(id)), [(1, "Report export refused")]);
        let refused = worked.iter().find(|entry| entry.metadata.get("job_id") == Some(&json!(id))).unwrap();
        assert_eq!(
            (refused.level.as_str(), refused.success, refused.user.as_str()),
            ("ERROR", false, "SYSTEM")
        );
        let reason = refused.metadata["reason"].as_str().unwrap();
        assert!(reason.contains(why), "{id}: {reason}");
    }
    let reports = fs::read_dir(fixture.path("reports")).unwrap().count();
    assert_eq!(reports, 1, "the good one");
}

#[test]
fn a_failed_job_is_retried_and_each_attempt_is_recorded() {
    let fixture = Fixture::new();
    let (web, worker) = (fixture.web(), fixture.worker("worker-1", &[]));
    let job = job_of(&web.request(&export(MANAGER, "retried")));
    let failed = fixture.wait_for("worker-1", &job, "Report export failed");
    assert_eq!((failed.level.as_str(), failed.success, failed.user.as_str()), ("ERROR", false, "thida"));
    assert!(failed.metadata["reason"].as_str().unwrap().contains("ledger.csv: No such file"));
    fixture.write_ledger();
    fixture.wait_for("worker-1", &job, "Report exported");
    let worked = stop(worker, &fixture.trail_of("worker-1"));

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
fn a_job_that_always_fails_is_given_up() {
    let fixture = Fixture::new();
    let (web, worker) = (fixture.web(), fixture.worker("worker-1", &["--attempts", "2"]));
    let hopeless = job_of(&web.request(&export(MANAGER, "hopeless")));
    fixture.wait_for("worker-1", &hopeless, "Report export given up");
    fixture.write_ledger();
    let good = job_of(&web.request(&export(MANAGER, "good")));
    fixture.wait_for("worker-1", &good, "Report exported");
    let worked = stop(worker, &fixture.trail_of("worker-1"));
    let expected = [
        (1, "Report export begun"),
        (1, "Report export failed"),
        (2, "Report export begun"),
        (2, "Report export given up"),
    ];
    assert_eq!(history(&worked, &hopeless), expected);
}

#[test]
fn a_request_is_refused_if_its_job_cannot_be_enqueued() {
    let fixture = Fixture::new();
    let web = fixture.web();
    job_of(&web.request(&export(MANAGER, "before")));
    let port = fixture.redis.port();
    drop(fixture.redis);
    for id in ["gone", "still-gone"] {
        let answer = web.request(&export(MANAGER, id));
        assert_eq!((answer.status, answer.json()), (503, json!({"error": "try again later"})));
    }

    let _back = RedisServer::start_on(port);
    let again = (0..).map(|number| format!("again-{number}"));
    let mut answers = again.map(|id| web.request(&export(MANAGER, &id)));
    wait_until("the service to reconnect to Redis", || answers.next().unwrap().status == 202);

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
fn a_worker_exits_with_an_error_when_redis_stops() {
    let fixture = Fixture::new();
    let worker = fixture.worker("worker-1", &[]);
    drop(fixture.redis);
    let (status, printed) = worker.end();
    assert!(!status.success());
    assert!(printed.is_empty(), "{printed:?}");
    let trail = fixture.directory.path().join("logs/worker-1");
    let last = wait_for("the end of its trail", || trail::read(&trail).pop());
    assert_eq!(trail::kind(&last), Some("close"));
}
