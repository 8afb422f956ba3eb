//! Owns dates and times in the text of a field: reading the forms that logs use, and their parts.
//!
//! A part is taken in the time's own offset, as it is written; a number is seconds, milliseconds, microseconds or
//! nanoseconds since 1970 in UTC, told apart by its size. The specification names no time zone.

use crate::rule::TimePart;

/// A date and time to the minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DateTime {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
}

impl DateTime {
    /// Reads `2024-03-05T07:12:59.1Z`, `2024-03-05 07:12`, `2024/03/05`, with any offset, or a number since 1970.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.len() > 64 || !text.is_ascii() {
            return None;
        }
        if let Ok(number) = text.parse::<i64>() {
            return Self::from_epoch(number);
        }
        let (date, rest) = text.split_at_checked(10)?;
        let separator = date.as_bytes()[4];
        if !matches!(separator, b'-' | b'/') || date.as_bytes()[7] != separator {
            return None;
        }
        let (year, month, day) = (digits(&date[..4])?, digits(&date[5..7])?, digits(&date[8..])?);
        let (hour, minute) = match rest.as_bytes().first() {
            None => (0, 0),
            Some(b'T' | b't' | b' ') => clock(rest[1..].trim_start())?,
            Some(_) => return None,
        };
        let good =
            (1..=12).contains(&month) && day >= 1 && day <= month_length(year, month) && hour < 24 && minute < 60;
        good.then_some(Self { year, month, day, hour, minute })
    }

    /// Takes a number since 1970 in UTC; its size tells the unit.
    pub fn from_epoch(number: i64) -> Option<Self> {
        let seconds = match number.unsigned_abs() {
            0..100_000_000_000 => number,
            100_000_000_000..100_000_000_000_000 => number.div_euclid(1_000),
            100_000_000_000_000..100_000_000_000_000_000 => number.div_euclid(1_000_000),
            _ => number.div_euclid(1_000_000_000),
        };
        let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let (year, month, day) = civil(days);
        Some(Self { year, month, day, hour: second / 3_600, minute: second % 3_600 / 60 })
    }

    /// One part of it; the week is that of ISO 8601, 1 to 53.
    pub fn part(&self, part: TimePart) -> i64 {
        match part {
            TimePart::Minute => self.minute,
            TimePart::Hour => self.hour,
            TimePart::Day => self.day,
            TimePart::Month => self.month,
            TimePart::Year => self.year,
            TimePart::Week => self.week(),
        }
    }

    fn week(&self) -> i64 {
        // The week belongs to the year that holds its Thursday; 1970-01-01 was one.
        let days = days_from_civil(self.year, self.month, self.day);
        let weekday = (days + 3).rem_euclid(7);
        let thursday = days - weekday + 3;
        let (year, ..) = civil(thursday);
        (thursday - days_from_civil(year, 1, 1)) / 7 + 1
    }
}

fn digits(text: &str) -> Option<i64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// `07:12`, `07:12:59.123456`, with `Z`, `+02:00`, ` UTC` behind it.
fn clock(text: &str) -> Option<(i64, i64)> {
    let (hour, rest) = text.split_at_checked(2)?;
    let (minute, rest) = rest.strip_prefix(':')?.split_at_checked(2)?;
    let rest = match rest.strip_prefix(':') {
        Some(seconds) => {
            digits(seconds.get(..2)?).filter(|&s| s <= 60)?;
            let fraction = seconds[2..].strip_prefix(['.', ',']);
            fraction.map_or(&seconds[2..], |f| f.trim_start_matches(|c: char| c.is_ascii_digit()))
        }
        None => rest,
    };
    let zone = rest.trim_start();
    let offset = zone.strip_prefix(['+', '-']);
    let known = zone.is_empty()
        || matches!(zone, "Z" | "z" | "UTC" | "GMT")
        || offset.is_some_and(|o| (2..=5).contains(&o.len()) && o.bytes().all(|b| b.is_ascii_digit() || b == b':'));
    if known { Some((digits(hour)?, digits(minute)?)) } else { None }
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn month_length(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a date of the Gregorian calendar (years start in March, so that leap days come last).
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The date of a number of days since 1970-01-01.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, of_year - (153 * shifted_month + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Option<[i64; 6]> {
        use TimePart::{Day, Hour, Minute, Month, Week, Year};
        let time = DateTime::parse(text)?;
        Some([Year, Month, Week, Day, Hour, Minute].map(|part| time.part(part)))
    }

    #[test]
    fn reads_what_logs_write_in_its_own_offset() {
        for text in [
            "2024-03-05T07:12:59Z",
            "2024-03-05 07:12:59.123",
            "2024-03-05T07:12:59.123456+02:00",
            "2024/03/05 07:12",
            "2024-03-05 07:12:59 UTC",
            "1709622779",
            "1709622779123",
        ] {
            assert_eq!(parts(text), Some([2024, 3, 10, 5, 7, 12]), "{text}");
        }
        for text in
            ["", "yesterday", "2024-13-01", "2024-02-30", "2024-03-05T25:00", "2024-03-05Tx", "20é4-01-01T00:00"]
        {
            assert_eq!(parts(text), None, "{text}");
        }
    }

    #[test]
    fn weeks_are_iso() {
        for (date, week) in
            [("2021-01-03", 53), ("2021-01-04", 1), ("2020-12-31", 53), ("2019-12-30", 1), ("1969-12-31", 1)]
        {
            assert_eq!(parts(date).map(|p| p[2]), Some(week), "{date}");
        }
    }

    #[test]
    fn days_and_dates_are_inverse() {
        for days in (-800_000..800_000).step_by(97) {
            let (year, month, day) = civil(days);
            assert_eq!(days_from_civil(year, month, day), days);
        }
    }
}
