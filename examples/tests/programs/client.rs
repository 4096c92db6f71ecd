//! An HTTP/1 client that sends exactly the given bytes over one connection.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use auditx_examples::accounts::ACCOUNTS;
use auditx_tests::deadline::TIMEOUT;
use serde_json::Value;

/// A manager's token.
pub(crate) const MANAGER: &str = ACCOUNTS[0].0;
/// A clerk's token.
pub(crate) const CLERK: &str = ACCOUNTS[1].0;

/// An encoded request.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    head: Vec<u8>,
    body: Vec<u8>,
}

impl Request {
    pub(crate) fn new(method: &str, path: &str) -> Self {
        Self {
            head: format!("{method} {path} HTTP/1.1\r\nHost: erp.test\r\n").into_bytes(),
            body: Vec::new(),
        }
    }

    pub(crate) fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    pub(crate) fn post(path: &str, body: &Value) -> Self {
        Self::new("POST", path).json(body)
    }

    pub(crate) fn put(path: &str, body: &Value) -> Self {
        Self::new("PUT", path).json(body)
    }

    pub(crate) fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.head.extend_from_slice(name.as_bytes());
        self.head.extend_from_slice(b": ");
        self.head.extend_from_slice(value.as_ref());
        self.head.extend_from_slice(b"\r\n");
        self
    }

    pub(crate) fn token(self, token: &str) -> Self {
        self.header("Authorization", format!("Bearer {token}"))
    }

    pub(crate) fn id(self, id: &str) -> Self {
        self.header("X-Request-ID", id)
    }

    fn json(mut self, body: &Value) -> Self {
        self.body = body.to_string().into_bytes();
        let len = self.body.len().to_string();
        self.header("Content-Type", "application/json").header("Content-Length", len)
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        [&self.head, b"\r\n".as_slice(), &self.body].concat()
    }
}

/// A decoded response.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Returns the request id that the service assigned.
    pub(crate) fn id(&self) -> &str {
        self.header("x-request-id").expect("a response has the request id")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Client(BufReader<TcpStream>);

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(BufReader::new(stream))
    }

    /// Returns a second handle to the connection, for a thread that only sends.
    pub(crate) fn try_clone(&self) -> Self {
        Self(BufReader::new(self.0.get_ref().try_clone().unwrap()))
    }

    /// Sends as much as the server accepts.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) {
        unless_closed(self.0.get_mut().write_all(bytes));
    }

    /// Closes the sending half of the connection.
    pub(crate) fn finish_sending(&mut self) {
        self.0.get_ref().shutdown(std::net::Shutdown::Write).unwrap();
    }

    /// Closes the connection with a TCP reset.
    pub(crate) fn reset(self) {
        rustix::net::sockopt::set_socket_linger(self.0.get_ref(), Some(std::time::Duration::ZERO)).unwrap();
    }

    /// Reads until the server closes or resets the connection.
    pub(crate) fn receive_to_end(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        unless_closed(self.0.read_to_end(&mut bytes));
        bytes
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).unwrap();
    }

    pub(crate) fn request(&mut self, request: &Request) -> Response {
        self.try_request(request).expect("the service answers")
    }

    /// Sends a request and returns the response; `None` if the connection ends before the response is
    /// complete.
    pub(crate) fn try_request(&mut self, request: &Request) -> Option<Response> {
        self.0.get_mut().write_all(&request.to_bytes()).ok()?;
        self.receive()
    }

    /// Reads the next response with its body; `None` if the connection ends first.
    pub(crate) fn receive(&mut self) -> Option<Response> {
        let mut response = self.receive_head()?;
        if response.header("transfer-encoding") == Some("chunked") {
            while let Some(chunk) = self.receive_chunk()? {
                response.body.extend(chunk);
            }
        } else {
            let len = response.header("content-length").map_or(0, |len| len.parse().unwrap());
            response.body = self.receive_bytes(len)?;
        }
        Some(response)
    }

    /// Reads the head of the next response, and leaves its body unread.
    pub(crate) fn receive_head(&mut self) -> Option<Response> {
        let status = self.receive_line()?.split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = Vec::new();
        loop {
            let line = self.receive_line()?;
            let Some((name, value)) = line.split_once(": ") else { break };
            headers.push((name.to_owned(), value.to_owned()));
        }
        Some(Response { status, headers, body: Vec::new() })
    }

    pub(crate) fn receive_bytes(&mut self, len: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; len];
        unless_closed(self.0.read_exact(&mut bytes))?;
        Some(bytes)
    }

    /// Reads the rest of a chunked body and returns its length. Calls `before_chunk` before each chunk.
    pub(crate) fn receive_chunks(&mut self, mut before_chunk: impl FnMut(usize)) -> usize {
        let mut len = 0;
        for number in 0.. {
            before_chunk(number);
            match self.receive_chunk().unwrap() {
                Some(chunk) => len += chunk.len(),
                None => break,
            }
        }
        len
    }

    /// Reads a chunk of a chunked body; `Some(None)` after the last one.
    fn receive_chunk(&mut self) -> Option<Option<Vec<u8>>> {
        let len = usize::from_str_radix(&self.receive_line()?, 16).unwrap();
        let chunk = self.receive_bytes(len)?;
        assert_eq!(self.receive_line()?, "", "a chunk ends with a line break");
        Some((len > 0).then_some(chunk))
    }

    fn receive_line(&mut self) -> Option<String> {
        let mut line = String::new();
        unless_closed(self.0.read_line(&mut line))?;
        Some(line.strip_suffix("\r\n")?.to_owned())
    }
}

/// Returns `None` if the server has closed the connection. Panics on any other error, such as a timeout.
fn unless_closed<T>(result: std::io::Result<T>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(error) => {
            let closed = [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
            assert!(closed.contains(&error.kind()), "cannot read a response: {error}");
            None
        }
    }
}
