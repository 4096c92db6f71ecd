//! Points at which a test can kill the process. Without the feature `testing` they compile to nothing.

#[cfg(not(any(test, feature = "testing")))]
#[inline(always)]
pub(crate) fn kill_point(_name: &str) {}

#[cfg(any(test, feature = "testing"))]
pub(crate) use armed::kill_point;

#[cfg(any(test, feature = "testing"))]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// `NAME#N`: kills the process when it passes the kill point of that name for the N-th time.
    const VARIABLE: &str = "AUDITX_TEST_KILL_AT";

    static ARMED: OnceLock<Option<(String, AtomicU64)>> = OnceLock::new();

    pub(crate) fn kill_point(name: &str) {
        let armed = ARMED.get_or_init(|| {
            let text = std::env::var(VARIABLE).ok()?;
            let (name, count) = text.rsplit_once('#')?;
            Some((name.to_owned(), AtomicU64::new(count.parse().ok()?)))
        });
        if let Some((armed, left)) = armed
            && armed == name
            // ORDERING: only the count matters; Relaxed would do.
            && left.fetch_sub(1, Ordering::SeqCst) == 1
        {
            let us = rustix::process::getpid();
            rustix::process::kill_process(us, rustix::process::Signal::KILL)
                .expect("a process may kill itself");
        }
    }
}
