//! Atomic replacement of files, and moving aside what is in the way.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::{Access, Dir};

impl Dir {
    /// Creates a file for writing, or truncates it.
    pub(crate) fn create(&self, name: impl AsRef<Path>, is_private: bool) -> io::Result<File> {
        let access = Access::WRITE.or_create().truncate();
        self.open(name, if is_private { access.private() } else { access })
    }

    /// Replaces a file durably and atomically: temporary file, fsync, rename, fsync of the directory.
    pub(crate) fn replace(&self, name: impl AsRef<Path>, bytes: &[u8], is_private: bool) -> io::Result<()> {
        let name = name.as_ref();
        let (temporary, file) = self.write_beside(name, bytes, is_private)?;
        file.sync_all()?;
        self.rename_over(&temporary, name)?;
        self.sync(name.parent().unwrap_or(Path::new("")))
    }

    /// Replaces a file without fsync. A power loss may leave the old file, none, or an empty one.
    pub(crate) fn put(&self, name: impl AsRef<Path>, bytes: &[u8]) -> io::Result<()> {
        let name = name.as_ref();
        let (temporary, _) = self.write_beside(name, bytes, false)?;
        self.rename_over(&temporary, name)
    }

    fn write_beside(&self, name: &Path, bytes: &[u8], is_private: bool) -> io::Result<(PathBuf, File)> {
        let temporary = with_suffix(name, ".tmp");
        let mut file = self.create(&temporary, is_private)?;
        file.write_all(bytes)?;
        Ok((temporary, file))
    }

    /// Renames a new file to `name`, replacing the existing file. If another program created a directory
    /// there, it is moved aside.
    pub(crate) fn rename_over(&self, temporary: &Path, name: &Path) -> io::Result<()> {
        match self.rename(temporary, name) {
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => {
                self.set_aside(name)?;
                self.rename(temporary, name)
            }
            outcome => outcome,
        }
    }

    /// Renames anything under a name to a free name with_suffix it, and returns the new name.
    pub(crate) fn set_aside(&self, name: impl AsRef<Path>) -> io::Result<PathBuf> {
        let aside = self.free_name(&with_suffix(name.as_ref(), ".aside"))?;
        self.rename(name, &aside)?;
        Ok(aside)
    }

    /// Returns `name`, or the first of `name.1`, `name.2`, … that is free.
    pub(crate) fn free_name(&self, name: &Path) -> io::Result<PathBuf> {
        let mut candidate = name.to_path_buf();
        for number in 1_u64.. {
            if self.stat(&candidate)?.is_none() {
                break;
            }
            candidate = with_suffix(name, &format!(".{number}"));
        }
        Ok(candidate)
    }
}

/// Returns a name with a suffix appended.
fn with_suffix(name: &Path, suffix: &str) -> PathBuf {
    let mut name = name.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
