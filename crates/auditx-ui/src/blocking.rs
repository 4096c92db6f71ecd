//! Reading a trail blocks, so it runs on threads that may be blocked, a few reads at a time.

use std::sync::Arc;

use axum::http::StatusCode;
use tokio::sync::Semaphore;

use crate::problem::Problem;

/// The number of reads that run at the same time: each may use every processor.
pub(crate) fn new_limit() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(std::thread::available_parallelism().map_or(2, usize::from).max(2)))
}

/// Waits for its turn, then runs `work` on a thread that may be blocked. A panic is an error of this request
/// only. Work that has begun ends even if the client leaves, and counts until then.
pub(crate) async fn run<T: Send + 'static>(
    limit: &Arc<Semaphore>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    // Nothing closes the semaphore.
    let permit = limit.clone().acquire_owned().await.ok();
    let done = tokio::task::spawn_blocking(move || {
        let result = work();
        drop(permit);
        result
    });
    // The text of a panic is on standard error, and may name what the viewer may not see.
    done.await
        .map_err(|_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "reading the trail ended unexpectedly"))
}
