//! The queue of the background jobs: Redis, through apalis.
//!
//! Comes in: a job's id and its bytes. Goes out: deliveries, each at least once, to whichever worker is free. It knows nothing
//! of what a job says, because a worker must survive whatever lies in Redis.

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

/// Its name in Redis.
const NAME: &str = "erp:reports";

/// How long a request waits for Redis to take its job.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often a free worker looks for a job.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// So many heartbeats late, a worker counts as dead, and its jobs are given to others.
const MISSED_HEARTBEATS: usize = 3;

/// A job as a worker is given it.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The job's id, as whoever enqueued it chose it.
    pub id: String,
    /// One, and one more after each attempt that failed. A worker that was killed has not failed.
    pub attempt: usize,
    /// What lies in Redis.
    pub bytes: Vec<u8>,
}

/// Why a job was not done.
#[derive(Debug)]
pub enum Undone {
    /// It is to be tried again, a little later each time.
    Again(String),
    /// Another attempt would end the same way.
    Never(String),
}

/// The end of the queue where jobs are put in.
#[derive(Debug, Clone)]
pub struct Queue {
    storage: RedisStorage<Vec<u8>>,
}

impl Queue {
    /// Connects when the first job is put in, and anew after Redis has been away. To be called inside a tokio runtime.
    ///
    /// # Errors
    /// Where the address is none.
    pub fn at(redis: &str) -> Result<Self, Box<dyn Error>> {
        let connection = Client::open(redis)?.get_connection_manager_lazy(Default::default())?;
        Ok(Self { storage: RedisStorage::new(connection).with_config(Config::default().queue(NAME)) })
    }

    /// Puts a job in. Once this has returned `Ok`, Redis has it.
    ///
    /// # Errors
    /// [`Refusal::Unavailable`] where Redis does not say in time that it has the job. It may have it all the same, as with
    /// anything that is asked for over a network.
    pub async fn put(&self, id: &str, bytes: Vec<u8>) -> Result<(), Refusal> {
        let task = TaskBuilder::new(bytes).task_id(TaskId::from_string(id)).build();
        let mut storage = self.storage.clone().with_codec(AsItIs);
        match timeout(PATIENCE, storage.push_task(task)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Refusal::Unavailable(format!("the queue does not take the job: {error}"))),
            Err(_) => Err(Refusal::Unavailable(format!("the queue has not answered for {PATIENCE:?}"))),
        }
    }
}

/// Takes jobs, one at a time, until `stop` ends. The job at hand is then finished.
///
/// # Errors
/// Where Redis cannot be reached, goes away, or has given this worker's jobs to others because it was silent for too long. What
/// it had at hand is then taken by another worker.
pub async fn take<W, D>(
    redis: &str,
    worker: &str,
    heartbeat: Duration,
    stop: impl Future<Output = ()> + Send + 'static,
    work: W,
) -> Result<(), WorkerError>
where
    W: Fn(Delivery) -> D + Clone + Send + 'static,
    D: Future<Output = Result<(), Undone>> + Send + 'static,
{
    let connection =
        apalis_redis::connect(redis).await.map_err(|error| WorkerError::BackendError(error.into()))?;
    let config = Config::default()
        .queue(NAME)
        .heartbeat_interval(heartbeat)
        .missed_heartbeats(MISSED_HEARTBEATS)
        // While some of a batch wait for their turn, apalis sends no heartbeats, and others would take the batch over.
        .batch_size(1)
        .emit_events(false);
    let storage = RedisStorage::<Vec<u8>>::new(connection)
        .with_config(config)
        .with_codec(AsItIs)
        .poll_with_strategy(Regularly(interval(POLL_INTERVAL)));
    WorkerBuilder::new(unique(worker))
        .backend(storage)
        .concurrency(1)
        .build(move |bytes: Vec<u8>, id: TaskId, attempt: Attempt| {
            let job = work(Delivery { id: id.to_string(), attempt: attempt.current(), bytes });
            async move { job.await.map_err(Undone::into_error) }
        })
        .run_until(async move {
            stop.await;
            Ok::<(), io::Error>(())
        })
        .await
}

/// When a worker looks for a job. The interval that apalis brings does not poll the timer it has just set: now and then nobody
/// wakes the worker any more, and it finds its next job only by the next heartbeat.
struct Regularly(Interval);

impl PollStrategy for Regularly {
    fn poll_drive(&mut self, context: &mut Context<'_>, _: &PollSnapshot) -> Poll<Option<()>> {
        while self.0.poll_tick(context).is_ready() {}
        Poll::Pending
    }
}

/// A worker that comes back after a kill is another one for apalis, which would let it wait until the killed one counts as
/// dead.
fn unique(worker: &str) -> String {
    let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    format!("{worker}-{started:x}")
}

impl Undone {
    /// As apalis reads it: an abort ends the job, any other error means another attempt.
    fn into_error(self) -> BoxDynError {
        match self {
            Self::Again(why) => why.into(),
            Self::Never(why) => AbortError::new(why).into(),
        }
    }
}

/// Bytes, unread: apalis ends a worker whose job it cannot decode, and the next worker that takes the job too.
#[derive(Debug, Clone)]
struct AsItIs;

impl Codec<Vec<u8>> for AsItIs {
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
    fn a_worker_that_looks_once_each_time_it_is_woken_is_woken_again() {
        let runtime = Runtime::new().unwrap();
        let _inside = runtime.enter();
        let woken = Arc::new(Count::default());
        let waker = Arc::clone(&woken).into();
        let mut strategy = Regularly(interval(Duration::from_millis(1)));
        for times in 0..5 {
            wait_until("the next look", || woken.0.load(Ordering::SeqCst) >= times);
            let looked = strategy.poll_drive(&mut Context::from_waker(&waker), &PollSnapshot::new());
            assert!(looked.is_pending());
        }
    }
}
