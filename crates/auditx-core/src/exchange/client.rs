//! Who is at the other end: the peer of the socket, or whom a trusted proxy says it speaks for.

use std::net::IpAddr;

use ipnet::IpNet;

/// Walks the addresses in `X-Forwarded-For` from the right to the first that is no trusted proxy.
///
/// A peer that is not trusted is the client, whatever it claims. Text that is no address ends the walk: what stands left
/// of it was vouched for by nobody.
pub(super) fn client_address(peer: IpAddr, forwarded_for: &[String], proxies: &[IpNet]) -> IpAddr {
    let is_trusted = |ip: IpAddr| proxies.iter().any(|network| network.contains(&ip));
    let mut client = peer.to_canonical();
    let hops = forwarded_for.iter().rev().flat_map(|value| value.rsplit(','));
    for hop in hops {
        if !is_trusted(client) {
            break;
        }
        match parse_hop(hop.trim()) {
            Some(ip) => client = ip,
            None => break,
        }
    }
    client
}

/// An address, with or without a port and brackets.
fn parse_hop(text: &str) -> Option<IpAddr> {
    let ip = text.parse().ok().or_else(|| text.parse().map(|socket: std::net::SocketAddr| socket.ip()).ok());
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    ip.or_else(bracketed).map(|ip: IpAddr| ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, forwarded: &[&str], proxies: &[&str]) -> String {
        let forwarded: Vec<String> = forwarded.iter().map(|&value| value.to_owned()).collect();
        let proxies: Vec<IpNet> = proxies.iter().map(|network| network.parse().unwrap()).collect();
        client_address(peer.parse().unwrap(), &forwarded, &proxies).to_string()
    }

    #[test]
    fn an_untrusted_peer_is_the_client_whatever_it_claims() {
        assert_eq!(client("203.0.113.9", &["10.0.0.1"], &[]), "203.0.113.9");
        assert_eq!(client("203.0.113.9", &["1.2.3.4"], &["10.0.0.0/8"]), "203.0.113.9");
    }

    #[test]
    fn a_trusted_proxy_is_believed_up_to_the_first_untrusted_hop() {
        let proxies = &["10.0.0.0/8"];
        assert_eq!(client("10.0.0.1", &["198.51.100.7"], proxies), "198.51.100.7");
        assert_eq!(client("10.0.0.1", &["6.6.6.6, 198.51.100.7, 10.0.0.2"], proxies), "198.51.100.7");
        assert_eq!(client("10.0.0.1", &["6.6.6.6", "198.51.100.7"], proxies), "198.51.100.7");
        assert_eq!(client("10.0.0.1", &["6.6.6.6, nonsense, 10.0.0.2"], proxies), "10.0.0.2");
        assert_eq!(client("10.0.0.1", &[], proxies), "10.0.0.1");
        assert_eq!(client("::ffff:10.0.0.1", &["[2001:db8::1]:443"], proxies), "2001:db8::1");
        assert_eq!(client("10.0.0.1", &["198.51.100.7:1234"], proxies), "198.51.100.7");
    }
}
