//! Durations on the command line and in tables.

use std::time::Duration;

use crate::duration;

/// Reads `10s`, `500ms`, `2m`, `1h30m`.
///
/// # Errors
/// A sentence for the user.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    duration::plain(text)
        .ok_or_else(|| "expected whole numbers with units: 500ms, 10s, 2m or 1h30m".to_owned())
}

/// `45s`, `3m`, `2h5m`, `4d`.
pub(super) fn short(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m"),
        (0, _, _) if minutes % 60 == 0 => format!("{hours}h"),
        (0, _, _) => format!("{hours}h{}m", minutes % 60),
        _ => format!("{days}d"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        for (text, milliseconds) in [
            ("500ms", 500),
            ("10s", 10_000),
            ("0s", 0),
            ("2m", 120_000),
            ("1h", 3_600_000),
            ("1h30m", 5_400_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "10", "s", "1.5s", "-1s", "10 s", "99999999999s"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_are_shown_short() {
        for (seconds, text) in
            [(0, "0s"), (59, "59s"), (60, "1m"), (3600, "1h"), (7500, "2h5m"), (360_000, "4d")]
        {
            assert_eq!(short(seconds), text);
        }
    }
}
