//! How long a call may take (gRFC A31), and how gRPC writes that on the wire.

use std::time::Duration;

/// The limits of a route and its listener on a call's duration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct TimeoutLimits {
    /// The route's `grpc_timeout_header_max`: wins over the others when present; zero is no limit.
    pub grpc_timeout_header_max: Option<Duration>,
    /// The route's `max_stream_duration`: zero is no limit, even if the listener has one.
    pub max_stream_duration: Option<Duration>,
    /// The listener's `max_stream_duration`: zero is no limit.
    pub listener: Option<Duration>,
}

impl TimeoutLimits {
    /// The call's timeout from the application's own and these limits; `None` is no timeout (RT-33).
    #[inline(always)]
    pub(crate) fn effective(self, application: Option<Duration>) -> Option<Duration> {
        let limit = self.grpc_timeout_header_max.or(self.max_stream_duration).or(self.listener);
        match (application, limit.filter(|limit| !limit.is_zero())) {
            (Some(application), Some(limit)) => Some(application.min(limit)),
            (one, other) => one.or(other),
        }
    }
}

/// The units of `grpc-timeout` from fine to coarse, with their nanoseconds.
const UNITS: [(u8, u128); 6] = [
    (b'n', 1),
    (b'u', 1_000),
    (b'm', 1_000_000),
    (b'S', 1_000_000_000),
    (b'M', 60_000_000_000),
    (b'H', 3_600_000_000_000),
];

/// The largest number that `grpc-timeout` can hold: eight digits.
const MAX_VALUE: u128 = 99_999_999;

/// Reads the value of a `grpc-timeout` header; `None` if it is not one to eight digits and a unit.
pub fn parse_grpc_timeout(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let (_, scale) = UNITS.iter().find(|(name, _)| name == unit)?;
    let number = digits.iter().fold(0_u128, |sum, digit| sum * 10 + u128::from(digit - b'0'));
    let nanos = number * scale;
    // Eight digits of hours are about 11,000 years, whose seconds fit into 64 bits.
    let seconds = u64::try_from(nanos / 1_000_000_000).ok()?;
    let rest = u32::try_from(nanos % 1_000_000_000).ok()?;
    Some(Duration::new(seconds, rest))
}

/// The value of a `grpc-timeout` header, in the finest unit that fits, rounded up.
pub fn format_grpc_timeout(timeout: Duration) -> GrpcTimeout {
    let nanos = timeout.as_nanos();
    let (number, unit) = UNITS
        .iter()
        .map(|(unit, scale)| (nanos.div_ceil(*scale), *unit))
        .find(|(number, _)| *number <= MAX_VALUE)
        .unwrap_or((MAX_VALUE, b'H'));
    GrpcTimeout::new(number, unit)
}

/// A formatted `grpc-timeout`, without an allocation.
#[derive(Debug, Clone, Copy)]
pub struct GrpcTimeout {
    text: [u8; 9],
    start: usize,
}

impl GrpcTimeout {
    fn new(mut number: u128, unit: u8) -> Self {
        let mut text = [b'0'; 9];
        text[8] = unit;
        let mut start = 8;
        loop {
            start -= 1;
            text[start] = b'0' + u8::try_from(number % 10).unwrap_or_default();
            number /= 10;
            if number == 0 || start == 0 {
                return Self { text, start };
            }
        }
    }

    /// The header's value.
    pub fn as_bytes(&self) -> &[u8] {
        &self.text[self.start..]
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{TimeoutLimits, format_grpc_timeout, parse_grpc_timeout};

    /// Proves: RT-33, RT-34.
    #[test]
    fn strictest_of_application_and_route_wins() {
        // (application, grpc_timeout_header_max, max_stream_duration, listener) -> result, in seconds
        type Seconds = Option<u64>;
        let rows: [([Seconds; 4], Seconds); 16] = [
            // RT-34
            ([None, None, None, None], None),
            ([None, None, Some(0), None], None),
            ([None, None, Some(10), None], Some(10)),
            ([None, Some(0), Some(7), None], None),
            ([None, Some(10), Some(7), None], Some(10)),
            ([Some(20), None, None, None], Some(20)),
            ([Some(20), None, Some(0), None], Some(20)),
            ([Some(20), None, Some(10), None], Some(10)),
            ([Some(20), Some(0), Some(7), None], Some(20)),
            ([Some(20), Some(10), Some(7), None], Some(10)),
            // RT-33: the listener's, unless the route has its own
            ([None, None, None, Some(5)], Some(5)),
            ([None, None, None, Some(0)], None),
            ([None, None, Some(0), Some(5)], None),
            ([None, None, Some(10), Some(5)], Some(10)),
            ([None, Some(0), None, Some(5)], None),
            ([Some(3), None, None, Some(5)], Some(3)),
        ];
        for (row, expected) in rows {
            let [application, header_max, stream, listener] = row;
            let seconds = |value: Option<u64>| value.map(Duration::from_secs);
            let limits = TimeoutLimits {
                grpc_timeout_header_max: seconds(header_max),
                max_stream_duration: seconds(stream),
                listener: seconds(listener),
            };
            assert_eq!(limits.effective(seconds(application)), seconds(expected), "{row:?}");
        }
    }

    #[test]
    fn header_of_one_to_eight_digits_and_a_unit_is_read() {
        let rows: [(&str, Option<Duration>); 14] = [
            ("1n", Some(Duration::from_nanos(1))),
            ("20u", Some(Duration::from_micros(20))),
            ("300m", Some(Duration::from_millis(300))),
            ("4S", Some(Duration::from_secs(4))),
            ("5M", Some(Duration::from_secs(300))),
            ("6H", Some(Duration::from_secs(6 * 3600))),
            ("99999999H", Some(Duration::from_secs(99_999_999 * 3600))),
            ("0S", Some(Duration::ZERO)),
            ("100000000n", None),
            ("S", None),
            ("", None),
            ("5", None),
            ("-5S", None),
            ("5s", None),
        ];
        for (text, expected) in rows {
            assert_eq!(parse_grpc_timeout(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn header_is_written_in_the_finest_unit_and_never_shorter() {
        let rows = [
            (Duration::ZERO, "0n"),
            (Duration::from_nanos(99_999_999), "99999999n"),
            (Duration::from_nanos(100_000_001), "100001u"),
            (Duration::from_millis(1500), "1500000u"),
            (Duration::from_secs(100), "100000m"),
            (Duration::from_secs(100_000), "100000S"),
            (Duration::from_secs(100_000_000), "1666667M"),
            (Duration::MAX, "99999999H"),
        ];
        for (timeout, expected) in rows {
            let text = format_grpc_timeout(timeout);
            assert_eq!(std::str::from_utf8(text.as_bytes()).unwrap(), expected);
            if timeout < Duration::MAX {
                assert!(parse_grpc_timeout(text.as_bytes()).unwrap() >= timeout);
            }
        }
    }
}
