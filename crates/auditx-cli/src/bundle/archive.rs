//! A zip archive whose files are known by their hashes.

use std::io::{self, Write};
use std::path::Path;

use auditx_core::to_hex;
use sha2::{Digest, Sha256};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::failure::Failure;
use crate::save::NewFile;
use crate::terminal::harmless;

/// A file that was written: its name, length and hash.
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
    place: String,
}

impl Archive {
    pub(super) fn create(path: &Path) -> Result<Self, Failure> {
        let zip = ZipWriter::new(NewFile::create(path)?);
        Ok(Self { zip, members: Vec::new(), place: harmless(&path.to_string_lossy()) })
    }

    /// A file, written bit by bit.
    pub(super) fn file<T>(
        &mut self,
        name: &str,
        write: impl FnOnce(&mut Hashing<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        // Without a time of its own, so that the same files make the same archive; and of any length.
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

    /// A file that is at hand.
    pub(super) fn text(&mut self, name: &str, text: &str) -> Result<(), Failure> {
        self.file(name, |out| Ok(out.write_all(text.as_bytes())?))
    }

    /// What was written so far.
    pub(super) fn members(&self) -> &[Member] {
        &self.members
    }

    /// The archive is whole, and has its name.
    pub(super) fn finish(self) -> Result<(), Failure> {
        let place = self.place;
        let file =
            self.zip.finish().map_err(|error| Failure::said(format!("cannot write {place}: {error}")))?;
        file.finish()
    }

    fn failed(&self, error: impl std::fmt::Display) -> Failure {
        Failure::said(format!("cannot write {}: {error}", self.place))
    }
}

/// What is written is counted and hashed.
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
