//! Waiting for something that must happen: it is looked for again and again, and time only ends the wait.

use std::time::{Duration, Instant};

/// Far more than anything here takes; only a test that has already failed waits this long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(150);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(1);

/// Looks until there is an answer; `what` says what there was to wait for.
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = look() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} for {what}");
        std::thread::sleep(PAUSE);
    }
}
