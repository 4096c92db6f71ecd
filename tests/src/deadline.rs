//! Waits for a condition by polling it. The time limit only ends a test that has already failed.

use std::time::{Duration, Instant};

/// The time limit, far longer than any wait takes in a test that passes.
pub const TIMEOUT: Duration = Duration::from_secs(120);

/// The pause between two polls.
const POLL_INTERVAL: Duration = Duration::from_millis(1);

/// Calls `poll` until it returns a value. `what` names the awaited event in the panic message.
///
/// # Panics
/// If there is no value within [`TIMEOUT`].
pub fn wait_for<T>(what: &str, mut poll: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        if let Some(value) = poll() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited {TIMEOUT:?} in vain for {what}");
        std::thread::sleep(POLL_INTERVAL);
    }
}

/// Calls `condition` until it returns `true`.
///
/// # Panics
/// As [`wait_for`].
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    wait_for(what, || condition().then_some(()));
}
