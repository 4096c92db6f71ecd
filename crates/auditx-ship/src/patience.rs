//! How long somebody else is waited for: so long and no longer, and not beyond the end of the shipper.

use std::future::Future;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::error::{Error, Result, ShipError};

/// None while the shipper shall go on; then when it must be over.
pub(crate) type Stop = watch::Receiver<Option<Instant>>;

pub(crate) fn is_stopping(stop: &Stop) -> bool {
    stop.borrow().is_some() || stop.has_changed().is_err()
}

/// Shorter where the shipper is to stop.
pub(crate) async fn sleep(stop: &mut Stop, pause: Duration) {
    let is_to_stop = stop.wait_for(Option::is_some);
    // Whichever it was, the loop looks.
    drop(tokio::time::timeout(pause, is_to_stop).await);
}

/// The answer of a destination, unless it takes too long or the shipper must be over.
pub(crate) async fn within<T>(
    patience: Duration,
    stop: &mut Stop,
    answer: impl Future<Output = Result<T, ShipError>>,
) -> Result<T, ShipError> {
    let late = || Err(ShipError::timed_out(format!("no answer within {patience:?}")));
    in_time(patience, stop, answer).await.unwrap_or_else(late)
}

/// The same of what is read.
pub(crate) async fn read_within<T>(
    patience: Duration,
    stop: &mut Stop,
    answer: impl Future<Output = Result<T>>,
) -> Result<T> {
    let late = || Err(Error::new(format!("what is to be shipped cannot be read within {patience:?}")));
    in_time(patience, stop, answer).await.unwrap_or_else(late)
}

/// None where it takes too long, or the shipper must be over.
pub(crate) async fn in_time<T>(
    patience: Duration,
    stop: &mut Stop,
    answer: impl Future<Output = T>,
) -> Option<T> {
    let over = async {
        let deadline = stop.wait_for(Option::is_some).await.ok().and_then(|deadline| *deadline);
        if let Some(deadline) = deadline {
            tokio::time::sleep_until(deadline.into()).await;
        }
    };
    tokio::select! {
        answer = tokio::time::timeout(patience, answer) => answer.ok(),
        () = over => None,
    }
}
