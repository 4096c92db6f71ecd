//! IP networks: `192.168.1.0/24`, `2001:db8::/32`.
//!
//! An IPv4-mapped IPv6 address such as `::ffff:192.168.1.7` counts as the IPv4 address, in queries and in
//! entries.

use std::fmt;
use std::net::IpAddr;
use std::ops::Range;

/// An IP network: the addresses that share a prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Network {
    /// The first address. Never an IPv4-mapped IPv6 address.
    first: IpAddr,
    prefix: u32,
}

/// The length in bits of the prefix that marks an IPv4-mapped IPv6 address.
const MAPPED: u32 = 96;

impl Network {
    /// Parses an address, a slash and a prefix length. Address bits after the prefix count as zero.
    ///
    /// # Errors
    /// Returns the span of the error and a message.
    pub(super) fn parse(text: &str) -> Result<Self, (Range<usize>, String)> {
        let (address, prefix) = text.split_once('/').unwrap_or((text, ""));
        let Ok(address) = address.parse::<IpAddr>() else {
            return Err((0..address.len(), format!("{address:?} is not an IP address")));
        };
        let most = if address.is_ipv4() { 32 } else { 128 };
        let is_number = !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_digit());
        let Some(prefix) = prefix.parse::<u32>().ok().filter(|prefix| is_number && *prefix <= most) else {
            let at = text.len() - prefix.len()..text.len();
            return Err((at, format!("invalid prefix length {prefix:?}: expected 0 to {most}")));
        };
        let canonical = address.to_canonical();
        let is_mapped = address.is_ipv6() && canonical.is_ipv4();
        Ok(match (is_mapped, prefix.checked_sub(MAPPED)) {
            (true, Some(prefix)) => Self::of(canonical, prefix),
            _ => Self::of(address, prefix),
        })
    }

    fn of(address: IpAddr, prefix: u32) -> Self {
        let first = match address {
            IpAddr::V4(four) => IpAddr::V4((four.to_bits() & mask(prefix).unwrap_or(0)).into()),
            IpAddr::V6(six) => IpAddr::V6((six.to_bits() & mask_six(prefix)).into()),
        };
        Self { first, prefix }
    }

    /// Whether the text is an address in the network. An interface suffix, as in `fe80::1%eth0`, is ignored.
    pub(super) fn contains(&self, text: &str) -> bool {
        let text = text.split_once('%').map_or(text, |(address, _)| address);
        let Ok(address) = text.parse::<IpAddr>().map(|address| address.to_canonical()) else { return false };
        address.is_ipv4() == self.first.is_ipv4() && Self::of(address, self.prefix).first == self.first
    }

    /// The text with which all IPv4 addresses of the network begin; `None` for IPv6 networks and prefixes
    /// shorter than 8 bits.
    pub(super) fn text_prefix(&self) -> Option<String> {
        let IpAddr::V4(first) = self.first else { return None };
        let octets = usize::try_from(self.prefix / 8).ok()?;
        let mut text = String::new();
        for octet in &first.octets()[..octets] {
            text.push_str(&format!("{octet}."));
        }
        if octets == 4 {
            text.pop();
        }
        (octets > 0).then_some(text)
    }

    pub(super) fn is_ipv4(&self) -> bool {
        self.first.is_ipv4()
    }
}

/// The netmask of an IPv4 prefix.
fn mask(prefix: u32) -> Option<u32> {
    u32::MAX.checked_shl(32 - prefix)
}

fn mask_six(prefix: u32) -> u128 {
    u128::MAX.checked_shl(128 - prefix).unwrap_or(0)
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(network: &str, inside: &[&str], outside: &[&str]) {
        let parsed = Network::parse(network).unwrap();
        assert!(inside.iter().all(|address| parsed.contains(address)), "{network}");
        assert!(!outside.iter().any(|address| parsed.contains(address)), "{network}");
        assert_eq!(Network::parse(&parsed.to_string()), Ok(parsed));
    }

    #[test]
    fn a_network_contains_the_addresses_with_its_prefix() {
        check(
            "192.168.1.0/24",
            &["192.168.1.0", "192.168.1.255"],
            &["192.168.2.0", "192.168.0.255", "", "x"],
        );
        check("192.168.1.77/24", &["192.168.1.1"], &["192.168.2.1"]);
        check("10.0.0.0/9", &["10.127.255.255"], &["10.128.0.0"]);
        check("0.0.0.0/0", &["255.255.255.255"], &["::1", "192.168.1", "192.168.001.002"]);
        check("10.1.2.3/32", &["10.1.2.3"], &["10.1.2.2"]);
        check("2001:db8::/32", &["2001:db8:ffff::1", "2001:0DB8::"], &["2001:db9::", "32.1.13.184"]);
        check("::/0", &["::1", "fe80::1%eth0"], &["10.0.0.1", "::ffff:10.0.0.1"]);
    }

    #[test]
    fn an_ipv4_mapped_address_counts_as_ipv4() {
        check(
            "192.168.1.0/24",
            &["::ffff:192.168.1.7", "::FFFF:c0a8:107"],
            &["::ffff:192.168.2.7", "::c0a8:107"],
        );
        check("::ffff:192.168.1.0/120", &["192.168.1.7", "::ffff:192.168.1.7"], &["192.168.2.7"]);
    }

    #[test]
    fn errors_have_a_span_and_a_message() {
        for (text, at, message) in [
            ("192.168.1.0/33", 12..14, "invalid prefix length \"33\": expected 0 to 32"),
            ("192.168.1.0/", 12..12, "invalid prefix length \"\": expected 0 to 32"),
            ("192.168.1.0/+8", 12..14, "invalid prefix length \"+8\": expected 0 to 32"),
            ("2001:db8::/129", 11..14, "invalid prefix length \"129\": expected 0 to 128"),
            ("10.0.0/8", 0..6, "\"10.0.0\" is not an IP address"),
            ("10.0.0.0/8/9", 9..12, "invalid prefix length \"8/9\": expected 0 to 32"),
            ("/8", 0..0, "\"\" is not an IP address"),
        ] {
            assert_eq!(Network::parse(text), Err((at, message.to_owned())), "{text}");
        }
    }
}
