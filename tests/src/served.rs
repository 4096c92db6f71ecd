//! For tests of middleware: a trail of its own, and a client over a real socket that says exactly what it is told.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::net::SocketAddr;
use std::time::Duration;

use auditx_core::{AuditLogger, Config, RecordedEntry, StoredEntry, TrailReader};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A trail for one test.
#[derive(Debug)]
pub struct Trail {
    directory: tempfile::TempDir,
    /// Writes to it.
    pub logger: AuditLogger,
}

impl Default for Trail {
    fn default() -> Self {
        Self::new()
    }
}

impl Trail {
    /// A new one, in a directory that goes with it.
    #[must_use]
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let logger = AuditLogger::open(Config::new(directory.path())).unwrap();
        Self { directory, logger }
    }

    /// What was recorded, but not by the library itself.
    #[must_use]
    pub fn entries(&self) -> Vec<StoredEntry> {
        self.logger.flush(PATIENCE).unwrap();
        let mut reader = TrailReader::new(self.directory.path(), 0);
        let mut entries = Vec::new();
        while let Some((_, line)) = reader.next_line().unwrap() {
            entries.push(RecordedEntry::from_line(line).unwrap().parse().unwrap());
        }
        entries.retain(|entry: &StoredEntry| entry.own_record.is_none());
        entries
    }

    /// The closing entries so far.
    #[must_use]
    pub fn closings(&self) -> Vec<StoredEntry> {
        let mut entries = self.entries();
        entries.retain(|entry| !entry.method.is_empty());
        entries
    }

    /// So many closing entries, once they are there; more would be too many.
    pub async fn wait_for_closings(&self, count: usize) -> Vec<StoredEntry> {
        tokio::time::timeout(PATIENCE, async {
            while self.closings().len() < count {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await
        .expect("the closing entries are there in time");
        let closings = self.closings();
        assert_eq!(closings.len(), count, "{closings:?}");
        closings
    }
}

/// An answer as it came over the wire.
#[derive(Debug)]
pub struct Answer(pub Vec<u8>);

impl Answer {
    fn split(&self) -> (&[u8], &[u8]) {
        let end = self.0.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a head");
        (&self.0[..end], &self.0[end + 4..])
    }

    /// Its status.
    #[must_use]
    pub fn status(&self) -> u16 {
        let (head, _) = self.split();
        std::str::from_utf8(&head[9..12]).unwrap().parse().unwrap()
    }

    /// The first value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        let head = String::from_utf8_lossy(self.split().0).into_owned();
        head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then(|| value.to_owned())
        })
    }

    /// What follows the head; chunks as they came.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        self.split().1
    }
}

/// Sends a request over a connection of its own; takes what comes until the server closes it.
pub async fn ask(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut stream = send(address, method, path, headers).await;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    Answer(answer)
}

/// Sends a request.
pub async fn send(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut request = format!("{method} {path} HTTP/1.1\r\nhost: erp.test\r\n");
    if !headers.iter().any(|(name, _)| *name == "connection") {
        request.push_str("connection: close\r\n");
    }
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}
