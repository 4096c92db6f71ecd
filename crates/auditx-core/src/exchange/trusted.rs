//! The reverse proxies whose headers are trusted.

use std::net::IpAddr;

use auditx_format::{Error, Result};
use ipnet::IpNet;

/// The networks and addresses of reverse proxies whose headers are trusted.
///
/// ```
/// use auditx_core::http::TrustedProxies;
///
/// let proxies = TrustedProxies::parse(["10.0.0.0/8", "::1"])?;
/// assert!(proxies.contains("10.2.3.4".parse()?) && !proxies.contains("192.0.2.1".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Parses networks such as `10.0.0.0/8`, and addresses.
    ///
    /// # Errors
    /// `is_invalid` if one of them is neither.
    pub fn parse<P: AsRef<str>>(networks: impl IntoIterator<Item = P>) -> Result<Self> {
        networks.into_iter().map(|text| parse_network(text.as_ref())).collect::<Result<_>>().map(Self)
    }

    /// Whether this is the address of a trusted proxy. An IPv4 address mapped to IPv6 is the IPv4 address.
    #[must_use]
    pub fn contains(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.0.iter().any(|network| network.contains(&peer))
    }

    /// Whether no proxy is trusted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn parse_network(text: &str) -> Result<IpNet> {
    text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).map_err(|_| {
        Error::invalid(format!(
            "invalid trusted proxy {text:?}: expected an address or a network such as 10.0.0.0/8"
        ))
    })
}
