//! Durations as Istio and the Gateway API write them.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};

use crate::duration;

/// Istio's: proto JSON (`1.5s`), or several units in a row as in Go (`1m30s`). Zero, or at least a millisecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProtoDuration(pub(crate) Duration);

/// The Gateway API's (GEP-2257): up to four whole numbers of at most five digits with `h`, `m`, `s` or `ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GatewayDuration(pub(crate) Duration);

impl<'de> Deserialize<'de> for ProtoDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "a duration such as `1.5s`, `500ms` or `1m30s`";
        deserializer.deserialize_any(DurationVisitor { expected, parse: duration::with_fractions }).map(Self)
    }
}

impl<'de> Deserialize<'de> for GatewayDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "a duration such as `10s` or `1m30s` (GEP-2257: whole numbers with h, m, s, ms)";
        deserializer.deserialize_any(DurationVisitor { expected, parse: duration::gateway }).map(Self)
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

const LONGEST: Duration = Duration::from_secs(87_600 * 3_600);
