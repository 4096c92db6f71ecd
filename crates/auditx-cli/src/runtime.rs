//! Runs the asynchronous clients of destinations; the command itself is synchronous.

use crate::failure::Failure;

/// Runs a future to its end on this thread.
pub(crate) fn wait_for<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("cannot start an asynchronous runtime: {error}")))?;
    let done = runtime.block_on(work);
    // Does not wait for a host name that is still being resolved.
    runtime.shutdown_background();
    Ok(done)
}
