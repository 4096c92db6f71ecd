//! A dashboard on a free port, and a client that sends exactly the given headers.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use auditx_core::{AuditLogger, Config, RequestContext};
use auditx_tests::events::limit_buffers;
use auditx_ui::Dashboard;
use axum::Router;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);

/// Text that a careless page would run, load or be misled by.
pub(crate) const HOSTILE: &str = "</td><script>document.title='owned'</script>\
    <img src=x onerror=\"document.title='owned'\"><a href=\"javascript:1\">'\"`${1}&lt;{{7*7}}\u{202e}cod.exe";

/// A trail and a logger that writes it.
pub(crate) struct Trail {
    pub(crate) logger: AuditLogger,
    pub(crate) directory: TempDir,
}

impl Drop for Trail {
    fn drop(&mut self) {
        // Closed already by tests of closed trails.
        drop(self.logger.close(TIMEOUT));
    }
}

impl Trail {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let logger = AuditLogger::open(Config::new(directory.path())).unwrap();
        Self { logger, directory }
    }

    /// Records this many entries, of two branches in turn.
    pub(crate) fn with(count: usize) -> Self {
        let trail = Self::new();
        for number in 0..count {
            let branch = if number % 2 == 0 { "YGN" } else { "MDY" };
            let _scope = RequestContext::new().user("thida").branch_id(branch).enter();
            trail.logger.log(format!("Invoice {number} posted")).record().unwrap();
        }
        trail.logger.flush(TIMEOUT).unwrap();
        trail
    }

    /// Returns the entries that say who read the trail.
    pub(crate) fn reads(&self) -> Vec<Value> {
        self.logger.flush(TIMEOUT).unwrap();
        let lines = auditx_tests::trail::lines(self.directory.path());
        lines.into_iter().map(|line| line.json).filter(|json| json["module"] == json!("audit")).collect()
    }
}

fn listener(address: SocketAddr) -> TcpListener {
    let listener = TcpListener::bind(address).unwrap();
    listener.set_nonblocking(true).unwrap();
    listener
}

/// A server on a free port, until it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    _runtime: Runtime,
}

impl Server {
    pub(crate) fn of(dashboard: Dashboard) -> Self {
        Self::serving(dashboard.router())
    }

    pub(crate) fn serving(router: Router) -> Self {
        Self::listening(listener((Ipv4Addr::LOCALHOST, 0).into()), router)
    }

    /// A server for which the kernel keeps only a few kilobytes that a client has not read.
    pub(crate) fn with_small_buffers(dashboard: Dashboard) -> Self {
        let listener = listener((Ipv4Addr::LOCALHOST, 0).into());
        limit_buffers(&listener);
        Self::listening(listener, dashboard.router())
    }

    /// Serves where another server was.
    pub(crate) fn at(address: SocketAddr, dashboard: Dashboard) -> Self {
        Self::listening(listener(address), dashboard.router())
    }

    fn listening(listener: TcpListener, router: Router) -> Self {
        let runtime = Runtime::new().unwrap();
        let address = listener.local_addr().unwrap();
        let listener = runtime.block_on(async { tokio::net::TcpListener::from_std(listener).unwrap() });
        runtime.spawn(async move {
            axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>()).await.unwrap()
        });
        Self { address, _runtime: runtime }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn get(&self, path: &str, headers: &str) -> Answer {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: {}\r\n{headers}\r\n", self.address))
    }

    pub(crate) fn post(&self, path: &str, headers: &str, body: &str) -> Answer {
        let kind = "Content-Type: application/x-www-form-urlencoded";
        let len = body.len();
        self.send(&format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\n{kind}\r\nContent-Length: {len}\r\n{headers}\r\n{body}",
            self.address
        ))
    }

    pub(crate) fn send(&self, request: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        let request = request.replacen("\r\n", "\r\nConnection: close\r\n", 1);
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The status line and the headers, in lower case.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}
