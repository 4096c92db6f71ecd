//! A zip archive that records the length and hash of each file.

use std::io::{self, Seek, Write};

use auditx_tlog::to_hex;
use sha2::{Digest, Sha256};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::error::{Error, Result};
use crate::sink::Sink;

/// The name, length and hash of a file in the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) bytes: u64,
    /// SHA-256, in hexadecimal.
    pub(crate) sha256: String,
}

/// An archive that is being written.
pub(crate) struct Archive<W: Write + Seek> {
    zip: ZipWriter<Sink<W>>,
    members: Vec<Member>,
    /// The bytes that further files may have; `None` for any number.
    left: Option<u64>,
}

impl<W: Write + Seek> Archive<W> {
    /// Begins an archive whose files may have this many bytes together, before compression.
    pub(crate) fn new(out: W, max_bytes: Option<u64>) -> Self {
        Self { zip: ZipWriter::new(Sink::new(out)), members: Vec::new(), left: max_bytes }
    }

    /// Adds a file with the content that `write` produces.
    pub(crate) fn file<T>(
        &mut self,
        name: &str,
        write: impl FnOnce(&mut Hashing<'_, W>) -> Result<T>,
    ) -> Result<T> {
        // No modification time, so that the same files make the same archive; zip64, for files of any length.
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .unix_permissions(0o644)
            .large_file(true);
        self.zip.start_file(name, options).map_err(Error::output)?;
        let mut out =
            Hashing { out: &mut self.zip, hash: Sha256::new(), bytes: 0, left: self.left, is_full: false };
        let outcome = write(&mut out);
        if out.is_full {
            return Err(Error::too_large("the files of the archive are too long: narrow the search"));
        }
        let outcome = outcome?;
        let (hash, bytes): ([u8; 32], u64) = (out.hash.finalize().into(), out.bytes);
        self.left = out.left;
        self.members.push(Member { name: name.to_owned(), bytes, sha256: to_hex(&hash) });
        Ok(outcome)
    }

    /// Adds a file with this content.
    pub(crate) fn text(&mut self, name: &str, text: &str) -> Result<()> {
        self.file(name, |out| out.write_all(text.as_bytes()).map_err(Error::output))
    }

    /// Returns the files added so far.
    pub(crate) fn members(&self) -> &[Member] {
        &self.members
    }

    /// Completes the archive.
    pub(crate) fn finish(self) -> Result<()> {
        self.zip.finish().map_err(Error::output)?.flush().map_err(Error::output)
    }
}

/// Counts and hashes what is written.
pub(crate) struct Hashing<'a, W: Write + Seek> {
    out: &'a mut ZipWriter<Sink<W>>,
    hash: Sha256,
    bytes: u64,
    left: Option<u64>,
    is_full: bool,
}

impl<W: Write + Seek> Write for Hashing<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.left.is_some_and(|left| bytes.len() as u64 > left) {
            self.is_full = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let len = self.out.write(bytes)?;
        self.hash.update(&bytes[..len]);
        self.bytes += len as u64;
        self.left = self.left.map(|left| left - len as u64);
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
