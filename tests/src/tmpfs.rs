//! A small tmpfs, which a test can fill or make read-only.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::deadline::wait_until;

/// A mounted tmpfs; unmounted when dropped.
#[derive(Debug)]
pub struct Tmpfs {
    directory: TempDir,
}

impl Tmpfs {
    /// Mounts a tmpfs of this many bytes. Returns `None` if the process may not mount.
    ///
    /// # Panics
    /// If no temporary directory can be created.
    #[must_use]
    pub fn mount(bytes: u64) -> Option<Self> {
        let directory = tempfile::tempdir().expect("a temporary directory can be created");
        let options = format!("size={bytes},mode=0755");
        run("mount", &["-t", "tmpfs", "-o", &options, "tmpfs"], directory.path()).then(|| Self { directory })
    }

    /// Returns the mount point.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Makes it read-only, as soon as no file on it is open for writing.
    ///
    /// # Panics
    /// If that does not happen in time.
    pub fn forbid_writing(&self) {
        // A thread that is just ending, or a child just forked by another test, may still have files open.
        wait_until("a read-only tmpfs", || run("mount", &["-o", "remount,ro"], self.path()));
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // Lazily, because a test that panics may still have files open. `run` prints a failure.
        run("umount", &["--lazy"], self.path());
    }
}

fn run(program: &str, arguments: &[&str], directory: &Path) -> bool {
    match Command::new(program).args(arguments).arg(directory).output() {
        Ok(output) if output.status.success() => true,
        Ok(output) => {
            eprintln!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim());
            false
        }
        Err(error) => {
            eprintln!("cannot start {program}: {error}");
            false
        }
    }
}
