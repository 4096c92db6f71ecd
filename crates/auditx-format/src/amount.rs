//! Amounts as exact decimal digits, which never pass through binary floating point.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;

use crate::error::{Error, Result};

/// More digits than any currency, token or ledger uses. The limit keeps the number readable by every JSON
/// parser.
const MAX_LEN: usize = 64;

/// An exact decimal amount, written to the line with the same digits: `1250000.10` stays `1250000.10`.
///
/// Created with `From` from integers and [`rust_decimal::Decimal`], with [`Amount::parse`] from decimal text,
/// and with [`Amount::from_f64`] from binary floating point if nothing better is available.
///
/// ```
/// use auditx_core::Amount;
/// assert_eq!(Amount::from(1_250_000).to_string(), "1250000");
/// assert_eq!(Amount::parse("1250000.10")?.to_string(), "1250000.10");
/// assert!(Amount::parse("1,250").unwrap_err().is_invalid());
/// # Ok::<(), auditx_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Amount(Digits);

#[derive(Clone)]
enum Digits {
    Integer(i64),
    Decimal(Decimal),
    Text(Box<str>),
}

impl Amount {
    /// Parses plain decimal text: an optional minus sign, digits without leading zeros, and optionally a
    /// point and digits.
    ///
    /// # Errors
    /// `is_invalid` for any other text, such as thousands separators, an exponent, a leading plus sign, or
    /// more than 64 characters.
    pub fn parse(text: &str) -> Result<Self> {
        if text.len() > MAX_LEN || !is_plain_decimal(text.as_bytes()) {
            let shown: String = text.chars().take(MAX_LEN).collect();
            return Err(Error::invalid(format!(
                "invalid amount {shown:?}: expected a plain decimal number of at most {MAX_LEN} characters, \
                 for example -1250000.10"
            )));
        }
        Ok(Self(match text.parse::<i64>() {
            Ok(integer) if text != "-0" => Digits::Integer(integer),
            _ => Digits::Text(text.into()),
        }))
    }

    /// Converts an `f64` to the shortest decimal text that parses to the same value. Prefer integers,
    /// [`Decimal`] or text, which are exact.
    ///
    /// # Errors
    /// `is_invalid` for NaN, the infinities, and values that need more than 64 characters.
    pub fn from_f64(value: f64) -> Result<Self> {
        if !value.is_finite() {
            return Err(Error::invalid(format!("invalid amount {value}: not a finite number")));
        }
        Self::parse(&value.to_string())
    }

    /// Returns the amount of a JSON number in a line: in plain digits if they fit into 64 characters,
    /// otherwise as written (`1e400`). `None` if that is longer than 64 characters too.
    pub(crate) fn of_number(number: &str) -> Option<Self> {
        let as_written = || (number.len() <= MAX_LEN).then(|| Self(Digits::Text(number.into())));
        Self::parse(&without_exponent(number)).ok().or_else(as_written)
    }

    /// Returns the value if it is stored as an `i64`, which is the common case.
    #[inline]
    pub(crate) fn whole(&self) -> Option<i64> {
        match self.0 {
            Digits::Integer(value) => Some(value),
            _ => None,
        }
    }
}

fn is_plain_decimal(text: &[u8]) -> bool {
    let unsigned = text.strip_prefix(b"-").unwrap_or(text);
    let (whole, fraction) = match unsigned.iter().position(|&byte| byte == b'.') {
        Some(point) => (&unsigned[..point], Some(&unsigned[point + 1..])),
        None => (unsigned, None),
    };
    let digits = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    digits(whole) && (whole.len() == 1 || whole[0] != b'0') && fraction.is_none_or(digits)
}

/// Expands an exponent, which other programs write for large and small numbers: `1e2` becomes `100`. Returns
/// the number unchanged if the exponent is too large for the result to be an amount.
fn without_exponent(number: &str) -> Cow<'_, str> {
    let expanded = || {
        let (mantissa, exponent) = number.split_once(['e', 'E'])?;
        let exponent: i32 = exponent.parse().ok().filter(|exponent: &i32| exponent.unsigned_abs() < 64)?;
        let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let point = i32::try_from(whole.len()).ok()? + exponent;
        let digits = format!("{whole}{fraction}");
        let missing = |count: i32| "0".repeat(usize::try_from(count).unwrap_or(0));
        let digits =
            format!("{}{digits}{}", missing(1 - point), missing(point - i32::try_from(digits.len()).ok()?));
        let (whole, fraction) = digits.split_at(usize::try_from(point.max(1)).ok()?);
        let whole = whole.trim_start_matches('0');
        let (whole, dot) =
            (if whole.is_empty() { "0" } else { whole }, if fraction.is_empty() { "" } else { "." });
        Some(format!("{sign}{whole}{dot}{fraction}"))
    };
    expanded().map_or(Cow::Borrowed(number), Cow::Owned)
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Digits::Integer(value) => write!(f, "{value}"),
            Digits::Decimal(value) => write!(f, "{value}"),
            Digits::Text(text) => f.write_str(text),
        }
    }
}

impl fmt::Debug for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Amount({self})")
    }
}

impl PartialEq for Amount {
    /// Compares the digits: `1.5` and `1.50` are different amounts on an invoice.
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl Eq for Amount {}

impl FromStr for Amount {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl From<Decimal> for Amount {
    fn from(value: Decimal) -> Self {
        Self(Digits::Decimal(value))
    }
}

macro_rules! from_integers {
    ($($integer:ty),*) => {
        $(impl From<$integer> for Amount {
            fn from(value: $integer) -> Self {
                // A `Decimal` holds 96 bits and displays an integer without a point.
                Self(i64::try_from(value).map_or_else(|_| Digits::Decimal(value.into()), Digits::Integer))
            }
        })*
    };
}

from_integers!(i8, i16, i32, i64, u8, u16, u32, u64);

macro_rules! from_wide_integers {
    ($($integer:ty),*) => {
        $(impl From<$integer> for Amount {
            fn from(value: $integer) -> Self {
                // May exceed the 96 bits of a `Decimal`. The text has at most 40 characters, fewer than the
                // limit.
                let text = |_| Digits::Text(value.to_string().into());
                Self(i64::try_from(value).map_or_else(text, Digits::Integer))
            }
        })*
    };
}

from_wide_integers!(i128, u128);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_kept_unchanged() {
        for text in
            ["0", "-0", "-0.00", "1250000.10", "0.000", "123456789012345678901234567890.123456789", "-7"]
        {
            assert_eq!(Amount::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Amount::from(Decimal::new(125_000_010, 2)).to_string(), "1250000.10");
        assert_eq!(Amount::from(u64::MAX).to_string(), u64::MAX.to_string());
        assert_eq!(Amount::from_f64(0.1).unwrap().to_string(), "0.1");
    }

    #[test]
    fn only_plain_digits_are_accepted() {
        let long = "9".repeat(65);
        for text in
            ["", "-", "+1", "01", "1.", ".5", "1e3", "1,250", " 1", "NaN", "٣", "1.2.3", "0x10", &long]
        {
            assert!(Amount::parse(text).unwrap_err().is_invalid(), "{text:?}");
        }
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300] {
            assert!(Amount::from_f64(value).unwrap_err().is_invalid(), "{value}");
        }
    }

    #[test]
    fn a_json_number_becomes_plain_digits() {
        let long = format!("{}.5", "1".repeat(62));
        let longer = format!("{}e1", "1".repeat(64));
        for (number, plain) in [
            ("1e2", "100"),
            ("1.25E+6", "1250000"),
            ("-12.5e-1", "-1.25"),
            ("5e-3", "0.005"),
            ("0.05e2", "5"),
            ("0e5", "0"),
            ("1.50e1", "15.0"),
            ("1e16", "10000000000000000"),
            ("1250000.10", "1250000.10"),
            ("1e64", "1e64"),
            ("1e400", "1e400"),
            ("5e-324", "5e-324"),
            ("1e99999999999", "1e99999999999"),
            (&long, &long),
            ("-0", "-0"),
        ] {
            assert_eq!(Amount::of_number(number).unwrap().to_string(), plain, "{number}");
        }
        assert_eq!(Amount::of_number(&longer), None);
        assert_eq!(Amount::of_number(&"9".repeat(65)), None);
    }
}
