//! A server's instruction on retries.

use std::time::Duration;

use http::HeaderMap;

/// The response header that holds it.
const HEADER: &str = "grpc-retry-pushback-ms";

/// A server's instruction on the next attempt (gRFC A6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushback {
    /// Retry after exactly this wait.
    After(Duration),
    /// Do not retry.
    Never,
}

impl Pushback {
    /// Reads `grpc-retry-pushback-ms`; `None` without the header.
    pub fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(HEADER).iter();
        let (first, more) = (values.next()?, values.next());
        // RT-42: an unreadable value means "do not retry".
        let milliseconds: Option<i32> = match more {
            None => first.to_str().ok().and_then(|text| text.parse().ok()),
            Some(_) => None,
        };
        match milliseconds.map(u64::try_from) {
            Some(Ok(wait)) => Some(Self::After(Duration::from_millis(wait))),
            Some(Err(_)) | None => Some(Self::Never),
        }
    }
}
