//! Runs code in a forked child, for tests: the standard library cannot fork and continue in the same program.

#![expect(unsafe_code, reason = "fork(2) has no safe form")]

/// Runs `check` in a child and returns its result, or false if it panicked.
pub(super) fn in_child(check: impl FnOnce() -> bool) -> bool {
    // SAFETY: after a fork in a program with threads, the child may only do what does not depend on the other
    // threads. It runs `check`, which takes no lock that another thread of the parent could hold at this
    // moment except the allocator's, which the C library makes usable again, and it ends without running
    // anything of the parent's.
    match unsafe { libc::fork() } {
        0 => {
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(check)).unwrap_or(false);
            // SAFETY: `_exit` has no precondition. It ends the process at once, without destructors or exit
            // handlers.
            unsafe { libc::_exit(i32::from(!outcome)) }
        }
        child => {
            let pid = rustix::process::Pid::from_raw(child).expect("a child was forked");
            let status = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty());
            matches!(status, Ok(Some((_, status))) if status.exit_status() == Some(0))
        }
    }
}

/// Forks a child that does nothing until it is killed. Returns its process id.
pub(super) fn idle_child() -> i32 {
    // SAFETY: as in `in_child`; the child only calls pause(2), which is async-signal-safe.
    match unsafe { libc::fork() } {
        0 => loop {
            // SAFETY: `pause` has no precondition.
            unsafe { libc::pause() };
        },
        child => child,
    }
}
