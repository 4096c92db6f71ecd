//! Decimal numbers, compared digit by digit so that no amount is rounded.

use std::cmp::Ordering;
use std::fmt;

/// Larger exponents are mistakes, not quantities; they count as this large.
const MAX_EXPONENT: i64 = 1_000_000_000_000;

/// A number of a query, as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Number(Box<str>);

impl Number {
    /// Parses a JSON number; leading zeros are allowed too.
    pub(super) fn parse(text: &str) -> Option<Self> {
        Decimal::parse(text)?;
        Some(Self(text.into()))
    }

    /// Compares a number of a line with this one. Costs one pass over both.
    pub(super) fn order_of(&self, digits: &str) -> Option<Ordering> {
        Some(Decimal::parse(digits)?.cmp(&Decimal::parse(&self.0)?))
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether two JSON numbers are the same quantity, however they are written.
pub(super) fn is_same(one: &str, other: &str) -> bool {
    one == other || Decimal::parse(one).zip(Decimal::parse(other)).is_some_and(|(one, other)| one == other)
}

/// Appends an encoding of a JSON number whose byte order is the numeric order. Returns `false` if the text is
/// not a number. No encoding is a prefix of another.
pub fn sortable_number(digits: &str, out: &mut Vec<u8>) -> bool {
    let Some(decimal) = Decimal::parse(digits) else { return false };
    let begin = out.len();
    match decimal.sign() {
        0 => out.push(1),
        sign => {
            out.push(2);
            // Flipping the sign bit orders negative magnitudes before the others.
            out.extend_from_slice(&(decimal.magnitude ^ i64::MIN).to_be_bytes());
            out.extend(decimal.whole.iter().chain(decimal.fraction));
            while out.last() == Some(&b'0') && out.len() > begin + 9 {
                out.pop();
            }
            out.push(0);
            if sign < 0 {
                out[begin] = 0;
                out[begin + 1..].iter_mut().for_each(|byte| *byte = !*byte);
            }
        }
    }
    true
}

/// `±0.d₁d₂d₃… × 10^magnitude`, where d₁ is not zero.
#[derive(Debug, Clone, Copy)]
struct Decimal<'t> {
    is_negative: bool,
    /// The digits before and after the point, from the first that is not zero; both empty for zero.
    whole: &'t [u8],
    fraction: &'t [u8],
    magnitude: i64,
}

impl<'t> Decimal<'t> {
    fn parse(text: &'t str) -> Option<Self> {
        let bytes = text.as_bytes();
        let (is_negative, bytes) = bytes.strip_prefix(b"-").map_or((false, bytes), |rest| (true, rest));
        let (whole, rest) = digits(bytes)?;
        let (fraction, rest) = match rest.strip_prefix(b".") {
            Some(rest) => digits(rest)?,
            None => (&[][..], rest),
        };
        let exponent = exponent(rest)?;
        let significant = without_zeros(whole);
        if !significant.is_empty() {
            let magnitude = len(significant) + exponent;
            return Some(Self { is_negative, whole: significant, fraction, magnitude });
        }
        let significant = without_zeros(fraction);
        if significant.is_empty() {
            return Some(Self { is_negative: false, whole: &[], fraction: &[], magnitude: 0 });
        }
        let magnitude = len(significant) - len(fraction) + exponent;
        Some(Self { is_negative, whole: &[], fraction: significant, magnitude })
    }

    /// −1, 0 or 1.
    fn sign(&self) -> i8 {
        match (self.whole.is_empty() && self.fraction.is_empty(), self.is_negative) {
            (true, _) => 0,
            (false, false) => 1,
            (false, true) => -1,
        }
    }

    fn compare_size(&self, other: &Self) -> Ordering {
        self.magnitude.cmp(&other.magnitude).then_with(|| {
            let mut one = self.whole.iter().chain(self.fraction).fuse();
            let mut two = other.whole.iter().chain(other.fraction).fuse();
            loop {
                let order = match (one.next(), two.next()) {
                    (None, None) => return Ordering::Equal,
                    (one, two) => one.unwrap_or(&b'0').cmp(two.unwrap_or(&b'0')),
                };
                if order.is_ne() {
                    return order;
                }
            }
        })
    }
}

impl Ord for Decimal<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.sign().cmp(&other.sign()).then_with(|| match self.sign() {
            0 => Ordering::Equal,
            1 => self.compare_size(other),
            _ => other.compare_size(self),
        })
    }
}

impl PartialOrd for Decimal<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Decimal<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Decimal<'_> {}

/// Splits off the leading digits; `None` if there are none.
fn digits(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let len = bytes.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(bytes.len());
    (len > 0).then(|| bytes.split_at(len))
}

/// Parses an exponent such as `e+5`; 0 if the text is empty.
fn exponent(bytes: &[u8]) -> Option<i64> {
    let Some((b'e' | b'E', rest)) = bytes.split_first() else {
        return bytes.is_empty().then_some(0);
    };
    let (sign, rest) = match rest.split_first() {
        Some((b'-', rest)) => (-1, rest),
        Some((b'+', rest)) => (1, rest),
        _ => (1, rest),
    };
    let (digits, rest) = digits(rest)?;
    let size = digits.iter().fold(0_i64, |size, digit| {
        size.saturating_mul(10).saturating_add(i64::from(digit - b'0')).min(MAX_EXPONENT)
    });
    rest.is_empty().then_some(sign * size)
}

fn without_zeros(digits: &[u8]) -> &[u8] {
    let zeros = digits.iter().position(|digit| *digit != b'0').unwrap_or(digits.len());
    &digits[zeros..]
}

fn len(digits: &[u8]) -> i64 {
    i64::try_from(digits.len()).unwrap_or(i64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_compare_exactly_in_any_spelling() {
        let ascending = [
            "-12345678901234567890.2",
            "-12345678901234567890.1",
            "-1e2",
            "-99.99",
            "-0.001",
            "0",
            "1e-1000000",
            "0.0009",
            "1.0e-3",
            "0.1",
            "99.999999999999999999999999",
            "100",
            "100.000000000000000000000001",
            "9007199254740992",
            "9007199254740993",
            "12345678901234567890.1",
            "12345678901234567890.10000000001",
            "1e1000000",
        ];
        for (index, low) in ascending.iter().enumerate() {
            for (other, high) in ascending.iter().enumerate() {
                let number = Number::parse(high).unwrap();
                assert_eq!(number.order_of(low), Some(index.cmp(&other)), "{low} and {high}");
                let bytes = |digits| {
                    let mut bytes = Vec::new();
                    assert!(sortable_number(digits, &mut bytes));
                    bytes
                };
                assert_eq!(bytes(low).cmp(&bytes(high)), index.cmp(&other), "{low} and {high}");
            }
        }
        for same in ["100", "100.00", "1e2", "1E+2", "1000e-1", "0.1e3", "00100", "0.00100e5"] {
            assert!(is_same(same, "100"), "{same}");
            let (mut one, mut other) = (Vec::new(), Vec::new());
            assert!(sortable_number(same, &mut one) && sortable_number("100", &mut other));
            assert_eq!(one, other, "{same}");
        }
        assert!(is_same("-0", "0.0e9") && !is_same("100", "100.0000000000000000001"));
    }

    #[test]
    fn invalid_numbers_are_rejected() {
        for text in
            ["", "-", ".5", "1.", "1e", "1e+", "1 ", "+1", "1_000", "0x10", "1.2.3", "NaN", "--1", "1e5.5"]
        {
            assert!(Number::parse(text).is_none(), "{text}");
        }
    }
}
