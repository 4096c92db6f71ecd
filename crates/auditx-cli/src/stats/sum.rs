//! Exact sums of decimal numbers of any length.

use std::fmt;

/// Digits in one limb.
const DIGITS: usize = 18;
const BASE: i128 = 1_000_000_000_000_000_000;

/// Limbs before and after the decimal point: enough for the digits of any number in a line, and for the sum
/// of any number of lines.
const WHOLE: usize = 9;
const FRACTION: usize = 8;

/// A sum. Carries are not propagated while numbers are added: a limb can hold 2^63 additions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sum {
    /// The least significant limb first.
    limbs: [i128; WHOLE + FRACTION],
    /// Digits after the decimal point.
    scale: usize,
}

impl Default for Sum {
    fn default() -> Self {
        Self { limbs: [0; WHOLE + FRACTION], scale: 0 }
    }
}

impl Sum {
    /// Adds a JSON number, which may have an exponent. Returns `false` if it has too many digits.
    pub(crate) fn add(&mut self, number: &str) -> bool {
        let (sign, number) = match number.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, number),
        };
        let (mantissa, exponent) = match number.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()),
            None => (number, Some(0)),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let is_short = whole.len() + fraction.len() <= WHOLE * DIGITS;
        let Some(exponent) = exponent.filter(|exponent| is_short && exponent.unsigned_abs() < 1_000) else {
            return false;
        };
        // The power of ten of the last digit.
        let length = i64::try_from(fraction.len()).unwrap_or(i64::MAX);
        let last = exponent - length;
        let (lowest, highest) = (-edge(FRACTION), edge(WHOLE - 1));
        let digits = whole.bytes().chain(fraction.bytes()).rev();
        let mut added = self.limbs;
        for (power, digit) in (last..).zip(digits) {
            if digit == b'0' {
                continue;
            }
            if power < lowest || power >= highest {
                return false;
            }
            let Ok(at) = usize::try_from(power - lowest) else { return false };
            let factor = 10_i128.pow(u32::try_from(at % DIGITS).unwrap_or_default());
            added[at / DIGITS] += sign * i128::from(digit - b'0') * factor;
        }
        self.limbs = added;
        let scale = usize::try_from(-last).unwrap_or(0).min(FRACTION * DIGITS);
        self.scale = self.scale.max(scale);
        true
    }

    /// Encodes the sum for [`Sum::read`]: a bit set of the nonzero limbs with the scale, then those limbs.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let used = self.limbs.iter().enumerate().filter(|(_, limb)| **limb != 0);
        let bits = used.clone().fold(0_i128, |bits, (index, _)| bits | 1 << index);
        let scale = i128::try_from(self.scale).unwrap_or(0);
        for number in [bits << 32 | scale].into_iter().chain(used.map(|(_, limb)| *limb)) {
            out.extend_from_slice(&number.to_be_bytes());
        }
    }

    pub(crate) fn read(mut number: impl FnMut() -> i128) -> Self {
        let head = number();
        let mut sum = Self { scale: usize::try_from(head & 0xffff_ffff).unwrap_or(0), ..Self::default() };
        for (index, limb) in sum.limbs.iter_mut().enumerate() {
            if head >> (32 + index) & 1 == 1 {
                *limb = number();
            }
        }
        sum
    }

    /// Adds another sum.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (limb, more) in self.limbs.iter_mut().zip(other.limbs) {
            *limb += more;
        }
        self.scale = self.scale.max(other.scale);
    }
}

/// Returns the number of digits of `limbs` limbs.
fn edge(limbs: usize) -> i64 {
    i64::try_from(limbs * DIGITS).unwrap_or(i64::MAX)
}

impl fmt::Display for Sum {
    /// Formats the sum with as many digits after the decimal point as the longest fraction that was added.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut limbs = self.limbs;
        let is_negative = carry(&mut limbs);
        if is_negative {
            limbs.iter_mut().for_each(|limb| *limb = -*limb);
            carry(&mut limbs);
        }
        let digits: String = limbs.iter().rev().map(|limb| format!("{limb:018}")).collect();
        let (whole, fraction) = digits.split_at(WHOLE * DIGITS);
        let whole = whole.trim_start_matches('0');
        let sign = if is_negative { "-" } else { "" };
        write!(f, "{sign}{}", if whole.is_empty() { "0" } else { whole })?;
        if self.scale > 0 {
            write!(f, ".{}", &fraction[..self.scale])?;
        }
        Ok(())
    }
}

/// Propagates carries, so that each limb but the highest is between 0 and the base. Returns `true` if the
/// number is negative.
fn carry(limbs: &mut [i128]) -> bool {
    let mut over = 0;
    let last = limbs.len() - 1;
    for limb in &mut limbs[..last] {
        let value = *limb + over;
        (*limb, over) = (value.rem_euclid(BASE), value.div_euclid(BASE));
    }
    limbs[last] += over;
    limbs[last] < 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(numbers: &[&str]) -> String {
        let (mut one, mut other) = (Sum::default(), Sum::default());
        for (index, number) in numbers.iter().enumerate() {
            assert!(if index % 2 == 0 { &mut one } else { &mut other }.add(number), "{number}");
        }
        one.merge(&other);
        one.to_string()
    }

    #[test]
    fn sums_are_exact() {
        assert_eq!(sum(&[]), "0");
        assert_eq!(sum(&["0.1", "0.2"]), "0.3");
        assert_eq!(sum(&["1250000.10", "-250000.10"]), "1000000.00");
        assert_eq!(sum(&["5", "-12.5"]), "-7.5");
        assert_eq!(sum(&["-0.001"]), "-0.001");
        assert_eq!(sum(&["999999999999999999", "1"]), "1000000000000000000");
        assert_eq!(sum(&["1e2", "1.5E-3", "-0"]), "100.0015");
        let long = format!("{}.{}", "9".repeat(40), "9".repeat(20));
        assert_eq!(
            sum(&[&long, "0.00000000000000000001"]),
            format!("1{}.{}", "0".repeat(40), "0".repeat(20))
        );
        assert_eq!(sum(&vec!["0.1"; 100_000]), "10000.0");
    }

    #[test]
    fn a_number_with_too_many_digits_is_not_added() {
        let mut sum = Sum::default();
        for number in ["1e400", "1e-400", "1e99999999999999999999", &"1".repeat(400)] {
            assert!(!sum.add(number), "{number}");
        }
        assert!(sum.add("0e900"));
        assert_eq!(sum.to_string(), "0");
    }
}
