//! Values of few bytes: ids, amounts, addresses.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};

use uuid::Uuid;

use super::pen::Pen;
use crate::amount::Amount;

/// The longest amount; addresses are shorter.
const LONGEST: usize = 64;

#[inline]
pub(super) fn amount<'r>(pen: Pen<'r>, value: &Amount) -> Pen<'r> {
    match value.whole() {
        Some(whole) => pen.integer(whole),
        None => displayed(pen, value),
    }
}

/// With its key; nothing where there is none.
#[inline]
pub(super) fn address(pen: Pen<'_>, address: Option<IpAddr>) -> Pen<'_> {
    match address {
        Some(address) => ip(pen.put(b",\"ip\":\""), address).put(b"\""),
        None => pen,
    }
}

/// Without quotes.
pub(super) fn ip(pen: Pen<'_>, address: IpAddr) -> Pen<'_> {
    match address {
        IpAddr::V4(address) => ip_v4(pen, address),
        IpAddr::V6(address) => displayed(pen, address),
    }
}

fn ip_v4(pen: Pen<'_>, address: Ipv4Addr) -> Pen<'_> {
    let [a, b, c, d] = address.octets();
    pen.integer(a).put(b".").integer(b).put(b".").integer(c).put(b".").integer(d)
}

/// Through the formatting machinery, but not the heap.
#[cold]
fn displayed(pen: Pen<'_>, value: impl std::fmt::Display) -> Pen<'_> {
    let mut text = [0; LONGEST];
    let mut rest = text.as_mut_slice();
    write!(rest, "{value}").expect("an amount or an address is no longer than the longest");
    let len = LONGEST - rest.len();
    pen.raw(&text[..len])
}

/// `019ab5d2-5f6a-7c3e-8b1d-2f4a6c8e0b1d`
#[inline]
pub(super) fn hyphenated(id: Uuid) -> [u8; 36] {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = id.into_bytes();
    let ([a, b, c, d], [e, f, g, h]) = (hex([a, b, c, d]), hex([e, f, g, h]));
    let ([i, j, k, l], [m, n, o, p]) = (hex([i, j, k, l]), hex([m, n, o, p]));
    let mut text = [b'-'; 36];
    for (place, pair) in [
        (0, a),
        (2, b),
        (4, c),
        (6, d),
        (9, e),
        (11, f),
        (14, g),
        (16, h),
        (19, i),
        (21, j),
        (24, k),
        (26, l),
    ] {
        text[place..place + 2].copy_from_slice(&pair);
    }
    for (place, pair) in [(28, m), (30, n), (32, o), (34, p)] {
        text[place..place + 2].copy_from_slice(&pair);
    }
    text
}

/// Four bytes as eight digits, all of them at once.
#[inline]
fn hex(bytes: [u8; 4]) -> [[u8; 2]; 4] {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let word = u64::from(u32::from_be_bytes(bytes));
    let spread = (word | word << 16) & 0x0000_ffff_0000_ffff;
    let spread = (spread | spread << 8) & 0x00ff_00ff_00ff_00ff;
    let nibbles = (spread | spread << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    let letters = (nibbles + 6 * EACH) >> 4 & EACH;
    let digits = nibbles + u64::from(b'0') * EACH + letters * u64::from(b'a' - b'0' - 10);
    let [a, b, c, d, e, f, g, h] = digits.to_be_bytes();
    [[a, b], [c, d], [e, f], [g, h]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_of_an_id_is_two_digits() {
        for first in 0..=255_u8 {
            let id = Uuid::from_bytes(std::array::from_fn(|place| {
                first.wrapping_add(u8::try_from(place).unwrap().wrapping_mul(29))
            }));
            assert_eq!(hyphenated(id).as_slice(), id.to_string().as_bytes());
        }
    }
}
