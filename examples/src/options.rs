//! Command line options of the services.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

/// How long closing the trail may take. A shorter timeout would report a stalled disk as a failure.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(60);

/// A small ERP service with an audit trail.
#[derive(Debug, Clone, Parser)]
#[command(version)]
pub struct Options {
    /// Address to listen on; with port 0 the operating system chooses a free port.
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub addr: SocketAddr,

    /// The directory of the audit trail.
    #[arg(long, default_value = "logs")]
    pub log_dir: PathBuf,

    /// A reverse proxy or network whose X-Forwarded-For header is trusted; may be repeated.
    #[arg(long = "trust-proxy", value_name = "NET")]
    pub trusted_proxies: Vec<String>,

    /// Seconds that running requests may take after the service was asked to stop.
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    pub grace: u64,
}

impl Options {
    /// Returns how long running requests may take after the service was asked to stop.
    #[must_use]
    pub fn grace(&self) -> Duration {
        Duration::from_secs(self.grace)
    }
}
