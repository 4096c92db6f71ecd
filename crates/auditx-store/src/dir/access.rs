//! Access modes for opening files, and permissions of created files.

use std::io;
use std::os::fd::AsFd;

use rustix::fs::{Gid, Mode, OFlags, RawMode};

/// Keys and the ring are readable by their owner only, regardless of the configuration.
pub(super) const PRIVATE_FILE: RawMode = 0o600;
pub(super) const PRIVATE_DIRECTORY: RawMode = 0o700;

/// Permissions and group of the files that the library creates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Modes {
    /// Exactly these permissions, regardless of the umask; `None`: 0640 less the umask.
    pub(crate) file: Option<u32>,
    /// Exactly these permissions, regardless of the umask; `None`: 0750 less the umask.
    pub(crate) directory: Option<u32>,
    /// The group of files and directories; `None`: that of the process, or of the directory if it is set-gid.
    pub(crate) group: Option<u32>,
}

impl Modes {
    pub(super) const FILE: u32 = 0o640;
    pub(super) const DIRECTORY: u32 = 0o750;
}

/// The access mode for opening a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Access {
    pub(super) flags: OFlags,
    pub(super) is_private: bool,
}

impl Access {
    pub(crate) const READ: Self = Self::of(OFlags::RDONLY);
    pub(crate) const READ_WRITE: Self = Self::of(OFlags::RDWR);
    pub(crate) const WRITE: Self = Self::of(OFlags::WRONLY);
    pub(crate) const APPEND: Self = Self::of(OFlags::RDWR.union(OFlags::APPEND));

    const fn of(flags: OFlags) -> Self {
        Self { flags, is_private: false }
    }

    /// Creates the file if it does not exist.
    pub(crate) const fn or_create(self) -> Self {
        Self { flags: self.flags.union(OFlags::CREATE), ..self }
    }

    /// Creates the file; opening fails if it exists.
    pub(crate) const fn create_new(self) -> Self {
        Self { flags: self.flags.union(OFlags::CREATE).union(OFlags::EXCL), ..self }
    }

    pub(super) const fn truncate(self) -> Self {
        Self { flags: self.flags.union(OFlags::TRUNC), ..self }
    }

    /// Lets only this user read a file that is created.
    pub(crate) const fn private(self) -> Self {
        Self { is_private: true, ..self }
    }
}

/// Sets the permissions and the group of a file or directory that was just created.
pub(super) fn set_owner(created: impl AsFd, mode: Option<u32>, group: Option<u32>) -> io::Result<()> {
    let created = created.as_fd();
    if let Some(group) = group {
        rustix::fs::fchown(created, None, Some(Gid::from_raw(group)))?;
    }
    if let Some(mode) = mode {
        rustix::fs::fchmod(created, Mode::from_raw_mode(raw(mode)))?;
    }
    Ok(())
}

#[cfg(target_os = "linux")]
pub(super) const fn raw(mode: u32) -> RawMode {
    mode & 0o7777
}

#[cfg(not(target_os = "linux"))]
pub(super) fn raw(mode: u32) -> RawMode {
    RawMode::try_from(mode & 0o7777).unwrap_or(PRIVATE_FILE)
}
