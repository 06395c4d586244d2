//! Reads JSON values into types, so that every error names its field.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use serde_path_to_error::{Path, Segment};

/// What is wrong with a field.
#[derive(Debug)]
pub(super) struct Invalid {
    pub(super) path: String,
    pub(super) reason: String,
}

impl Invalid {
    pub(super) fn new(path: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { path: path.into(), reason: reason.into() }
    }

    /// A field of the object at `at` that must be there.
    pub(super) fn missing(at: &str, field: &str) -> Self {
        Self::new(at, format!("missing field `{field}`"))
    }
}

/// Reads the value at the path `at`.
pub(super) fn read<'v, T: Deserialize<'v>>(value: &'v Value, at: &str) -> Result<T, Invalid> {
    serde_path_to_error::deserialize(value)
        .map_err(|error| Invalid::new(path_below(at, error.path()), error.inner().to_string()))
}

/// As in `authorities["a"].xds_servers[0]`: names that an operator chooses are quoted, fields are not.
fn path_below(at: &str, path: &Path) -> String {
    let mut text = at.to_owned();
    for segment in path {
        // Writing to a String does not fail.
        _ = match segment {
            Segment::Seq { index } => write!(text, "[{index}]"),
            Segment::Map { key } if OBJECTS_BY_NAME.contains(&text.as_str()) => write!(text, "[{key:?}]"),
            Segment::Map { key } if text.is_empty() => write!(text, "{key}"),
            Segment::Map { key } => write!(text, ".{key}"),
            Segment::Enum { .. } | Segment::Unknown => Ok(()),
        };
    }
    text
}

/// A duration in the JSON form of `google.protobuf.Duration`; more than zero.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Interval(pub(super) Duration);

impl TryFrom<String> for Interval {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        parse_duration(&text)
            .filter(|interval| !interval.is_zero())
            .map(Self)
            .ok_or("expected seconds as in \"600s\" or \"0.5s\", more than zero")
    }
}

/// `SECONDS[.FRACTION]s` with at most nine decimals, within the range of `google.protobuf.Duration`.
fn parse_duration(text: &str) -> Option<Duration> {
    let number = text.strip_suffix('s')?;
    let (seconds, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(seconds) || !digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let seconds = seconds.parse().ok().filter(|seconds| *seconds <= 315_576_000_000_u64)?;
    let nanos = format!("{fraction:0<9}").parse().ok()?;
    Some(Duration::new(seconds, nanos))
}

/// The objects of a bootstrap whose keys are names.
const OBJECTS_BY_NAME: [&str; 3] = ["certificate_providers", "authorities", "allowed_grpc_services"];
