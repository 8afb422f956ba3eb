//! Owns the stories' time: microseconds since 1970, and how sensors write it. Only times of the story's kind are asked
//! of it; it is no calendar library.

use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// Microseconds since 1970-01-01 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub u64);

impl Time {
    /// This time and so many seconds.
    pub fn plus(self, seconds: f64) -> Self {
        Self(self.0.saturating_add_signed((seconds * 1e6) as i64))
    }

    /// As `2026-03-10T08:30:00.123456Z`.
    pub fn iso(self) -> String {
        let (year, month, day) = self.date();
        let (hour, minute, second) = self.clock();
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:06}Z", self.0 % 1_000_000)
    }

    /// As Sysmon's `UtcTime`: `2026-03-10 08:30:00.123`.
    pub fn sysmon(self) -> String {
        self.iso()[..23].replace('T', " ")
    }

    /// As syslog writes it: `Mar 10 08:30:00`.
    pub fn syslog(self) -> String {
        const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let (_, month, day) = self.date();
        let (hour, minute, second) = self.clock();
        format!("{} {day:2} {hour:02}:{minute:02}:{second:02}", MONTHS[month as usize - 1])
    }

    /// Whole seconds since 1970.
    pub fn seconds(self) -> u64 {
        self.0 / 1_000_000
    }

    fn clock(self) -> (u64, u64, u64) {
        let seconds = self.seconds() % 86_400;
        (seconds / 3_600, seconds / 60 % 60, seconds % 60)
    }

    /// Year, month and day of the Gregorian calendar, by counting eras of 400 years from 1 March of year 0.
    fn date(self) -> (u64, u64, u64) {
        let days = self.seconds() / 86_400 + 719_468;
        let (era, day_of_era) = (days / 146_097, days % 146_097);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted + 2) / 5 + 1;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        (era * 400 + year_of_era + u64::from(month <= 2), month, day)
    }

    /// Reads `2026-03-10T08:30:00Z`.
    fn parse(text: &str) -> Option<Self> {
        let (date, clock) = text.strip_suffix('Z')?.split_once('T')?;
        let numbers = |text: &str, separator| -> Option<Vec<u64>> {
            text.split(separator).map(|part| part.parse().ok()).collect()
        };
        let (date, clock) = (numbers(date, '-')?, numbers(clock, ':')?);
        let (&[year, month, day], &[hour, minute, second]) = (date.as_slice(), clock.as_slice()) else { return None };
        let year = if month <= 2 { year - 1 } else { year };
        let (era, year_of_era) = (year / 400, year % 400);
        let shifted = if month > 2 { month - 3 } else { month + 9 };
        let day_of_year = (153 * shifted + 2) / 5 + day - 1;
        let days = era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468;
        Some(Self((days * 86_400 + hour * 3_600 + minute * 60 + second) * 1_000_000))
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom(format!("'{text}' is no time like 2026-03-10T08:30:00Z")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_written_alike() {
        let time = Time::parse("2026-02-28T23:59:58Z").expect("a time");
        assert_eq!(time.0, 1_772_323_198_000_000);
        assert_eq!(time.plus(2.25).iso(), "2026-03-01T00:00:00.250000Z");
        assert_eq!(time.plus(2.25).sysmon(), "2026-03-01 00:00:00.250");
        assert_eq!(time.plus(2.0).syslog(), "Mar  1 00:00:00");
        assert_eq!(Time::parse("2024-02-29T00:00:00Z").expect("a leap day").iso(), "2024-02-29T00:00:00.000000Z");
    }
}
