//! Durations in tables.

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
    fn durations_are_shown_short() {
        for (seconds, text) in
            [(0, "0s"), (59, "59s"), (60, "1m"), (3600, "1h"), (7500, "2h5m"), (360_000, "4d")]
        {
            assert_eq!(short(seconds), text);
        }
    }
}
