//! The queue of background jobs, in Redis through apalis.
//!
//! Each job is delivered at least once, to any free worker. The queue does not decode jobs, because a worker
//! must survive whatever Redis holds.

use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::io;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use apalis::prelude::{
    AbortError, Attempt, BackendExt, BoxDynError, Codec, PollSnapshot, PollStrategy, TaskBuilder, TaskId,
    TaskSink, WorkerBuilder, WorkerBuilderExt, WorkerError,
};
use apalis_redis::{Client, Config, RedisStorage};
use tokio::time::{Interval, interval, timeout};

use crate::refusal::Refusal;

/// The queue's name in Redis.
const NAME: &str = "erp:reports";

/// How long a request waits for Redis to accept its job.
const ENQUEUE_TIMEOUT: Duration = Duration::from_secs(5);

/// How often a free worker looks for a job.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// After this many missed heartbeats a worker counts as dead, and its jobs go to other workers.
const MISSED_HEARTBEATS: usize = 3;

/// A job as a worker receives it.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The job's id, chosen by the service that enqueued it.
    pub id: String,
    /// The attempt's number, starting at 1. A worker that is killed does not count as a failed attempt.
    pub attempt: usize,
    /// The encoded job.
    pub bytes: Vec<u8>,
}

/// The reason why a job was not done.
#[derive(Debug)]
pub enum JobError {
    /// The job is retried, after a delay that grows with each attempt.
    Retry(String),
    /// The job is not retried: another attempt would fail in the same way.
    Abort(String),
}

/// The service's handle to the queue, which enqueues jobs.
#[derive(Debug, Clone)]
pub struct Queue {
    storage: RedisStorage<Vec<u8>>,
}

impl Queue {
    /// Returns a handle that connects when the first job is enqueued, and reconnects after Redis was
    /// unreachable. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// Fails if the URL is invalid.
    pub fn connect(redis: &str) -> Result<Self, Box<dyn Error>> {
        let connection = Client::open(redis)?.get_connection_manager_lazy(Default::default())?;
        Ok(Self { storage: RedisStorage::new(connection).with_config(Config::default().queue(NAME)) })
    }

    /// Enqueues a job. Redis has the job when this returns `Ok`.
    ///
    /// # Errors
    /// [`Refusal::Unavailable`] if Redis does not acknowledge the job in time. Redis may have the job anyway,
    /// if only its answer was lost.
    pub async fn put(&self, id: &str, bytes: Vec<u8>) -> Result<(), Refusal> {
        let task = TaskBuilder::new(bytes).task_id(TaskId::from_string(id)).build();
        let mut storage = self.storage.clone().with_codec(RawBytes);
        match timeout(ENQUEUE_TIMEOUT, storage.push_task(task)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Refusal::Unavailable(format!("the queue refused the job: {error}"))),
            Err(_) => {
                Err(Refusal::Unavailable(format!("the queue did not answer within {ENQUEUE_TIMEOUT:?}")))
            }
        }
    }
}

/// Runs jobs one at a time until `stop` resolves, then finishes the current job.
///
/// # Errors
/// Fails if Redis is unreachable, or has given this worker's jobs to others because its heartbeats were
/// missing. Another worker then takes the current job.
pub async fn run_worker<W, D>(
    redis: &str,
    worker: &str,
    heartbeat: Duration,
    stop: impl Future<Output = ()> + Send + 'static,
    work: W,
) -> Result<(), WorkerError>
where
    W: Fn(Delivery) -> D + Clone + Send + 'static,
    D: Future<Output = Result<(), JobError>> + Send + 'static,
{
    let connection =
        apalis_redis::connect(redis).await.map_err(|error| WorkerError::BackendError(error.into()))?;
    let config = Config::default()
        .queue(NAME)
        .heartbeat_interval(heartbeat)
        .missed_heartbeats(MISSED_HEARTBEATS)
        // apalis sends no heartbeats while jobs of a batch wait, and other workers would take the batch over.
        .batch_size(1)
        .emit_events(false);
    let storage = RedisStorage::<Vec<u8>>::new(connection)
        .with_config(config)
        .with_codec(RawBytes)
        .poll_with_strategy(FixedInterval(interval(POLL_INTERVAL)));
    WorkerBuilder::new(unique_name(worker))
        .backend(storage)
        .concurrency(1)
        .build(move |bytes: Vec<u8>, id: TaskId, attempt: Attempt| {
            let job = work(Delivery { id: id.to_string(), attempt: attempt.current(), bytes });
            async move { job.await.map_err(JobError::into_error) }
        })
        .run_until(async move {
            stop.await;
            Ok::<(), io::Error>(())
        })
        .await
}

/// Polls for jobs at a fixed interval. The strategy in apalis does not poll the timer that it has just set,
/// so the worker is sometimes not woken and finds its next job only at the next heartbeat.
struct FixedInterval(Interval);

impl PollStrategy for FixedInterval {
    fn poll_drive(&mut self, context: &mut Context<'_>, _: &PollSnapshot) -> Poll<Option<()>> {
        while self.0.poll_tick(context).is_ready() {}
        Poll::Pending
    }
}

/// Returns a name that is different for each start of a worker. Under the same name, apalis would make a
/// restarted worker wait until the killed one counts as dead.
fn unique_name(worker: &str) -> String {
    let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    format!("{worker}-{started:x}")
}

impl JobError {
    /// Converts to an error of apalis: an `AbortError` ends the job, any other error means another attempt.
    fn into_error(self) -> BoxDynError {
        match self {
            Self::Retry(why) => why.into(),
            Self::Abort(why) => AbortError::new(why).into(),
        }
    }
}

/// A codec that passes bytes through. apalis ends a worker that cannot decode a job, and then the next worker
/// that takes the job.
#[derive(Debug, Clone)]
struct RawBytes;

impl Codec<Vec<u8>> for RawBytes {
    type Error = Infallible;
    type Compact = Vec<u8>;

    fn encode(&self, bytes: &Vec<u8>) -> Result<Vec<u8>, Infallible> {
        Ok(bytes.clone())
    }

    fn decode(&self, bytes: &Vec<u8>) -> Result<Vec<u8>, Infallible> {
        Ok(bytes.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use auditx_tests::deadline::wait_until;
    use tokio::runtime::Runtime;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn each_poll_of_the_strategy_schedules_the_next_wake_up() {
        let runtime = Runtime::new().unwrap();
        let _inside = runtime.enter();
        let woken = Arc::new(Count::default());
        let waker = Arc::clone(&woken).into();
        let mut strategy = FixedInterval(interval(Duration::from_millis(1)));
        for times in 0..5 {
            wait_until("the next wake-up", || woken.0.load(Ordering::SeqCst) >= times);
            let polled = strategy.poll_drive(&mut Context::from_waker(&waker), &PollSnapshot::new());
            assert!(polled.is_pending());
        }
    }
}
