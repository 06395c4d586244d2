//! What a server says about trying again.

use std::time::Duration;

use http::HeaderMap;

/// The response header in which a server says when to try again.
const HEADER: &str = "grpc-retry-pushback-ms";

/// A server's word on when to try again (gRFC A6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushback {
    /// After exactly this wait.
    After(Duration),
    /// Not at all.
    Never,
}

impl Pushback {
    /// Reads `grpc-retry-pushback-ms`; `None` when the server says nothing.
    pub fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(HEADER).iter();
        let (first, more) = (values.next()?, values.next());
        // RT-42: what cannot be read is a no
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
