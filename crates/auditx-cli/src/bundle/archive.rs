//! A zip archive that records the length and hash of each file.

use std::io::{self, Write};
use std::path::Path;

use auditx_tlog::to_hex;
use sha2::{Digest, Sha256};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::failure::Failure;
use crate::save::NewFile;
use crate::terminal::sanitized;

/// The name, length and hash of a file in the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) bytes: u64,
    /// SHA-256, in hexadecimal.
    pub(super) sha256: String,
}

/// An archive that is being written.
pub(super) struct Archive {
    zip: ZipWriter<NewFile>,
    members: Vec<Member>,
    display_path: String,
}

impl Archive {
    pub(super) fn create(path: &Path) -> Result<Self, Failure> {
        let zip = ZipWriter::new(NewFile::create(path)?);
        Ok(Self { zip, members: Vec::new(), display_path: sanitized(&path.to_string_lossy()) })
    }

    /// Adds a file with the content that `write` produces.
    pub(super) fn file<T>(
        &mut self,
        name: &str,
        write: impl FnOnce(&mut Hashing<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        // No modification time, so that the same files make the same archive; zip64, for files of any length.
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .unix_permissions(0o644)
            .large_file(true);
        self.zip.start_file(name, options).map_err(|error| self.failed(error))?;
        let mut out = Hashing { out: &mut self.zip, hash: Sha256::new(), bytes: 0 };
        let outcome = write(&mut out)?;
        let (hash, bytes): ([u8; 32], u64) = (out.hash.finalize().into(), out.bytes);
        self.members.push(Member { name: name.to_owned(), bytes, sha256: to_hex(&hash) });
        Ok(outcome)
    }

    /// Adds a file with this content.
    pub(super) fn text(&mut self, name: &str, text: &str) -> Result<(), Failure> {
        self.file(name, |out| Ok(out.write_all(text.as_bytes())?))
    }

    /// Returns the files added so far.
    pub(super) fn members(&self) -> &[Member] {
        &self.members
    }

    /// Completes the archive and gives it its name.
    pub(super) fn finish(self) -> Result<(), Failure> {
        let display_path = self.display_path;
        let file = self
            .zip
            .finish()
            .map_err(|error| Failure::new(format!("cannot write {display_path}: {error}")))?;
        file.finish()
    }

    fn failed(&self, error: impl std::fmt::Display) -> Failure {
        Failure::new(format!("cannot write {}: {error}", self.display_path))
    }
}

/// Counts and hashes what is written.
pub(super) struct Hashing<'a> {
    out: &'a mut ZipWriter<NewFile>,
    hash: Sha256,
    bytes: u64,
}

impl Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = self.out.write(bytes)?;
        self.hash.update(&bytes[..len]);
        self.bytes += len as u64;
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
