//! Temporary names of unfinished files, removed if writing ends early, also by a signal.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crate::signals;

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

/// Makes SIGINT, SIGTERM and SIGHUP remove the names before they end the process.
pub(super) fn watch() -> io::Result<()> {
    static WATCH: OnceLock<()> = OnceLock::new();
    if WATCH.get().is_none() {
        signals::before_end(remove_all)?;
        WATCH.get_or_init(|| ());
    }
    Ok(())
}

/// Removes the names. While the returned lock is held, no further file gets a temporary name.
fn remove_all() -> MutexGuard<'static, Vec<PathBuf>> {
    let names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    for name in &*names {
        drop(fs::remove_file(name));
    }
    names
}
