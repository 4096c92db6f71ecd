//! The command line of the services.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

/// How long closing the trail may take. Disks do stall, and an exit in haste would only report it as a failure.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(60);

/// A small ERP service with an audit trail.
#[derive(Debug, Clone, Parser)]
#[command(version)]
pub struct Options {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub addr: SocketAddr,

    /// The directory of the audit trail.
    #[arg(long, default_value = "logs")]
    pub log_dir: PathBuf,

    /// A reverse proxy, or a network of them, whose X-Forwarded-For is believed; may be given again.
    #[arg(long = "trust-proxy", value_name = "NET")]
    pub trusted_proxies: Vec<String>,

    /// How many seconds requests may still take once the service is told to stop.
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    pub grace: u64,
}

impl Options {
    /// How long requests may still take once the service is told to stop.
    #[must_use]
    pub fn grace(&self) -> Duration {
        Duration::from_secs(self.grace)
    }
}
