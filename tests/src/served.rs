//! Helpers for tests of middleware: closing entries, and an HTTP/1 client that sends exactly the given bytes.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::net::SocketAddr;
use std::time::Duration;

use auditx_core::StoredEntry;
use auditx_core::testing::TestTrail;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Far longer than any wait takes in a test that passes.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Returns the closing entries so far.
#[must_use]
pub fn closings(trail: &TestTrail) -> Vec<StoredEntry> {
    let mut entries = trail.entries();
    entries.retain(|entry| !entry.method.is_empty());
    entries
}

/// Returns the closing entry of a trail that must have exactly one.
#[must_use]
pub fn only_closing(trail: &TestTrail) -> StoredEntry {
    let mut closings = closings(trail);
    assert_eq!(closings.len(), 1, "exactly one closing entry: {closings:?}");
    closings.remove(0)
}

/// Waits until there are `count` closing entries and returns them; panics if there are more.
pub async fn wait_for_closings(trail: &TestTrail, count: usize) -> Vec<StoredEntry> {
    let arrived = tokio::time::timeout(TIMEOUT, async {
        while closings(trail).len() < count {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    arrived.await.expect("the closing entries are written in time");
    let closings = closings(trail);
    assert_eq!(closings.len(), count, "{closings:?}");
    closings
}

/// The headers that open a WebSocket, with the request id `ws-1`.
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
    const MAX_SHORT: u8 = 125;
    let len = u8::try_from(text.len()).unwrap();
    assert!(len <= MAX_SHORT, "longer frames have another header");
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

/// Sends a text message over a WebSocket and returns the answer, which must be short.
pub async fn exchange_text(stream: &mut TcpStream, text: &str) -> String {
    stream.write_all(&text_frame(text)).await.unwrap();
    let mut head = [0; 2];
    stream.read_exact(&mut head).await.unwrap();
    let mut answer = vec![0; head[1].into()];
    stream.read_exact(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

/// The bytes of a response.
#[derive(Debug)]
pub struct Answer(pub Vec<u8>);

impl Answer {
    fn split(&self) -> (&[u8], &[u8]) {
        let end = self.0.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a head");
        (&self.0[..end], &self.0[end + 4..])
    }

    /// Returns the status.
    #[must_use]
    pub fn status(&self) -> u16 {
        let (head, _) = self.split();
        std::str::from_utf8(&head[9..12]).unwrap().parse().unwrap()
    }

    /// Returns the first value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        let head = String::from_utf8_lossy(self.split().0).into_owned();
        head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then(|| value.to_owned())
        })
    }

    /// Returns the bytes after the head, with the encoding of chunks.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        self.split().1
    }
}

/// The secret in [`SECRET_TARGETS`].
pub const SECRET: &str = "s3cr3t-77c0ffee";

/// Request targets that contain [`SECRET`] in the places where applications put secrets.
pub const SECRET_TARGETS: &[&str] = &[
    "/me?token=s3cr3t-77c0ffee",
    "/me?pass%77ord=s3cr3t-77c0ffee",
    "/me?access_token=s3cr3t-77c0ffee",
    "/me?jwt=s3cr3t-77c0ffee",
    "/me?otp=s3cr3t-77c0ffee",
    "/me?code=s3cr3t-77c0ffee&state=kept",
    "/me?code_verifier=s3cr3t-77c0ffee",
    "/me?id_token=s3cr3t-77c0ffee",
    "/me?refreshToken=s3cr3t-77c0ffee",
    "/me?client_secret=s3cr3t-77c0ffee",
    "/me?client_assertion=s3cr3t-77c0ffee",
    "/me?assertion=s3cr3t-77c0ffee",
    "/me?SAMLRequest=s3cr3t-77c0ffee",
    "/me?SAMLResponse=s3cr3t-77c0ffee&RelayState=kept",
    "/me?X-Amz-Signature=s3cr3t-77c0ffee",
    "/me?X-Amz-Credential=s3cr3t-77c0ffee",
    "/me?X-Amz-Security-Token=s3cr3t-77c0ffee",
    "/me?AWSAccessKeyId=s3cr3t-77c0ffee&Expires=1",
    "/me?Signature=s3cr3t-77c0ffee",
    "/me?sig=s3cr3t-77c0ffee",
    "/me?X-Goog-Signature=s3cr3t-77c0ffee",
    "/me?key=s3cr3t-77c0ffee",
    "/me?session=s3cr3t-77c0ffee",
    "/me?a=1;token=s3cr3t-77c0ffee",
    "/me?token=a;s3cr3t-77c0ffee",
    "/me?redirect=https%3A%2F%2Fx%2F%3Ftoken%3Ds3cr3t-77c0ffee",
    "/me?redirect=https%3A%2F%2Fx%2F%3Fa%3D1%26next%3D\
     https%253A%252F%252Fy%252F%253Fcode%253Ds3cr3t-77c0ffee",
    "/me?redirect=/reset-password/s3cr3t-77c0ffee",
    "/me?url=https://thida:s3cr3t-77c0ffee@x/",
    "/me?url=https%3A%2F%2Fx%2F%23access_token%3Ds3cr3t-77c0ffee",
    "/me;jsessionid=s3cr3t-77c0ffee",
    "/reset-password/s3cr3t-77c0ffee",
    "/reset%2Dpassword/s3cr3t-77c0ffee",
    "/r%65set_password/s3cr3t-77c0ffee?a=1",
    "/nowhere/password-reset/MQ/s3cr3t-77c0ffee/confirm",
    "/nowhere/verify-email/s3cr3t-77c0ffee",
    "/nowhere/magic-link/s3cr3t-77c0ffee",
    "/nowhere/invite/s3cr3t-77c0ffee",
    "/nowhere/unsubscribe/s3cr3t-77c0ffee",
    "/nowhere/token%2Fs3cr3t-77c0ffee",
    // A route with this parameter is served: `/r/{token}`.
    "/r/s3cr3t-77c0ffee",
    "/r/s3cr3t%2D77c0ffee",
];

/// Returns whether the active segment contains the text.
#[must_use]
pub fn holds(trail: &TestTrail, text: &str) -> bool {
    let lines = std::fs::read(trail.directory().join("audit.jsonl")).unwrap();
    lines.windows(text.len()).any(|bytes| bytes == text.as_bytes())
}

/// Sends a request over a new connection and reads until the server closes it.
pub async fn ask(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut stream = send(address, method, path, headers).await;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    Answer(answer)
}

/// As [`ask`], with a body.
pub async fn ask_with(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    let length = body.len().to_string();
    let headers = [headers, &[("content-length", length.as_str())]].concat();
    let mut stream = send(address, method, path, &headers).await;
    stream.write_all(body).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    Answer(answer)
}

/// Sends the head of a request with a body in chunks; [`exchange_chunk`] sends them.
pub async fn send_chunked(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> TcpStream {
    send(address, "POST", path, &[headers, &[("transfer-encoding", "chunked")]].concat()).await
}

/// Sends one chunk and reads until the server has sent its text back.
pub async fn exchange_chunk(stream: &mut TcpStream, text: &str) {
    stream.write_all(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes()).await.unwrap();
    let mut seen = Vec::new();
    let came_back = async {
        while !seen.windows(text.len()).any(|bytes| bytes == text.as_bytes()) {
            assert_ne!(stream.read_buf(&mut seen).await.unwrap(), 0);
        }
    };
    tokio::time::timeout(TIMEOUT, came_back).await.expect("the chunk is sent back in time");
}

/// Sends a request's head.
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
