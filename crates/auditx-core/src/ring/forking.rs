//! A forked child, for tests: the standard library knows none that goes on in the same program.

#![expect(unsafe_code, reason = "fork(2) has no safe form")]

/// Runs `check` in a child; gives what it found. A panic there is false.
pub(crate) fn in_child(check: impl FnOnce() -> bool) -> bool {
    // SAFETY: the child only runs `check`, which takes no lock that another thread of the parent could hold at this moment
    // but the allocator's, which the C library makes usable again, and ends without running anything of the parent's.
    match unsafe { libc::fork() } {
        0 => {
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(check)).unwrap_or(false);
            // SAFETY: ends the process at once.
            unsafe { libc::_exit(i32::from(!outcome)) }
        }
        child => {
            let pid = rustix::process::Pid::from_raw(child).expect("a child was forked");
            let status = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty());
            matches!(status, Ok(Some((_, status))) if status.exit_status() == Some(0))
        }
    }
}
