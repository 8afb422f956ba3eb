//! Owns how an event is shown in a result: every value as text, as VirusTotal's `match_context[].values` has it.

use sandsift_ingest::Context;
use sandsift_sigma::rule::{Expr, Rule, Test};
use sandsift_sigma::{Event, Matched, Value};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// The text of a value; `None` for null, which VirusTotal's shape cannot say.
pub fn text_of(value: Value<'_>) -> Option<Cow<'_, str>> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(true) => Cow::Borrowed("true"),
        Value::Bool(false) => Cow::Borrowed("false"),
        Value::Int(number) => Cow::Owned(number.to_string()),
        Value::Number(text) | Value::Str(text) => Cow::Borrowed(text),
        Value::Empty => Cow::Borrowed(""),
    })
}

/// The fields of an event that `wanted` takes, by name; the members of a list stand in one text, a line each.
pub fn to_map(event: &Event, wanted: impl Fn(&str) -> bool) -> serde_json::Map<String, serde_json::Value> {
    let mut map = serde_json::Map::new();
    for (name, value) in event.iter() {
        if !wanted(name) {
            continue;
        }
        let Some(text) = text_of(value) else { continue };
        match map.get_mut(name) {
            Some(serde_json::Value::String(list)) => {
                list.push('\n');
                list.push_str(&text);
            }
            _ => {
                map.insert(name.to_owned(), serde_json::Value::String(text.into_owned()));
            }
        }
    }
    map
}

/// What a result shows of an event: all of it, or the values that the rule's logic used.
pub(super) fn shown(
    event: &Event,
    context: Context,
    rule: Option<&Rule>,
    matched: &[Matched],
) -> serde_json::Map<String, serde_json::Value> {
    let (Context::Used, Some(rule)) = (context, rule) else { return to_map(event, |_| true) };
    let mut names = fields(rule);
    names.extend(matched.iter().filter_map(|m| m.field.as_deref()));
    let keywords: Vec<&str> = matched.iter().filter(|m| m.field.is_none()).map(|m| m.value.as_str()).collect();
    for (name, value) in event.iter() {
        if !keywords.is_empty() && text_of(value).is_some_and(|text| keywords.contains(&text.as_ref())) {
            names.insert(name);
        }
    }
    to_map(event, |name| names.contains(name))
}

/// Every field that a rule asks about.
pub(super) fn fields(rule: &Rule) -> BTreeSet<&str> {
    fn walk<'r>(expr: &'r Expr, names: &mut BTreeSet<&'r str>) {
        match expr {
            Expr::All(parts) | Expr::Any(parts) | Expr::AtLeast(_, parts) => {
                parts.iter().for_each(|part| walk(part, names));
            }
            Expr::Not(part) => walk(part, names),
            Expr::Test(predicate) => {
                names.extend(predicate.field.as_deref());
                if let Test::FieldRef(other) = &predicate.test {
                    names.insert(&other.field);
                }
            }
            _ => {}
        }
    }
    let mut names = BTreeSet::new();
    rule.selections.iter().for_each(|selection| walk(&selection.body, &mut names));
    walk(&rule.condition, &mut names);
    names
}

/// A time in nanoseconds since 1970-01-01 UTC, as RFC 3339 writes it, without trailing zeros in the fraction.
pub fn rfc3339(nanoseconds: i64) -> String {
    let (seconds, fraction) = (nanoseconds.div_euclid(1_000_000_000), nanoseconds.rem_euclid(1_000_000_000));
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let mut text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    if fraction != 0 {
        // Writing to a String cannot fail.
        let _ = write!(text, ".{fraction:09}");
        text.truncate(text.trim_end_matches('0').len());
    }
    text.push('Z');
    text
}

/// Days since 1970-01-01 to year, month, day, after Howard Hinnant's `civil_from_days`.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_rfc_3339() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(951_782_400_000_000_000), "2000-02-29T00:00:00Z");
        assert_eq!(rfc3339(1_700_000_000_123_456_700), "2023-11-14T22:13:20.1234567Z");
        assert_eq!(rfc3339(-1), "1969-12-31T23:59:59.999999999Z");
    }

    #[test]
    fn values_are_text_and_lists_stand_line_by_line() {
        let mut event = Event::new();
        event.push("EventID", Value::Int(1));
        event.push("Signed", Value::Bool(true));
        event.push("Nothing", Value::Null);
        event.push_str("Data", "a");
        event.push_str("Data", "b");
        let map = to_map(&event, |_| true);
        assert_eq!(
            serde_json::Value::Object(map),
            serde_json::json!({"EventID": "1", "Signed": "true", "Data": "a\nb"})
        );
    }
}
