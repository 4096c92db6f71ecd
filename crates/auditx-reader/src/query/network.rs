//! Networks of IP addresses: `192.168.1.0/24`, `2001:db8::/32`.
//!
//! An IPv4 address that is written as IPv6, `::ffff:192.168.1.7`, is the IPv4 address, in a question and in
//! an entry.

use std::fmt;
use std::net::IpAddr;
use std::ops::Range;

/// Addresses whose first bits are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Network {
    /// Its first address. Never IPv4 written as IPv6.
    first: IpAddr,
    prefix: u32,
}

/// How many bits of an address in IPv6 say that it is one of IPv4.
const MAPPED: u32 = 96;

impl Network {
    /// Of an address, a slash and how many bits are the same. Bits behind those count as zero.
    ///
    /// Fails with what is wrong, and where in the text.
    pub(super) fn parse(text: &str) -> Result<Self, (Range<usize>, String)> {
        let (address, prefix) = text.split_once('/').unwrap_or((text, ""));
        let Ok(address) = address.parse::<IpAddr>() else {
            return Err((0..address.len(), format!("{address:?} is no IP address")));
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

    /// Whether the text is an address in it. The interface behind an address, `fe80::1%eth0`, is not looked
    /// at.
    pub(super) fn has(&self, text: &str) -> bool {
        let text = text.split_once('%').map_or(text, |(address, _)| address);
        let Ok(address) = text.parse::<IpAddr>().map(|address| address.to_canonical()) else { return false };
        address.is_ipv4() == self.first.is_ipv4() && Self::of(address, self.prefix).first == self.first
    }

    /// The text with which each of its addresses begins in IPv4 notation; `None` if it is IPv6 or fewer than
    /// 8 bits are known.
    pub(super) fn beginning(&self) -> Option<String> {
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

/// The first bits of 32.
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
    fn check(network: &str, has: &[&str], has_not: &[&str]) {
        let parsed = Network::parse(network).unwrap();
        assert!(has.iter().all(|address| parsed.has(address)), "{network}");
        assert!(!has_not.iter().any(|address| parsed.has(address)), "{network}");
        assert_eq!(Network::parse(&parsed.to_string()), Ok(parsed));
    }

    #[test]
    fn a_network_has_the_addresses_that_share_its_first_bits() {
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
    fn an_ipv4_address_written_as_ipv6_is_the_ipv4_address() {
        check(
            "192.168.1.0/24",
            &["::ffff:192.168.1.7", "::FFFF:c0a8:107"],
            &["::ffff:192.168.2.7", "::c0a8:107"],
        );
        check("::ffff:192.168.1.0/120", &["192.168.1.7", "::ffff:192.168.1.7"], &["192.168.2.7"]);
    }

    #[test]
    fn what_is_wrong_is_found_at_its_place() {
        for (text, at, message) in [
            ("192.168.1.0/33", 12..14, "invalid prefix length \"33\": expected 0 to 32"),
            ("192.168.1.0/", 12..12, "invalid prefix length \"\": expected 0 to 32"),
            ("192.168.1.0/+8", 12..14, "invalid prefix length \"+8\": expected 0 to 32"),
            ("2001:db8::/129", 11..14, "invalid prefix length \"129\": expected 0 to 128"),
            ("10.0.0/8", 0..6, "\"10.0.0\" is no IP address"),
            ("10.0.0.0/8/9", 9..12, "invalid prefix length \"8/9\": expected 0 to 32"),
            ("/8", 0..0, "\"\" is no IP address"),
        ] {
            assert_eq!(Network::parse(text), Err((at, message.to_owned())), "{text}");
        }
    }
}
