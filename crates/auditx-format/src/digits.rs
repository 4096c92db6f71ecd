//! Formats integers as decimal digits, two at a time, directly into the output buffer.

/// `00` to `99`.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [*b"00"; 100];
    let ones = *b"0123456789";
    let mut number = 0;
    while number < 100 {
        pairs[number] = [ones[number / 10], ones[number % 10]];
        number += 1;
    }
    pairs
};

/// Returns the last two digits of `value`.
#[inline(always)]
pub(crate) fn pair(value: u64) -> [u8; 2] {
    PAIRS[usize::try_from(value % 100).unwrap_or(0)]
}

/// Returns the number of digits of `value`.
#[inline]
pub(crate) fn count(value: u64) -> usize {
    value.checked_ilog10().map_or(1, |tens| tens as usize + 1)
}

/// Writes the digits of `value` into `out`, whose length must be [`count`] of `value`.
#[inline]
pub(crate) fn write(out: &mut [u8], mut value: u64) {
    let (first, pairs) = out.as_rchunks_mut();
    for two in pairs.iter_mut().rev() {
        *two = pair(value);
        value /= 100;
    }
    if let [first] = first {
        [_, *first] = pair(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_length_are_formatted() {
        let powers = (0..20).map(|tens| 10_u64.pow(tens));
        for value in powers.flat_map(|power| [power - 1, power, power + 7]).chain([u64::MAX]) {
            let mut text = vec![0; count(value)];
            write(&mut text, value);
            assert_eq!(String::from_utf8(text).unwrap(), value.to_string());
        }
    }
}
