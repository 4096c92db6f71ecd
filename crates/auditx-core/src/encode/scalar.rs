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
        Some(whole) => pen.signed(whole),
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
    let [a, b, c, d] = address.octets().map(u64::from);
    pen.unsigned(a).put(b".").unsigned(b).put(b".").unsigned(c).put(b".").unsigned(d)
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
pub(super) fn hyphenated(text: &mut [u8; 36], id: Uuid) {
    const PLACES: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];
    for (byte, place) in id.into_bytes().into_iter().zip(PLACES) {
        [text[place], text[place + 1]] = HEX_PAIRS[usize::from(byte)];
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
    fn every_byte_of_an_id_is_two_digits() {
        for first in 0..=255_u8 {
            let id = Uuid::from_bytes(std::array::from_fn(|place| {
                first.wrapping_add(u8::try_from(place).unwrap().wrapping_mul(29))
            }));
            let mut text = [0; 36];
            hyphenated(&mut text, id);
            assert_eq!(text.as_slice(), id.to_string().as_bytes());
        }
    }
}
