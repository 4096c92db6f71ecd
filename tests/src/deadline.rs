//! Waiting for something that must happen: the condition is asked again and again, and time only ends the wait.

use std::time::{Duration, Instant};

/// Far more than anything here takes; only a test that has already failed waits this long.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(1);

/// Asks until there is an answer.
///
/// # Panics
/// Where there is none within [`PATIENCE`]; `what` says what did not happen.
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = look() {
            return answer;
        }
        assert!(Instant::now() < deadline, "{what} did not happen within {PATIENCE:?}");
        std::thread::sleep(PAUSE);
    }
}

/// Asks until the answer is yes.
///
/// # Panics
/// As [`wait_for`].
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    wait_for(what, || is_so().then_some(()));
}
