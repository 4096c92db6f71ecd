//! The load generator: keep-alive connections on one thread, each with one outstanding request, without
//! pipelining.
//!
//! It uses epoll directly, so that it costs less than the fastest server and does not limit the result. At
//! the end, it waits for all outstanding requests, so that the server has answered exactly as many requests
//! as are counted here.

use std::ffi::OsString;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use clap::Args;
use memchr::memmem;
use rustix::event::{Timespec, epoll};
use serde::{Deserialize, Serialize};

use super::subject::PATH;
use crate::{Outcome, quantile};

/// If there is no response within this time, the server hangs.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);

/// epoll is polled without waiting. Waking a sleeping thread would cost the server CPU time: on a virtual
/// machine, the interrupt between processors costs more than what is measured here.
const NO_WAIT: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

#[derive(Debug, Args)]
pub(crate) struct LoadOptions {
    #[arg(long)]
    pub(super) port: u16,
    #[arg(long)]
    pub(super) connections: u16,
    #[arg(long)]
    pub(super) seconds: f64,
}

impl LoadOptions {
    /// Returns these options as arguments for a child process.
    pub(super) fn to_arguments(&self) -> Vec<OsString> {
        let words = [
            "load",
            "--port",
            &self.port.to_string(),
            "--connections",
            &self.connections.to_string(),
            "--seconds",
            &self.seconds.to_string(),
        ];
        words.map(OsString::from).to_vec()
    }
}

/// The result of a load.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Load {
    pub(super) requests: u64,
    pub(super) requests_per_s: f64,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
}

impl Load {
    #[expect(clippy::cast_precision_loss, reason = "no run has 2^53 requests")]
    pub(super) fn requests_as_f64(&self) -> f64 {
        self.requests as f64
    }
}

/// Generates the load and prints the result.
pub(super) fn run(options: &LoadOptions) -> Outcome<()> {
    let mut generator = Generator::connect(options)?;
    let start = Instant::now();
    generator.run_until(start + Duration::try_from_secs_f64(options.seconds)?)?;
    let elapsed = start.elapsed();
    let latencies = &mut generator.latencies;
    latencies.sort_unstable();
    let mut load = Load {
        requests: u64::try_from(latencies.len())?,
        requests_per_s: 0.0,
        p50_us: microseconds(quantile::per_mille(latencies, 500)),
        p99_us: microseconds(quantile::per_mille(latencies, 990)),
    };
    load.requests_per_s = load.requests_as_f64() / elapsed.as_secs_f64();
    println!("{}", serde_json::to_string(&load)?);
    Ok(())
}

fn microseconds(nanoseconds: u64) -> f64 {
    Duration::from_nanos(nanoseconds).as_secs_f64() * 1e6
}

struct Generator {
    connections: Vec<Connection>,
    epoll: OwnedFd,
    request: Vec<u8>,
    latencies: Vec<u64>,
}

struct Connection {
    stream: TcpStream,
    sent: Instant,
    response: Vec<u8>,
}

impl Generator {
    fn connect(options: &LoadOptions) -> Outcome<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut connections = Vec::new();
        for at in 0..options.connections {
            let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, options.port))?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            epoll::add(&epoll, &stream, epoll::EventData::new_u64(at.into()), epoll::EventFlags::IN)?;
            connections.push(Connection { stream, sent: Instant::now(), response: Vec::with_capacity(1024) });
        }
        let request =
            format!("GET {PATH} HTTP/1.1\r\nhost: 127.0.0.1:{}\r\naccept: */*\r\n\r\n", options.port);
        Ok(Self { connections, epoll, request: request.into_bytes(), latencies: Vec::new() })
    }

    /// Sends requests on each connection until the deadline, each as soon as the previous one is answered.
    fn run_until(&mut self, deadline: Instant) -> Outcome<()> {
        for connection in &mut self.connections {
            connection.send(&self.request)?;
        }
        let mut outstanding = self.connections.len();
        let mut events = Vec::with_capacity(self.connections.len());
        let mut last_event = Instant::now();
        while outstanding > 0 {
            events.clear();
            let room = rustix::buffer::spare_capacity(&mut events);
            if epoll::wait(&self.epoll, room, Some(&NO_WAIT))? == 0 {
                if last_event.elapsed() > RESPONSE_TIMEOUT {
                    return Err("the server stopped answering".into());
                }
                continue;
            }
            last_event = Instant::now();
            for event in &events {
                let connection = &mut self.connections[usize::try_from(event.data.u64())?];
                if !connection.receive()? {
                    continue;
                }
                let now = Instant::now();
                self.latencies.push(u64::try_from((now - connection.sent).as_nanos())?);
                if now < deadline {
                    connection.send(&self.request)?;
                } else {
                    outstanding -= 1;
                }
            }
        }
        Ok(())
    }
}

impl Connection {
    fn send(&mut self, request: &[u8]) -> Outcome<()> {
        self.sent = Instant::now();
        // After a complete response, the socket's send buffer is empty, so a short write does not occur.
        Ok(self.stream.write_all(request)?)
    }

    /// Reads the available data. Returns whether the response is complete.
    fn receive(&mut self) -> Outcome<bool> {
        let mut bytes = [0; 4096];
        match self.stream.read(&mut bytes) {
            Ok(0) => return Err("the server closed a connection".into()),
            Ok(count) => self.response.extend_from_slice(&bytes[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        let complete = is_complete(&self.response)?;
        if complete {
            self.response.clear();
        }
        Ok(complete)
    }
}

/// Returns whether these bytes are a complete response with status 200 and a body of its `content-length`.
fn is_complete(response: &[u8]) -> Outcome<bool> {
    const BLANK_LINE: &[u8] = b"\r\n\r\n";
    let Some(head_end) = memmem::find(response, BLANK_LINE) else { return Ok(false) };
    let (head, body) = (&response[..head_end], &response[head_end + BLANK_LINE.len()..]);
    if !head.starts_with(b"HTTP/1.1 200 ") {
        return Err(format!("the server answered {}", String::from_utf8_lossy(head)).into());
    }
    let length = head
        .split(|byte| *byte == b'\n')
        .find_map(content_length)
        .ok_or("a response without content-length")?;
    match body.len().cmp(&length) {
        std::cmp::Ordering::Less => Ok(false),
        std::cmp::Ordering::Equal => Ok(true),
        std::cmp::Ordering::Greater => Err("more data than the content-length".into()),
    }
}

fn content_length(line: &[u8]) -> Option<usize> {
    const NAME: &[u8] = b"content-length:";
    let (name, value) = line.split_at_checked(NAME.len())?;
    let value = name.eq_ignore_ascii_case(NAME).then_some(value)?;
    std::str::from_utf8(value).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_complete_with_its_last_byte() {
        let response = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nx-y: z\r\n\r\nabc";
        for end in 0..response.len() {
            assert!(!is_complete(&response[..end]).unwrap(), "{end}");
        }
        assert!(is_complete(response).unwrap());
    }

    #[test]
    fn an_error_response_or_excess_data_is_an_error() {
        assert!(is_complete(b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n").is_err());
        assert!(is_complete(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nab").is_err());
        assert!(is_complete(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
