//! Owns numbers without loss: exact comparison of integers and decimals by their text.

use crate::rule::{Comparison, Number};
use std::cmp::Ordering;

/// A decimal number as parts of its text; never converted to binary.
#[derive(Debug, Clone, Copy)]
pub struct Decimal<'a> {
    negative: bool,
    whole: &'a str,
    fraction: &'a str,
    exponent: i64,
}

impl<'a> Decimal<'a> {
    /// Reads `-12`, `1.50`, `.5`, `1e3`; surrounding white space is not part of a number.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (negative, rest) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (mantissa, exponent) = match rest.find(['e', 'E']) {
            Some(at) => (&rest[..at], exponent(&rest[at + 1..])?),
            None => (rest, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() && fraction.is_empty() || !digits(whole) || !digits(fraction) {
            return None;
        }
        Some(Self { negative, whole, fraction, exponent })
    }

    /// The digits without leading zeros, and the power of ten of the first one.
    fn significant(&self) -> (impl Iterator<Item = u8> + use<'a>, i64) {
        let (whole, fraction) = (self.whole, self.fraction);
        let digits = move || whole.bytes().chain(fraction.bytes());
        let zeros = digits().take_while(|&b| b == b'0').count();
        (digits().skip(zeros), self.whole.len() as i64 - zeros as i64 - 1 + self.exponent)
    }

    fn is_zero(&self) -> bool {
        self.whole.bytes().chain(self.fraction.bytes()).all(|b| b == b'0')
    }

    /// Compares by value.
    pub fn compare(&self, other: &Decimal<'_>) -> Ordering {
        match (self.is_zero(), other.is_zero()) {
            (true, true) => return Ordering::Equal,
            (true, false) => return if other.negative { Ordering::Greater } else { Ordering::Less },
            (false, true) => return if self.negative { Ordering::Less } else { Ordering::Greater },
            (false, false) => {}
        }
        match (self.negative, other.negative) {
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => self.compare_magnitude(other),
            (true, true) => other.compare_magnitude(self),
        }
    }

    fn compare_magnitude(&self, other: &Decimal<'_>) -> Ordering {
        let (mut left, left_power) = self.significant();
        let (mut right, right_power) = other.significant();
        if left_power != right_power {
            return left_power.cmp(&right_power);
        }
        loop {
            match (left.next(), right.next()) {
                (None, None) => return Ordering::Equal,
                (l, r) => match l.unwrap_or(b'0').cmp(&r.unwrap_or(b'0')) {
                    Ordering::Equal => {}
                    unequal => return unequal,
                },
            }
        }
    }
}

/// An exponent; one beyond all reason is held at the bound, where its order is still right.
fn exponent(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    const BOUND: i64 = 1 << 40;
    let magnitude = digits.parse::<i64>().map_or(BOUND, |e| e.min(BOUND));
    Some(if text.starts_with('-') { -magnitude } else { magnitude })
}

impl Number {
    /// Reads a number as rules and events write it: decimal, or `0x` and `0o` integers.
    pub fn parse(text: &str) -> Option<Self> {
        let radix = |digits: &str, radix: u32| match digits.starts_with(['+', '-']) {
            true => None,
            false => i128::from_str_radix(digits, radix).ok().map(Number::Int),
        };
        if let Some(hex) = text.strip_prefix("0x") {
            return radix(hex, 16);
        }
        if let Some(octal) = text.strip_prefix("0o") {
            return radix(octal, 8);
        }
        match text.parse::<i128>() {
            Ok(int) => Some(Number::Int(int)),
            Err(_) => Decimal::parse(text).map(|_| Number::Decimal(text.into())),
        }
    }

    /// Compares with the decimal number in a text; `None` where the text is none.
    pub fn compare_with(&self, text: &str) -> Option<Ordering> {
        if let (Number::Int(own), Ok(other)) = (self, text.parse::<i128>()) {
            return Some(other.cmp(own));
        }
        let other = Decimal::parse(text)?;
        let own = self.to_string();
        Some(other.compare(&Decimal::parse(&own)?))
    }
}

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Number::Int(int) => write!(f, "{int}"),
            Number::Decimal(text) => f.write_str(text),
        }
    }
}

impl Comparison {
    /// Whether an order of the event's value to the rule's is what is asked.
    pub fn holds(self, order: Ordering) -> bool {
        match self {
            Comparison::Less => order.is_lt(),
            Comparison::LessOrEqual => order.is_le(),
            Comparison::Greater => order.is_gt(),
            Comparison::GreaterOrEqual => order.is_ge(),
            Comparison::Equal => order.is_eq(),
            Comparison::NotEqual => order.is_ne(),
        }
    }

    /// As the condition is written.
    pub fn symbol(self) -> &'static str {
        match self {
            Comparison::Less => "<",
            Comparison::LessOrEqual => "<=",
            Comparison::Greater => ">",
            Comparison::GreaterOrEqual => ">=",
            Comparison::Equal => "=",
            Comparison::NotEqual => "!=",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_compare_by_value_without_loss() {
        use Ordering::{Equal, Greater, Less};
        for (left, right, expected) in [
            ("1.0", "1", Equal),
            ("1.10", "1.1", Equal),
            ("-0", "0.00", Equal),
            ("9007199254740993", "9007199254740992", Greater),
            ("0.1", "0.09", Greater),
            ("-4", "-5", Greater),
            ("1e3", "1000", Equal),
            ("1e-3", ".001", Equal),
            ("9", "10", Less),
            ("-1", "0.5", Less),
            ("1e99999999999999999999", "1", Greater),
            ("00012.5", "12.50", Equal),
        ] {
            let compared = Decimal::parse(left).unwrap().compare(&Decimal::parse(right).unwrap());
            assert_eq!(compared, expected, "{left} to {right}");
            assert_eq!(Number::parse(right).unwrap().compare_with(left), Some(expected), "{left} to {right}");
        }
        for text in ["", "-", ".", "1e", "abc", " 1", "1_000", "NaN", "٣"] {
            assert!(Decimal::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn radix_prefixes_are_integers() {
        assert_eq!(Number::parse("0x1410"), Some(Number::Int(5136)));
        assert_eq!(Number::parse("0o17"), Some(Number::Int(15)));
        assert_eq!(Number::parse("0x-1"), None);
    }
}
