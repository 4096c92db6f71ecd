//! Request contexts of tasks that share a few threads.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use auditx_core::{AuditLogger, Config, RequestContext};
use auditx_tests::deadline::TIMEOUT;
use auditx_tests::trail::{Line, entries};
use tokio::sync::{Barrier, Notify, oneshot};
use tokio::task::{spawn, spawn_blocking, yield_now};

const TASKS: u64 = 1_000;
const STEPS: u64 = 5;

fn open(directory: &Path) -> AuditLogger {
    AuditLogger::open(Config::new(directory)).unwrap()
}

fn user_of(line: &Line) -> &str {
    line.json["user"].as_str().unwrap()
}

/// Returns the users of the entries with this description.
fn users(entries: &[Line], description: &str) -> Vec<String> {
    entries
        .iter()
        .filter(|line| line.description() == description)
        .map(|line| user_of(line).to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_tasks_never_mix_their_contexts() {
    let directory = tempfile::tempdir().unwrap();
    let logger = open(directory.path());
    let all_started = Arc::new(Barrier::new(usize::try_from(TASKS).unwrap()));
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let (logger, all_started) = (logger.clone(), all_started.clone());
            let context =
                RequestContext::new().user(format!("user {task}")).request_id(format!("request {task}"));
            spawn(context.in_task(async move {
                all_started.wait().await;
                for step in 0..STEPS {
                    RequestContext::update(|fields| fields.branch_id = format!("branch {task}.{step}"));
                    yield_now().await;
                    logger.log("step").metadata("task", task).metadata("step", step).record().unwrap();
                    yield_now().await;
                }
            }))
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    logger.log("outside").record().unwrap();
    logger.close(TIMEOUT).unwrap();

    let entries = entries(directory.path());
    assert_eq!(users(&entries, "outside"), ["SYSTEM"], "no task's context is still current");
    let steps: Vec<&Line> = entries.iter().filter(|line| line.description() == "step").collect();
    assert_eq!(steps.len() as u64, TASKS * STEPS);
    for line in steps {
        let (task, step) = (&line.json["metadata"]["task"], &line.json["metadata"]["step"]);
        assert_eq!(line.json["user"], format!("user {task}"));
        assert_eq!(line.json["request_id"], format!("request {task}"));
        assert_eq!(line.json["branch_id"], format!("branch {task}.{step}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn spawned_work_has_the_context_only_if_it_is_passed_on() {
    let directory = tempfile::tempdir().unwrap();
    let logger = open(directory.path());
    let context = RequestContext::new().user("admin");
    context
        .scope(async {
            let current = RequestContext::current();
            let record = |description: &'static str| {
                let logger = logger.clone();
                move || drop(logger.log(description).record().unwrap())
            };
            let task = |description: &'static str| {
                let record = record(description);
                async move {
                    yield_now().await;
                    record();
                }
            };
            spawn(task("bare task")).await.unwrap();
            spawn(current.in_task(task("task"))).await.unwrap();
            spawn_blocking(record("bare blocking")).await.unwrap();
            spawn_blocking(current.in_fn(record("blocking"))).await.unwrap();
            std::thread::spawn(record("bare thread")).join().unwrap();
            std::thread::spawn(current.in_fn(record("thread"))).join().unwrap();
            record("scope")();
        })
        .await;
    // A thread of the same pool must not keep the context.
    spawn_blocking({
        let logger = logger.clone();
        move || drop(logger.log("blocking afterwards").record().unwrap())
    })
    .await
    .unwrap();
    logger.close(TIMEOUT).unwrap();

    let entries = entries(directory.path());
    for bare in ["bare task", "bare blocking", "bare thread", "blocking afterwards"] {
        assert_eq!(users(&entries, bare), ["SYSTEM"], "{bare}");
    }
    for passed_on in ["task", "blocking", "thread", "scope"] {
        assert_eq!(users(&entries, passed_on), ["admin"], "{passed_on}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_update_in_a_spawned_task_is_visible_to_its_parent() {
    let directory = tempfile::tempdir().unwrap();
    let logger = open(directory.path());
    RequestContext::new()
        .scope(async {
            let task = async {
                RequestContext::update(|fields| fields.user = "authenticated".into());
            };
            spawn(RequestContext::current().in_task(task)).await.unwrap();
            logger.log("closing").record().unwrap();
        })
        .await;
    logger.close(TIMEOUT).unwrap();
    assert_eq!(users(&entries(directory.path()), "closing"), ["authenticated"]);
}

/// Records an entry when it is dropped, as a transaction that is rolled back would.
struct RollBack(AuditLogger);

impl Drop for RollBack {
    fn drop(&mut self) {
        self.0.log("rolled back").record().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn destructors_of_a_cancelled_future_have_its_context() {
    let directory = tempfile::tempdir().unwrap();
    let logger = open(directory.path());
    let work = |started: Option<oneshot::Sender<()>>| {
        let transaction = RollBack(logger.clone());
        async move {
            let _transaction = transaction;
            started.map(|started| started.send(()));
            Notify::new().notified().await;
        }
    };

    let (started, has_started) = oneshot::channel();
    let task = spawn(RequestContext::new().user("aborted").in_task(work(Some(started))));
    has_started.await.unwrap();
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());

    // The other branch finishes first, so this future is dropped.
    tokio::select! {
        biased;
        () = RequestContext::new().user("selected").scope(work(None)) => unreachable!("it never ends"),
        () = yield_now() => {}
    }
    drop(RequestContext::new().user("never polled").scope(work(None)));
    {
        let mut polled = pin!(RequestContext::new().user("polled once").scope(work(None)));
        let polled = polled.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert_eq!(polled, Poll::Pending);
    }
    logger.log("outside").record().unwrap();
    logger.close(TIMEOUT).unwrap();

    let entries = entries(directory.path());
    assert_eq!(users(&entries, "rolled back"), ["aborted", "selected", "never polled", "polled once"]);
    assert_eq!(users(&entries, "outside"), ["SYSTEM"]);
}
