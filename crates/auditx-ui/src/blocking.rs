//! Reading a trail blocks, so it runs on threads that may be blocked.

use axum::http::StatusCode;

use crate::problem::Problem;

/// Runs `work` on a thread that may be blocked, and waits for it. A panic is an error of this request only.
pub(crate) async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, format!("reading the trail failed: {error}"))
    })
}
