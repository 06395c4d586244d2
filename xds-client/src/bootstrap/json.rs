//! Reads JSON with the path of the current value, so that every error names its field.

use std::time::Duration;

use serde_json::Value;

/// What is wrong with a field.
#[derive(Debug)]
pub(super) struct Invalid {
    pub(super) path: String,
    pub(super) reason: String,
}

/// A JSON value and its path. Unknown keys are never read (BS-05); `null` counts as an absent key.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'a> {
    value: &'a Value,
    path: String,
}

impl<'a> Cursor<'a> {
    pub(super) fn root(value: &'a Value) -> Self {
        Self { value, path: String::new() }
    }

    pub(super) fn invalid(&self, reason: impl Into<String>) -> Invalid {
        Invalid { path: self.path.clone(), reason: reason.into() }
    }

    fn expected(&self, what: &str) -> Invalid {
        let found = match self.value {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "an array",
            Value::Object(_) => "an object",
        };
        self.invalid(format!("expected {what}, found {found}"))
    }

    fn fields(&self) -> Result<&'a serde_json::Map<String, Value>, Invalid> {
        self.value.as_object().ok_or_else(|| self.expected("an object"))
    }

    pub(super) fn field(&self, key: &str) -> Result<Option<Self>, Invalid> {
        let path = match self.path.as_str() {
            "" => key.to_owned(),
            path => format!("{path}.{key}"),
        };
        let value = self.fields()?.get(key).filter(|value| !value.is_null());
        Ok(value.map(|value| Self { value, path }))
    }

    pub(super) fn required(&self, key: &str) -> Result<Self, Invalid> {
        self.field(key)?.ok_or_else(|| self.invalid(format!("{key} is missing")))
    }

    pub(super) fn entries(&self) -> Result<Vec<(&'a str, Self)>, Invalid> {
        let entry = |(key, value): (&'a String, &'a Value)| {
            (key.as_str(), Self { value, path: format!("{}[{key:?}]", self.path) })
        };
        Ok(self.fields()?.iter().map(entry).collect())
    }

    pub(super) fn elements(&self) -> Result<Vec<Self>, Invalid> {
        let elements = self.value.as_array().ok_or_else(|| self.expected("an array"))?;
        let element = |(index, value)| Self { value, path: format!("{}[{index}]", self.path) };
        Ok(elements.iter().enumerate().map(element).collect())
    }

    pub(super) fn object(&self) -> Result<serde_json::Map<String, Value>, Invalid> {
        self.fields().cloned()
    }

    pub(super) fn string(&self) -> Result<&'a str, Invalid> {
        self.value.as_str().ok_or_else(|| self.expected("a string"))
    }

    pub(super) fn boolean(&self) -> Result<bool, Invalid> {
        self.value.as_bool().ok_or_else(|| self.expected("a boolean"))
    }

    /// The key's string; absent or empty is `None`.
    pub(super) fn text(&self, key: &str) -> Result<Option<&'a str>, Invalid> {
        let text = self.field(key)?.map(|field| field.string()).transpose()?;
        Ok(text.filter(|text| !text.is_empty()))
    }

    /// The key's duration in the JSON form of `google.protobuf.Duration`; more than zero.
    pub(super) fn interval(&self, key: &str) -> Result<Option<Duration>, Invalid> {
        let Some(field) = self.field(key)? else { return Ok(None) };
        match parse_duration(field.string()?) {
            Some(interval) if !interval.is_zero() => Ok(Some(interval)),
            _ => Err(field.invalid("expected seconds as in \"600s\" or \"0.5s\", more than zero")),
        }
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
