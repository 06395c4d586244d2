//! Durations as Istio and the Gateway API write them.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};

/// Istio's: proto JSON (`1.5s`), or several units in a row as in Go (`1m30s`). Zero, or at least a millisecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProtoDuration(pub(crate) Duration);

/// The Gateway API's (GEP-2257): up to four whole numbers of at most five digits with `h`, `m`, `s` or `ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GatewayDuration(pub(crate) Duration);

impl<'de> Deserialize<'de> for ProtoDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "a duration such as `1.5s`, `500ms` or `1m30s`";
        deserializer.deserialize_any(DurationVisitor { expected, parse: proto }).map(Self)
    }
}

impl<'de> Deserialize<'de> for GatewayDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "a duration such as `10s` or `1m30s` (GEP-2257: whole numbers with h, m, s, ms)";
        deserializer.deserialize_any(DurationVisitor { expected, parse: gateway }).map(Self)
    }
}

impl Serialize for ProtoDuration {
    /// As proto JSON: seconds, with nine digits behind the point at most.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let nanoseconds = format!("{:09}", self.0.subsec_nanos());
        let fraction = nanoseconds.trim_end_matches('0');
        let point = if fraction.is_empty() { "" } else { "." };
        serializer.collect_str(&format_args!("{}{point}{fraction}s", self.0.as_secs()))
    }
}

impl Serialize for GatewayDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let seconds = self.0.as_secs();
        let milliseconds = u64::from(self.0.subsec_millis());
        let parts =
            [(seconds / 3600, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s"), (milliseconds, "ms")];
        let set = parts.iter().filter(|(number, _)| *number > 0);
        let text: String = set.map(|(number, unit)| format!("{number}{unit}")).collect();
        serializer.serialize_str(if text.is_empty() { "0s" } else { &text })
    }
}

impl JsonSchema for ProtoDuration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "For example 1.5s, 500ms or 1m30s.",
            "pattern": r"^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$",
        })
    }
}

impl JsonSchema for GatewayDuration {
    fn schema_name() -> Cow<'static, str> {
        "GatewayDuration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "For example 10s or 1m30s (GEP-2257).",
            "pattern": "^([0-9]{1,5}(h|m|s|ms)){1,4}$",
        })
    }
}

struct DurationVisitor {
    expected: &'static str,
    parse: fn(&str) -> Option<Duration>,
}

impl Visitor<'_> for DurationVisitor {
    type Value = Duration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Duration, E> {
        let found = || de::Unexpected::Str(text);
        let duration = (self.parse)(text).ok_or_else(|| E::invalid_value(found(), &self))?;
        if !duration.is_zero() && duration < Duration::from_millis(1) {
            return Err(E::invalid_value(found(), &"a duration of at least 1ms"));
        }
        if duration > LONGEST {
            return Err(E::invalid_value(found(), &"a duration of at most 87600h"));
        }
        Ok(duration)
    }
}

fn proto(text: &str) -> Option<Duration> {
    parts(text, |number, unit| {
        let nanoseconds: u64 = match unit {
            "ns" => 1,
            "us" | "µs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
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

fn gateway(text: &str) -> Option<Duration> {
    let mut units = 0;
    parts(text, |number, unit| {
        units += 1;
        if units > 4 || number.len() > 5 {
            return None;
        }
        let number: u64 = number.parse().ok()?;
        match unit {
            "ms" => Some(Duration::from_millis(number)),
            "s" => Some(Duration::from_secs(number)),
            "m" => Some(Duration::from_secs(number * 60)),
            "h" => Some(Duration::from_secs(number * 3600)),
            _ => None,
        }
    })
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

const LONGEST: Duration = Duration::from_secs(87_600 * 3_600);
