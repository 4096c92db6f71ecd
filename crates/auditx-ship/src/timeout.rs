//! Waits for a destination or a source with a time limit, and not beyond the shipper's deadline.

use std::future::Future;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::error::{Error, Result, ShipError};

/// `None` while the shipper runs; the deadline once it is to stop.
pub(crate) type Stop = watch::Receiver<Option<Instant>>;

pub(crate) fn is_stopping(stop: &Stop) -> bool {
    stop.borrow().is_some() || stop.has_changed().is_err()
}

/// Sleeps until the pause is over or the shipper is to stop.
pub(crate) async fn sleep(stop: &mut Stop, pause: Duration) {
    let is_to_stop = stop.wait_for(Option::is_some);
    // The result is irrelevant: the caller's loop checks for a stop.
    drop(tokio::time::timeout(pause, is_to_stop).await);
}

/// Waits for a destination's response. Returns a timeout error if it takes too long or the shipper's deadline
/// passes.
pub(crate) async fn within<T>(
    timeout: Duration,
    stop: &mut Stop,
    answer: impl Future<Output = Result<T, ShipError>>,
) -> Result<T, ShipError> {
    let timed_out = || Err(ShipError::timed_out(format!("no answer within {timeout:?}")));
    in_time(timeout, stop, answer).await.unwrap_or_else(timed_out)
}

/// Waits for a read from a source, with the same limits.
pub(crate) async fn read_within<T>(
    timeout: Duration,
    stop: &mut Stop,
    answer: impl Future<Output = Result<T>>,
) -> Result<T> {
    let timed_out =
        || Err(Error::new(format!("the lines to be shipped could not be read within {timeout:?}")));
    in_time(timeout, stop, answer).await.unwrap_or_else(timed_out)
}

/// Waits for a future. `None` if it takes longer than the timeout or the shipper's deadline passes.
pub(crate) async fn in_time<T>(
    timeout: Duration,
    stop: &mut Stop,
    answer: impl Future<Output = T>,
) -> Option<T> {
    let deadline_passed = async {
        let deadline = stop.wait_for(Option::is_some).await.ok().and_then(|deadline| *deadline);
        if let Some(deadline) = deadline {
            tokio::time::sleep_until(deadline.into()).await;
        }
    };
    tokio::select! {
        answer = tokio::time::timeout(timeout, answer) => answer.ok(),
        () = deadline_passed => None,
    }
}
