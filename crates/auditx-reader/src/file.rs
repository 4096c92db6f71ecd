//! Opens the files of a trail for reading: regular files only, never through a symbolic link, never blocking.
//!
//! Unlike the writer, it accepts files of any owner: an auditor reads what a service wrote.

use std::fs::{self, File, FileType, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use auditx_store::SealedSegment;
use auditx_tlog::parse_seq;
use rustix::fs::OFlags;

use crate::error::{Error, Result};

/// More than any checkpoint or identity of auditx.
const MOST_SMALL_BYTES: u64 = 64 * 1024;

/// Identifies a file by device and inode, independently of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }

    /// The file that has this name now.
    pub(crate) fn named(path: &Path) -> Option<Self> {
        fs::symlink_metadata(path).ok().map(|metadata| Self::of(&metadata))
    }
}

/// Opens a regular file; `None` if it does not exist.
///
/// # Errors
/// `is_refused` for anything but a regular file, `is_storage` if the file cannot be opened.
pub(crate) fn open(path: &Path) -> Result<Option<File>> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(i32::try_from(flags.bits()).unwrap_or(0));
    let outcome = options.open(path).and_then(|file| Ok((file.metadata()?, file)));
    match outcome {
        Ok((metadata, file)) if metadata.is_file() => Ok(Some(file)),
        Ok((metadata, _)) => Err(refusal(metadata.file_type(), path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        // Opening a symbolic link, a socket or a file without permission fails: the file type tells them
        // apart.
        Err(error) => match fs::symlink_metadata(path) {
            Ok(metadata) if !metadata.is_file() => Err(refusal(metadata.file_type(), path)),
            _ => Err(Error::storage("cannot open the file", path, error)),
        },
    }
}

/// Opens a sealed segment, also if it was compressed after it was listed. Returns the segment as it is now;
/// `None` if it was retired or moved away.
///
/// # Errors
/// As [`open`].
pub(crate) fn open_sealed(listed: &SealedSegment) -> Result<Option<(SealedSegment, File)>> {
    let mut sealed = listed.clone();
    if !sealed.compressed {
        if let Some(file) = open(&sealed.path)? {
            return Ok(Some((sealed, file)));
        }
        (sealed.path, sealed.compressed) = (compressed_name(&sealed.path), true);
    }
    Ok(open(&sealed.path)?.map(|file| (sealed, file)))
}

/// The name of a plain sealed segment after compression.
pub(crate) fn compressed_name(plain: &Path) -> PathBuf {
    let mut name = plain.as_os_str().to_owned();
    name.push(".zst");
    name.into()
}

/// Returns the bytes of a checkpoint or of the identity; `None` if the file does not exist. A file that is
/// too long is cut, so that it cannot be parsed.
///
/// # Errors
/// As [`open`].
pub(crate) fn read_small(path: &Path) -> Result<Option<Vec<u8>>> {
    let Some(file) = open(path)? else { return Ok(None) };
    let mut bytes = Vec::new();
    file.take(MOST_SMALL_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Error::storage("cannot read the file", path, error))?;
    Ok(Some(bytes))
}

/// More than the beginning of a line up to the comma after its seq.
pub(crate) const LINE_HEAD: usize = 64;

/// Returns the first bytes of a file, enough to parse the seq of a line.
fn line_head(file: &File) -> Option<([u8; LINE_HEAD], usize)> {
    let mut head = [0; LINE_HEAD];
    let len = file.read_at(&mut head, 0).ok()?;
    Some((head, len))
}

/// Returns the seq of the first line of a plain file; `None` if it begins with none.
pub(crate) fn first_seq(file: &File) -> Option<u64> {
    let (head, len) = line_head(file)?;
    parse_seq(&head[..len])
}

/// Whether a plain file begins with a JSON object without a seq.
pub(crate) fn begins_as_legacy(file: &File) -> bool {
    line_head(file).is_some_and(|(head, len)| head.starts_with(b"{") && parse_seq(&head[..len]).is_none())
}

fn refusal(file_type: FileType, path: &Path) -> Error {
    Error::refused(format!("{} instead of a regular file", kind_of(file_type)), path)
}

/// The name of a file type, for messages.
pub(crate) fn kind_of(file_type: FileType) -> &'static str {
    if file_type.is_symlink() {
        "a symbolic link"
    } else if file_type.is_dir() {
        "a directory"
    } else if file_type.is_fifo() {
        "a FIFO"
    } else if file_type.is_socket() {
        "a socket"
    } else if file_type.is_file() {
        "a regular file"
    } else {
        "a device"
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_regular_files_are_opened_and_a_fifo_does_not_block() {
        let directory = tempfile::tempdir().unwrap();
        let [file, link, fifo, none] =
            ["file", "link", "fifo", "none"].map(|name| directory.path().join(name));
        fs::write(&file, b"x").unwrap();
        symlink(&file, &link).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());

        assert!(open(&file).unwrap().is_some());
        assert!(open(&none).unwrap().is_none());
        for (path, what) in
            [(&*link, "a symbolic link"), (&*fifo, "a FIFO"), (directory.path(), "a directory")]
        {
            let error = open(path).unwrap_err();
            assert!(error.is_refused() && error.to_string().starts_with(what), "{error}");
        }
    }
}
