//! Durations as text: numbers with units in a row, such as `1m30s`.
//!
//! The dialects differ in their units and in the numbers that they allow.

use std::time::Duration;

/// Istio's, which are those of Go and of proto JSON: any number of parts with digits behind the point (`1.5s`), down to
/// nanoseconds.
pub(crate) fn with_fractions(text: &str) -> Option<Duration> {
    parts(text, |number, unit| {
        let nanoseconds = match unit {
            "ns" => 1,
            "us" | "µs" => 1_000,
            unit => milliseconds(unit)? * 1_000_000,
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let whole: u64 = whole.parse().ok()?;
        let mut total = whole.checked_mul(nanoseconds)?;
        let mut place = nanoseconds;
        for digit in fraction.chars() {
            place /= 10;
            total = total.checked_add(place * u64::from(digit.to_digit(10)?))?;
        }
        Some(Duration::from_nanos(total))
    })
}

/// The Gateway API's (GEP-2257): at most four parts of whole numbers of at most five digits.
pub(crate) fn gateway(text: &str) -> Option<Duration> {
    let mut count = 0;
    parts(text, |number, unit| {
        count += 1;
        if count > 4 || number.len() > 5 { None } else { whole(number, unit) }
    })
}

/// The command line's: whole numbers.
pub(crate) fn plain(text: &str) -> Option<Duration> {
    parts(text, whole)
}

fn whole(number: &str, unit: &str) -> Option<Duration> {
    let number: u32 = number.parse().ok()?;
    Some(Duration::from_millis(u64::from(number) * milliseconds(unit)?))
}

fn milliseconds(unit: &str) -> Option<u64> {
    match unit {
        "ms" => Some(1),
        "s" => Some(1_000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        _ => None,
    }
}

/// The sum of all `<number><unit>` of a text.
fn parts(text: &str, mut part: impl FnMut(&str, &str) -> Option<Duration>) -> Option<Duration> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() || text.is_empty() {
        let number_end = rest.find(|character: char| !character.is_ascii_digit() && character != '.')?;
        let (number, tail) = rest.split_at(number_end);
        let unit_end = tail.find(|character: char| character.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        total = total.checked_add(part(number, unit)?)?;
        rest = tail;
    }
    Some(total)
}
