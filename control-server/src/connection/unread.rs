//! Tells requests that could not be read from clients that have disconnected.

use std::error::Error as _;

use tonic::{Code, Status};

/// What is wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unread {
    /// It is larger than the limit.
    TooLarge,
    /// It is no message, or is compressed.
    Broken,
}

impl Unread {
    /// Why reading a request has failed; `None`: the connection has failed, or the client has
    /// disconnected.
    pub(crate) fn of(status: &Status) -> Option<Self> {
        match status.code() {
            // A connection's error is the cause of its status. A decoder's status has no cause.
            _ if status.source().is_some() => None,
            Code::Cancelled => None,
            Code::OutOfRange | Code::ResourceExhausted => Some(Self::TooLarge),
            _ => Some(Self::Broken),
        }
    }
}
