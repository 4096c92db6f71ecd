//! A small disk of one's own, which can be filled and made read-only.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::deadline::wait_until;

/// A mounted tmpfs; unmounted when dropped, also by a panic.
#[derive(Debug)]
pub struct Tmpfs {
    directory: TempDir,
}

impl Tmpfs {
    /// Mounts one of this many bytes; none where this process may not mount.
    ///
    /// # Panics
    /// Where no temporary directory can be made.
    #[must_use]
    pub fn mount(bytes: u64) -> Option<Self> {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let options = format!("size={bytes},mode=0755");
        run("mount", &["-t", "tmpfs", "-o", &options, "tmpfs"], directory.path()).then(|| Self { directory })
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Makes it read-only, once nobody has a file on it open for writing.
    ///
    /// # Panics
    /// Where that does not come true.
    pub fn forbid_writing(&self) {
        // A thread that has just ended, or a child just forked by another test, may hold files a moment longer.
        wait_until("a read-only tmpfs", || run("mount", &["-o", "remount,ro"], self.path()));
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // Lazily, because a test that panics may still have files open. A failure is said on stderr.
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
