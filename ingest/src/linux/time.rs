//! Owns the reading of ISO 8601 times, as logs of Unix write them.

/// Nanoseconds since 1970 of `2026-01-31T12:00:00.123456789Z`, with a blank for the `T` or an offset too; without one it
/// is UTC. `None` for anything else and outside the years 1678 to 2261, which nanoseconds cannot reach.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let text = text.trim();
    let number = |range: std::ops::Range<usize>| -> Option<i64> {
        let part = text.get(range)?;
        part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok())?
    };
    let mark = |at: usize, marks: &[u8]| text.as_bytes().get(at).is_some_and(|b| marks.contains(b));
    if !(mark(4, b"-") && mark(7, b"-") && mark(10, b"T ") && mark(13, b":") && mark(16, b":")) {
        return None;
    }
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let mut rest = text.get(19..)?;
    let mut fraction = 0i64;
    if let Some(digits) = rest.strip_prefix(['.', ',']) {
        let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        let nine: String = digits[..end].chars().chain("000000000".chars()).take(9).collect();
        fraction = nine.parse().ok()?;
        rest = &digits[end..];
    }
    let offset = match rest.trim().as_bytes() {
        b"" | b"Z" | b"UTC" => 0,
        [sign @ (b'+' | b'-'), digits @ ..] => {
            let digits: String = digits.iter().filter(|b| **b != b':').map(|b| char::from(*b)).collect();
            let all: i64 = if digits.len() == 4 { digits.parse().ok()? } else { return None };
            let minutes = all / 100 * 60 + all % 100;
            if *sign == b'-' { -minutes } else { minutes }
        }
        _ => return None,
    };
    let seconds = ((days(year, month, day) * 24 + hour) * 60 + minute - offset) * 60 + second;
    seconds.checked_mul(1_000_000_000)?.checked_add(fraction)
}

/// Days since 1970-01-01 of a day of the Gregorian calendar (Howard Hinnant's `days_from_civil`).
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year - era * 400;
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn usual_notations_are_read_and_others_are_not() {
        let second = 1_000_000_000;
        assert_eq!(parse("1970-01-02T00:00:00Z"), Some(86_400 * second));
        assert_eq!(parse("2026-08-23T08:30:16.754997Z"), Some(1_787_473_816_754_997_000));
        assert_eq!(parse("2026-08-23T10:30:16.754997+02:00"), parse("2026-08-23T08:30:16.754997Z"));
        assert_eq!(parse("2026-08-23 08:30:16.754997000"), parse("2026-08-23T08:30:16.754997Z"));
        for text in [
            "",
            "2026",
            "2026-13-01T00:00:00Z",
            "2026-01-01T00:00:00X",
            "2026-01-01T00:00:00+é",
            "9999-01-01T00:00:00Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
