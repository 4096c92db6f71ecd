//! Handmade trails for tests, with full control of every file and byte.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use auditx_core::AuditLogger;
use auditx_store::ACTIVE;
use tempfile::TempDir;

use crate::file::compressed_name;

/// A trail directory, removed on drop.
pub(crate) struct Sample(TempDir);

/// A readable line of at least `len` bytes, without its newline.
pub(crate) fn line(seq: u64, len: usize) -> Vec<u8> {
    let head = format!("{{\"seq\":{seq},\"timestamp\":\"2025-11-24T00:00:00.000000Z\",\"description\":\"");
    let filling = len.saturating_sub(head.len() + 2);
    format!("{head}{}\"}}", "x".repeat(filling)).into_bytes()
}

/// Lines with their newlines.
pub(crate) fn text<L: AsRef<[u8]>>(lines: impl IntoIterator<Item = L>) -> Vec<u8> {
    lines.into_iter().flat_map(|line| [line.as_ref(), b"\n"].concat()).collect()
}

/// Far longer than anything that a test waits for takes, even on a busy machine.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(120);

/// Waits until an idle logger has compressed every sealed segment.
pub(crate) fn until_compressed(logger: &AuditLogger) {
    logger.flush(TIMEOUT).unwrap();
    let begin = Instant::now();
    while logger.metrics().compressed < logger.metrics().seals {
        assert!(begin.elapsed() < TIMEOUT, "{:?}", logger.metrics());
        std::thread::yield_now();
    }
}

impl Sample {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn directory(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn active(&self) -> PathBuf {
        self.directory().join(ACTIVE)
    }

    pub(crate) fn sealed(&self, first_seq: u64) -> PathBuf {
        self.directory().join(format!("audit-{first_seq:020}.jsonl"))
    }

    pub(crate) fn write_active(&self, bytes: &[u8]) {
        fs::write(self.active(), bytes).unwrap();
    }

    pub(crate) fn append(&self, bytes: &[u8]) {
        fs::OpenOptions::new().append(true).open(self.active()).unwrap().write_all(bytes).unwrap();
    }

    pub(crate) fn write_sealed(&self, first_seq: u64, bytes: &[u8]) {
        fs::write(self.sealed(first_seq), bytes).unwrap();
    }

    /// Compresses a sealed segment and returns its new path.
    pub(crate) fn compress(&self, first_seq: u64) -> PathBuf {
        let plain = self.sealed(first_seq);
        let compressed = compressed_name(&plain);
        fs::write(&compressed, zstd::encode_all(&*fs::read(&plain).unwrap(), 1).unwrap()).unwrap();
        fs::remove_file(plain).unwrap();
        compressed
    }

    /// Seals the active segment like a writer.
    pub(crate) fn seal(&self, first_seq: u64) {
        fs::rename(self.active(), self.sealed(first_seq)).unwrap();
        self.write_active(b"");
    }
}
