//! Work that is done before SIGINT, SIGTERM or SIGHUP ends the process.

use std::fs;
use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level::{emulate_default_handler, pipe};

/// Makes these signals call `work` before they end the process as they do by default. What it returns is
/// kept until then. Costs one thread per signal.
pub(crate) fn before_end<T>(work: impl Fn() -> T + Clone + Send + 'static) -> io::Result<()> {
    for signal in [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| !is_ignored(*signal)) {
        let (mut receiver, sender) = UnixStream::pair()?;
        pipe::register(signal, sender)?;
        let work = work.clone();
        thread::spawn(move || {
            if receiver.read_exact(&mut [0]).is_ok() {
                let kept = work();
                // It returns only if the signal has no default action.
                drop(emulate_default_handler(signal));
                drop(kept);
            }
        });
    }
    Ok(())
}

/// Waits for the end of the process, in a thread that depends on what the work of [`before_end`] has ended.
pub(crate) fn wait_for_end() -> ! {
    loop {
        thread::park();
    }
}

/// Returns `true` if the process ignores the signal, as `nohup` makes it ignore SIGHUP.
fn is_ignored(signal: i32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}
