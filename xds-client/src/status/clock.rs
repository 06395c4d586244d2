//! From the clock that the protocol goes by to the one on the wall.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use envoy_types::pb::google::protobuf::Timestamp;

/// One moment on both clocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    instant: Instant,
    wall: SystemTime,
}

impl Clock {
    pub(super) fn new(instant: Instant, wall: SystemTime) -> Self {
        Self { instant, wall }
    }

    /// By tokio's clock, as the client's worker.
    pub(super) fn now() -> Self {
        Self::new(tokio::time::Instant::now().into_std(), SystemTime::now())
    }

    /// When that was. Exact only as long as nobody has set the wall's clock since.
    pub(super) fn timestamp(&self, at: Instant) -> Timestamp {
        let Self { instant, wall } = *self;
        let wall = match instant.checked_duration_since(at) {
            Some(ago) => wall.checked_sub(ago),
            None => wall.checked_add(at.duration_since(instant)),
        };
        let since = wall.and_then(|wall| wall.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
        Timestamp {
            seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
            // below a thousand million
            nanos: since.subsec_nanos().cast_signed(),
        }
    }
}

/// As protobuf's JSON has it: RFC 3339, in UTC, with microseconds. For times since 1970.
pub(super) fn to_text(timestamp: &Timestamp) -> String {
    let Timestamp { seconds, nanos } = *timestamp;
    let (days, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = date(days);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:06}Z", nanos / 1000)
}

/// The Gregorian date of a day since 1970-01-01. Counted in years that begin with March, so that leap days come last.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days.saturating_add(MARCH_OF_YEAR_0);
    let (era, of_era) = (days.div_euclid(DAYS_OF_ERA), days.rem_euclid(DAYS_OF_ERA));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

/// Days from 0000-03-01 to 1970-01-01.
const MARCH_OF_YEAR_0: i64 = 719_468;

/// Days of 400 years.
const DAYS_OF_ERA: i64 = 146_097;
