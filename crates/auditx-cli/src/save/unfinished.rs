//! Temporary names of unfinished files, removed if writing ends early, also by a signal.

use std::fs;
use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level::{emulate_default_handler, pipe};

/// The names that a signal removes.
static NAMES: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// A temporary name, removed on drop.
#[derive(Debug)]
pub(super) struct Unfinished(Option<PathBuf>);

impl Unfinished {
    pub(super) fn new(name: PathBuf) -> Self {
        NAMES.lock().unwrap_or_else(PoisonError::into_inner).push(name.clone());
        Self(Some(name))
    }

    /// Renames the complete file to its final name.
    pub(super) fn rename(&mut self, name: &Path) -> io::Result<()> {
        if let Some(temporary) = &self.0 {
            fs::rename(temporary, name)?;
            self.forget();
        }
        Ok(())
    }

    fn forget(&mut self) -> Option<PathBuf> {
        let name = self.0.take()?;
        NAMES.lock().unwrap_or_else(PoisonError::into_inner).retain(|known| *known != name);
        Some(name)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(name) = self.forget() {
            // The error that ended the write is reported instead; a leftover file does no damage.
            drop(fs::remove_file(name));
        }
    }
}

/// Makes SIGINT, SIGTERM and SIGHUP remove the names before they end the process. Costs one thread per
/// signal.
pub(super) fn watch() -> io::Result<()> {
    static WATCH: OnceLock<()> = OnceLock::new();
    if WATCH.get().is_none() {
        for signal in [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| !is_ignored(*signal)) {
            let (mut receiver, sender) = UnixStream::pair()?;
            pipe::register(signal, sender)?;
            thread::spawn(move || end_at(signal, &mut receiver));
        }
        WATCH.get_or_init(|| ());
    }
    Ok(())
}

fn end_at(signal: i32, receiver: &mut UnixStream) {
    if receiver.read_exact(&mut [0]).is_err() {
        return;
    }
    // Held until the process ends, so that no further file gets a temporary name.
    let names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    for name in &*names {
        drop(fs::remove_file(name));
    }
    // Ends the process as the signal does by default.
    drop(emulate_default_handler(signal));
}

/// Returns `true` if the process ignores the signal, as `nohup` makes it ignore SIGHUP.
fn is_ignored(signal: i32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}
