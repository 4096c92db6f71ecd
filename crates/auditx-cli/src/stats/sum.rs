//! Sums of decimal numbers, exact however many digits they have.

use std::fmt;

/// Digits in one limb.
const DIGITS: usize = 18;
const BASE: i128 = 1_000_000_000_000_000_000;

/// Limbs before the point and behind it: more digits than a number in a line may have, and room for as many lines as there
/// can be.
const WHOLE: usize = 9;
const FRACTION: usize = 8;

/// A sum. The limbs are not carried while numbers are added: each holds what 2^63 numbers put into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sum {
    /// From the least.
    limbs: [i128; WHOLE + FRACTION],
    /// Digits behind the point.
    scale: usize,
}

impl Default for Sum {
    fn default() -> Self {
        Self { limbs: [0; WHOLE + FRACTION], scale: 0 }
    }
}

impl Sum {
    /// Adds a JSON number, with an exponent too; false where it has more digits than a sum keeps.
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
        // The place of the last digit, counted from the point.
        let length = i64::try_from(fraction.len()).unwrap_or(i64::MAX);
        let last = exponent - length;
        let (lowest, highest) = (-edge(FRACTION), edge(WHOLE - 1));
        let digits = whole.bytes().chain(fraction.bytes()).rev();
        let mut added = self.limbs;
        for (place, digit) in (last..).zip(digits) {
            if digit == b'0' {
                continue;
            }
            if place < lowest || place >= highest {
                return false;
            }
            let Ok(at) = usize::try_from(place - lowest) else { return false };
            let power = 10_i128.pow(u32::try_from(at % DIGITS).unwrap_or_default());
            added[at / DIGITS] += sign * i128::from(digit - b'0') * power;
        }
        self.limbs = added;
        let scale = usize::try_from(-last).unwrap_or(0).min(FRACTION * DIGITS);
        self.scale = self.scale.max(scale);
        true
    }

    /// Writes what [`Sum::read`] reads: which limbs are not zero, the number of digits behind the point, and
    /// those limbs.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let used = self.limbs.iter().enumerate().filter(|(_, limb)| **limb != 0);
        let places = used.clone().fold(0_i128, |places, (place, _)| places | 1 << place);
        let scale = i128::try_from(self.scale).unwrap_or(0);
        for number in [places << 32 | scale].into_iter().chain(used.map(|(_, limb)| *limb)) {
            out.extend_from_slice(&number.to_be_bytes());
        }
    }

    pub(crate) fn read(mut number: impl FnMut() -> i128) -> Self {
        let head = number();
        let mut sum = Self { scale: usize::try_from(head & 0xffff_ffff).unwrap_or(0), ..Self::default() };
        for (place, limb) in sum.limbs.iter_mut().enumerate() {
            if head >> (32 + place) & 1 == 1 {
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

/// So many limbs, in digits.
fn edge(limbs: usize) -> i64 {
    i64::try_from(limbs * DIGITS).unwrap_or(i64::MAX)
}

impl fmt::Display for Sum {
    /// With as many digits behind the point as the longest number that was added.
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

/// Leaves each limb but the highest between 0 and the base; true where the number is negative.
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
        for (place, number) in numbers.iter().enumerate() {
            assert!(if place % 2 == 0 { &mut one } else { &mut other }.add(number), "{number}");
        }
        one.merge(&other);
        one.to_string()
    }

    #[test]
    fn sums_have_every_digit() {
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
    fn what_has_too_many_digits_is_not_added() {
        let mut sum = Sum::default();
        for number in ["1e400", "1e-400", "1e99999999999999999999", &"1".repeat(400)] {
            assert!(!sum.add(number), "{number}");
        }
        assert!(sum.add("0e900"));
        assert_eq!(sum.to_string(), "0");
    }
}
