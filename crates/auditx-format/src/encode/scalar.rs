//! Encodes short values: ids, amounts, addresses.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};

use uuid::Uuid;

use super::buffer::Reserved;
use crate::amount::Amount;

/// The length of the longest amount; addresses are shorter.
const MAX_LEN: usize = 64;

#[inline]
pub(super) fn amount<'r>(out: Reserved<'r>, value: &Amount) -> Reserved<'r> {
    match value.whole() {
        Some(whole) => out.signed(whole),
        None => displayed(out, value),
    }
}

/// Writes the address with its key, if there is an address.
#[inline]
pub(super) fn address(out: Reserved<'_>, address: Option<IpAddr>) -> Reserved<'_> {
    match address {
        Some(address) => ip(out.put(b",\"ip\":\""), address).put(b"\""),
        None => out,
    }
}

/// Writes an address without quotes.
pub(super) fn ip(out: Reserved<'_>, address: IpAddr) -> Reserved<'_> {
    match address {
        IpAddr::V4(address) => ip_v4(out, address),
        IpAddr::V6(address) => displayed(out, address),
    }
}

fn ip_v4(out: Reserved<'_>, address: Ipv4Addr) -> Reserved<'_> {
    let [a, b, c, d] = address.octets().map(u64::from);
    out.unsigned(a).put(b".").unsigned(b).put(b".").unsigned(c).put(b".").unsigned(d)
}

/// Writes a value with the formatting machinery, but without heap allocation.
#[cold]
fn displayed(out: Reserved<'_>, value: impl std::fmt::Display) -> Reserved<'_> {
    let mut text = [0; MAX_LEN];
    let mut rest = text.as_mut_slice();
    write!(rest, "{value}").expect("amounts and addresses have at most `MAX_LEN` bytes");
    let len = MAX_LEN - rest.len();
    out.raw(&text[..len])
}

/// `019ab5d2-5f6a-7c3e-8b1d-2f4a6c8e0b1d`
#[inline]
pub(super) fn hyphenated(text: &mut [u8; 36], id: Uuid) {
    const OFFSETS: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];
    for (byte, offset) in id.into_bytes().into_iter().zip(OFFSETS) {
        [text[offset], text[offset + 1]] = HEX_PAIRS[usize::from(byte)];
    }
    for dash in [8, 13, 18, 23] {
        text[dash] = b'-';
    }
}

/// `00` to `ff`.
const HEX_PAIRS: [[u8; 2]; 256] = {
    let digits = *b"0123456789abcdef";
    let mut pairs = [*b"00"; 256];
    let mut byte = 0;
    while byte < 256 {
        pairs[byte] = [digits[byte / 16], digits[byte % 16]];
        byte += 1;
    }
    pairs
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_of_an_id_becomes_two_digits() {
        for first in 0..=255_u8 {
            let id = Uuid::from_bytes(std::array::from_fn(|offset| {
                first.wrapping_add(u8::try_from(offset).unwrap().wrapping_mul(29))
            }));
            let mut text = [0; 36];
            hyphenated(&mut text, id);
            assert_eq!(text.as_slice(), id.to_string().as_bytes());
        }
    }
}
