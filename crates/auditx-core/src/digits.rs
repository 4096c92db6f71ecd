//! Whole numbers as decimal digits, two at a time and straight to where they belong.

/// `00` to `99`.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [*b"00"; 100];
    let ones = *b"0123456789";
    let mut place = 0;
    while place < 100 {
        pairs[place] = [ones[place / 10], ones[place % 10]];
        place += 1;
    }
    pairs
};

/// The last two digits of `value`.
#[inline(always)]
pub(crate) fn pair(value: u64) -> [u8; 2] {
    PAIRS[usize::try_from(value % 100).unwrap_or(0)]
}

/// How many digits `value` has.
#[inline]
pub(crate) fn count(value: u64) -> usize {
    value.checked_ilog10().map_or(1, |tens| tens as usize + 1)
}

/// Fills `place`, which has as many bytes as `value` has digits.
#[inline]
pub(crate) fn write(place: &mut [u8], mut value: u64) {
    let (first, pairs) = place.as_rchunks_mut();
    for place in pairs.iter_mut().rev() {
        *place = pair(value);
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
    fn numbers_of_every_length_have_their_digits() {
        let powers = (0..20).map(|tens| 10_u64.pow(tens));
        for value in powers.flat_map(|power| [power - 1, power, power + 7]).chain([u64::MAX]) {
            let mut text = vec![0; count(value)];
            write(&mut text, value);
            assert_eq!(String::from_utf8(text).unwrap(), value.to_string());
        }
    }
}
