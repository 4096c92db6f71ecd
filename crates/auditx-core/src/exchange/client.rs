//! Determines the client's address: the peer of the socket, or the address that a trusted proxy forwarded.

use std::net::IpAddr;

use super::settings::ProxyHeader;
use super::trusted::TrustedProxies;

/// Returns the client's address: the rightmost of the forwarded addresses that is not a trusted proxy.
///
/// If the peer is not trusted, it is the client, and the headers are ignored. Text that is not an address
/// ends the search: nothing to its left was written by a trusted proxy.
pub(super) fn client_address(
    peer: IpAddr,
    values: &[String],
    header: ProxyHeader,
    proxies: &TrustedProxies,
) -> IpAddr {
    let mut client = peer;
    for hop in values.iter().rev().flat_map(|value| hops(value, header)) {
        if !proxies.contains(client) {
            break;
        }
        match parse_hop(hop) {
            Some(ip) => client = ip,
            None => break,
        }
    }
    client
}

/// Returns the addresses in one value of the header, from the right.
fn hops(value: &str, header: ProxyHeader) -> Vec<&str> {
    match header {
        ProxyHeader::XForwardedFor => value.rsplit(',').map(str::trim).collect(),
        // An invalid value is treated as one hop that is not an address.
        ProxyHeader::Forwarded => forwarded(value).unwrap_or_else(|| vec![""]),
    }
}

/// Returns the `for` parameter of each element of `Forwarded` (RFC 7239), from the right. `None` if the value
/// is not valid by the RFC: an unpaired quotation mark could otherwise hide what the proxy appended.
fn forwarded(value: &str) -> Option<Vec<&str>> {
    let mut elements = vec![""];
    let mut rest = value.trim_start();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=')?;
        let (given, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').filter(|(text, _)| !text.contains('\\'))?,
            None => after.split_at(after.find([',', ';', ' ', '\t', '"', '=']).unwrap_or(after.len())),
        };
        if name.trim().eq_ignore_ascii_case("for") {
            *elements.last_mut()? = given;
        }
        let after = after.trim_start();
        rest = match after.chars().next() {
            None => "",
            Some(';') => after[1..].trim_start(),
            Some(',') => {
                elements.push("");
                after[1..].trim_start()
            }
            Some(_) => return None,
        };
    }
    elements.reverse();
    Some(elements)
}

/// Parses an address, with or without a port and brackets.
fn parse_hop(text: &str) -> Option<IpAddr> {
    let ip = text.parse().ok().or_else(|| text.parse().map(|socket: std::net::SocketAddr| socket.ip()).ok());
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    ip.or_else(bracketed).map(|ip: IpAddr| ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client_by(header: ProxyHeader, peer: &str, forwarded: &[&str], proxies: &[&str]) -> String {
        let forwarded: Vec<String> = forwarded.iter().map(|&value| value.to_owned()).collect();
        let proxies = TrustedProxies::parse(proxies).unwrap();
        let peer: IpAddr = peer.parse().unwrap();
        client_address(peer.to_canonical(), &forwarded, header, &proxies).to_string()
    }

    fn client(peer: &str, forwarded: &[&str], proxies: &[&str]) -> String {
        client_by(ProxyHeader::XForwardedFor, peer, forwarded, proxies)
    }

    #[test]
    fn an_untrusted_peer_is_the_client() {
        assert_eq!(client("203.0.113.9", &["10.0.0.1"], &[]), "203.0.113.9");
        assert_eq!(client("203.0.113.9", &["1.2.3.4"], &["10.0.0.0/8"]), "203.0.113.9");
    }

    #[test]
    fn the_client_is_the_last_hop_that_is_not_trusted() {
        let proxies = &["10.0.0.0/8"];
        assert_eq!(client("10.0.0.1", &["198.51.100.7"], proxies), "198.51.100.7");
        assert_eq!(client("10.0.0.1", &["6.6.6.6, 198.51.100.7, 10.0.0.2"], proxies), "198.51.100.7");
        assert_eq!(client("10.0.0.1", &["6.6.6.6", "198.51.100.7"], proxies), "198.51.100.7");
        assert_eq!(client("10.0.0.1", &["6.6.6.6, nonsense, 10.0.0.2"], proxies), "10.0.0.2");
        assert_eq!(client("10.0.0.1", &[], proxies), "10.0.0.1");
        assert_eq!(client("::ffff:10.0.0.1", &["[2001:db8::1]:443"], proxies), "2001:db8::1");
        assert_eq!(client("10.0.0.1", &["198.51.100.7:1234"], proxies), "198.51.100.7");
    }

    #[test]
    fn forwarded_is_parsed_according_to_rfc_7239() {
        let client = |forwarded: &[&str]| {
            client_by(ProxyHeader::Forwarded, "10.0.0.1", forwarded, &["10.0.0.0/8", "fd00::/8"])
        };
        assert_eq!(client(&["for=192.0.2.60;proto=http;by=203.0.113.43"]), "192.0.2.60");
        assert_eq!(client(&["For=\"[2001:db8:cafe::17]:4711\""]), "2001:db8:cafe::17");
        assert_eq!(client(&["for=6.6.6.6, for=192.0.2.43 , for=10.0.0.7"]), "192.0.2.43");
        assert_eq!(client(&["for=6.6.6.6", "proto=https; for=\"192.0.2.43:8080\""]), "192.0.2.43");
        assert_eq!(client(&["for=192.0.2.43, for=unknown"]), "10.0.0.1", "`unknown` is not an address");
        assert_eq!(client(&["for=192.0.2.43, for=_hidden, for=10.0.0.7"]), "10.0.0.7");
        assert_eq!(client(&["for=192.0.2.43, proto=https"]), "10.0.0.1");
        assert_eq!(client(&[""]), "10.0.0.1");
    }

    #[test]
    fn an_unpaired_quotation_mark_does_not_forge_the_client() {
        let client =
            |forwarded: &str| client_by(ProxyHeader::Forwarded, "10.0.0.1", &[forwarded], &["10.0.0.0/8"]);
        for forged in [
            "for=\"6.6.6.6, for=192.0.2.43",
            "for=6.6.6.6;x=\", for=\"[2001:db8::1]:80\"",
            "for=\"6.6.6.6\\\", for=\"192.0.2.43\"",
            "for=6.6.6.6 for=192.0.2.43",
            "6.6.6.6, for=192.0.2.43",
        ] {
            assert!(
                ["10.0.0.1", "192.0.2.43"].contains(&client(forged).as_str()),
                "{forged}: {}",
                client(forged)
            );
        }
    }
}
