//! For tests of middleware: its closing entries, and a client over a real socket that says exactly what it is told.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::net::SocketAddr;
use std::time::Duration;

use auditx_core::StoredEntry;
use auditx_core::testing::TestTrail;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// The closing entries so far.
#[must_use]
pub fn closings(trail: &TestTrail) -> Vec<StoredEntry> {
    let mut entries = trail.entries();
    entries.retain(|entry| !entry.method.is_empty());
    entries
}

/// The one closing entry there must be.
#[must_use]
pub fn only_closing(trail: &TestTrail) -> StoredEntry {
    let mut closings = closings(trail);
    assert_eq!(closings.len(), 1, "exactly one closing entry: {closings:?}");
    closings.remove(0)
}

/// So many closing entries, once they are there; more would be too many.
pub async fn wait_for_closings(trail: &TestTrail, count: usize) -> Vec<StoredEntry> {
    let arrived = tokio::time::timeout(PATIENCE, async {
        while closings(trail).len() < count {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    arrived.await.expect("the closing entries are there in time");
    let closings = closings(trail);
    assert_eq!(closings.len(), count, "{closings:?}");
    closings
}

/// What a browser says to open a WebSocket, with the request's id `ws-1`.
pub const HANDSHAKE: [(&str, &str); 5] = [
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("X-Request-ID", "ws-1"),
];

/// A text frame from a client, masked with zeros (RFC 6455).
#[must_use]
pub fn text_frame(text: &str) -> Vec<u8> {
    const SHORTEST_LONG: u8 = 126;
    let len = u8::try_from(text.len()).unwrap();
    assert!(len < SHORTEST_LONG, "longer ones have another head");
    [&[0x81, 0x80 | len, 0, 0, 0, 0], text.as_bytes()].concat()
}

/// Opens a WebSocket with [`HANDSHAKE`].
pub async fn open_websocket(address: SocketAddr, path: &str) -> TcpStream {
    let mut stream = send(address, "GET", path, &HANDSHAKE).await;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        assert_ne!(stream.read_buf(&mut head).await.unwrap(), 0);
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "));
    stream
}

/// Says something over a WebSocket; gives the short text that comes back.
pub async fn say(stream: &mut TcpStream, text: &str) -> String {
    stream.write_all(&text_frame(text)).await.unwrap();
    let mut head = [0; 2];
    stream.read_exact(&mut head).await.unwrap();
    let mut answer = vec![0; head[1].into()];
    stream.read_exact(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
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
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("connection")) {
        request.push_str("connection: close\r\n");
    }
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}
