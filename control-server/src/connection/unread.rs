//! Requests that could not be read, as opposed to clients that have gone.

use std::error::Error as _;

use tonic::{Code, Status};

/// What is wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unread {
    /// It has more bytes than are read.
    TooLarge,
    /// It is no message, or is compressed.
    Broken,
}

impl Unread {
    /// What the status says that reading a request has failed with; `None`: the connection has failed, or the client has
    /// gone.
    pub(crate) fn of(status: &Status) -> Option<Self> {
        match status.code() {
            // Whatever the connection says is the cause of its status. What a decoder says has none.
            _ if status.source().is_some() => None,
            Code::Cancelled => None,
            Code::OutOfRange | Code::ResourceExhausted => Some(Self::TooLarge),
            _ => Some(Self::Broken),
        }
    }
}
