//! Owns times: any usual notation into nanoseconds since 1970 UTC, and back into Sysmon's notation.

use super::Around;

type Arguments = [Box<str>];

const DAY: i64 = 86_400;

/// Reads a number of seconds, milliseconds, microseconds or nanoseconds since 1970 (told apart by size), or a date and
/// time with `T` or a space between, `.` or `,` before the fraction, and an offset or none (then UTC).
pub(crate) fn parse(text: &str) -> Option<i64> {
    let text = text.trim();
    if text.bytes().all(|b| b.is_ascii_digit() || b == b'.') && text.len() >= 9 {
        return from_number(text);
    }
    let (date, rest) = text.split_at_checked(10)?;
    let mut parts = date.split(['-', '/']).map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || !(1678..=2261).contains(&year) {
        return None;
    }
    let rest = rest.trim_start_matches(['T', 't', ' ']);
    let clock_end = rest.find(['Z', 'z', '+', '-']).unwrap_or(rest.len());
    let (clock, zone) = rest.split_at(clock_end);
    let (whole, fraction) = clock.trim().split_once(['.', ',']).unwrap_or((clock.trim(), ""));
    let mut seconds = days(year, month, day) * DAY;
    for (part, unit) in whole.split(':').zip([3600, 60, 1]).filter(|(part, _)| !part.is_empty()) {
        seconds += part.parse::<i64>().ok().filter(|n| (0..=60).contains(n))? * unit;
    }
    seconds -= offset(zone)?;
    seconds.checked_mul(1_000_000_000)?.checked_add(nanoseconds(fraction)?)
}

fn from_number(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let number: i64 = whole.parse().ok()?;
    let unit: i64 = match whole.len() {
        ..=11 => 1_000_000_000,
        12..=14 => 1_000_000,
        15..=17 => 1_000,
        _ => 1,
    };
    let fraction = if unit == 1_000_000_000 { nanoseconds(fraction)? } else { 0 };
    number.checked_mul(unit)?.checked_add(fraction)
}

fn nanoseconds(fraction: &str) -> Option<i64> {
    let digits: String = fraction.trim().chars().take(9).collect();
    if digits.is_empty() {
        return Some(0);
    }
    let value: i64 = digits.parse().ok()?;
    Some(value * 10_i64.pow(9 - digits.len() as u32))
}

fn offset(zone: &str) -> Option<i64> {
    let zone = zone.trim();
    let sign = match zone.bytes().next() {
        None | Some(b'Z' | b'z') => return Some(0),
        Some(b'+') => 1,
        Some(b'-') => -1,
        Some(_) => return None,
    };
    let digits: String = zone[1..].chars().filter(char::is_ascii_digit).collect();
    let (hours, minutes) = digits.split_at_checked(2).unwrap_or((&digits, ""));
    let minutes = if minutes.is_empty() { 0 } else { minutes.parse::<i64>().ok()? };
    Some(sign * (hours.parse::<i64>().ok()? * 3600 + minutes * 60))
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// A time as Sysmon writes it.
fn sysmon(nanoseconds: i64) -> String {
    let (seconds, rest) = (nanoseconds.div_euclid(1_000_000_000), nanoseconds.rem_euclid(1_000_000_000));
    let (day, clock) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
    let z = day + 719_468;
    let (era, of_era) = (z.div_euclid(146_097), z.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let (hour, minute, second) = (clock / 3600, clock / 60 % 60, clock % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{:03}", rest / 1_000_000)
}

pub(super) fn text(text: &str, _: &Arguments, _: &Around<'_>) -> Option<String> {
    parse(text).map(sysmon)
}

pub(super) fn epoch(text: &str, _: &Arguments, _: &Around<'_>) -> Option<String> {
    text.bytes().all(|b| b.is_ascii_digit() || b == b'.').then(|| from_number(text.trim()).map(sysmon)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_notations_mean_the_same_time() {
        let time = parse("2023-10-14T12:30:48.187Z");
        assert_eq!(time, Some(1_697_286_648_187_000_000));
        for same in ["2023-10-14 12:30:48,187", "2023-10-14T14:30:48.187+02:00", "1697286648.187", "1697286648187"] {
            assert_eq!(parse(same), time, "{same}");
        }
        assert_eq!(time.map(sysmon).as_deref(), Some("2023-10-14 12:30:48.187"));
        assert_eq!(parse("1970-01-01"), Some(0));
        assert_eq!(parse("1716999135.272108").map(sysmon).as_deref(), Some("2024-05-29 16:12:15.272"));
    }

    #[test]
    fn what_is_no_time_is_none() {
        for bad in [
            "",
            "now",
            "2023-13-01",
            "2023-10-14 99:00:00",
            "99999999999999999999",
            "9999-01-01 00:00:00",
            "é023-10-14",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
