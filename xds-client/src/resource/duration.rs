//! Durations: valid and not negative.

use std::time::Duration;

use xds_proto::google::protobuf::Duration as ProtoDuration;

use super::invalid::{Checked, Invalid, Within};

/// A duration of the range that `google.protobuf.Duration` defines, without its negative half.
pub(super) fn duration(value: &ProtoDuration) -> Checked<Duration> {
    let ProtoDuration { seconds, nanos } = *value;
    match (u64::try_from(seconds), u32::try_from(nanos)) {
        (Ok(seconds), Ok(nanos)) if seconds <= MAX_SECONDS && nanos <= MAX_NANOS => {
            Ok(Duration::new(seconds, nanos))
        }
        _ => Err(Invalid::new(format!(
            "{seconds} s and {nanos} ns are not a duration of 0 to {MAX_SECONDS} s and 0 to {MAX_NANOS} ns"
        ))),
    }
}

/// The duration in an optional field.
pub(super) fn optional(value: Option<&ProtoDuration>, field: &str) -> Checked<Option<Duration>> {
    value.map(duration).transpose().within(field)
}

const MAX_SECONDS: u64 = 315_576_000_000;
const MAX_NANOS: u32 = 999_999_999;
