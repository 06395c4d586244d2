//! Translates h2's errors.

use h2::Reason;

use crate::runtime::connect::{BodyError, DisconnectReason, SendErrorKind, SendFailure};

use crate::runtime::tls::HandshakeError;

use super::Http2Connection;

/// A head or trailers exceed a limit.
#[derive(Debug, thiserror::Error)]
pub(super) enum TooLarge {
    #[error(
        "the request's head has {size} bytes, and the endpoint takes {limit} (SETTINGS_MAX_HEADER_LIST_SIZE)"
    )]
    Request { size: usize, limit: u32 },
    #[error(
        "the endpoint ended the connection (HTTP/2 error code {code}) at a request's head of {size} bytes"
    )]
    Unannounced { size: usize, code: u32 },
    #[error("the response's head has {size} bytes, more than Http2Settings::max_header_list of {limit}")]
    Head { size: usize, limit: u32 },
    #[error("the response's trailers have {size} bytes, more than Http2Settings::max_header_list of {limit}")]
    Trailers { size: usize, limit: u32 },
}

/// Why a stream failed, more precisely than in h2's error.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("the response's reader is behind by more than Http2Settings::max_unread_frames of {limit}")]
    Unread { limit: u32 },
    #[error("the response is malformed, or its head or trailers have more than {limit} bytes")]
    Malformed { limit: u32 },
    #[error(
        "the endpoint sent a header block of more than {bytes} bytes or {frames} CONTINUATION frames (both follow from \
         Http2Settings::max_header_list), and nothing after it can be decoded"
    )]
    HeaderBlock { bytes: u32, frames: u32 },
    #[error("the connection's task was dropped: its runtime has ended")]
    Abandoned,
    #[error("the connection was cut, because its endpoint is not accepted any more: {0}")]
    Peer(HandshakeError),
}

/// The failure of a call whose head was given to h2 and has `size` bytes.
pub(super) fn send_failure<B>(
    error: h2::Error,
    stream: u32,
    size: usize,
    connection: &Http2Connection,
) -> SendFailure<B> {
    let shared = connection.shared();
    if !shared.was_sent(stream) {
        return SendFailure::new(SendErrorKind::NotSent, error);
    }
    let kind = match error.reason() {
        // RT-45: the endpoint reports that it has not processed the call.
        Some(Reason::REFUSED_STREAM) if error.is_reset() => SendErrorKind::Refused,
        // h2 fails a stream with the endpoint's GOAWAY only if its id is above the last one that was processed.
        Some(reason) if error.is_go_away() && error.is_remote() => {
            if reason != Reason::NO_ERROR && size > LARGE_HEAD {
                // A request that may have ended this connection is not sent on another one.
                let source = TooLarge::Unannounced { size, code: reason.into() };
                return SendFailure::new(SendErrorKind::TooLarge, source);
            }
            SendErrorKind::Refused
        }
        Some(reason) if error.is_reset() => SendErrorKind::Reset(reason.into()),
        _ => SendErrorKind::Closed,
    };
    match broken(&error, stream, connection) {
        Some(broken) => SendFailure::new(kind, broken),
        None => SendFailure::new(kind, error),
    }
}

pub(super) fn body_error(error: h2::Error, stream: u32, connection: &Http2Connection) -> BodyError {
    let code = error.reason().filter(|_| error.is_reset()).map(u32::from);
    match broken(&error, stream, connection) {
        Some(broken @ Broken::Unread { .. }) => {
            BodyError::new(Some(Reason::ENHANCE_YOUR_CALM.into()), broken)
        }
        Some(broken) => BodyError::new(code, broken),
        None => BodyError::new(code, error),
    }
}

/// Trailers that exceed the limit.
pub(super) fn trailers_error(size: usize, limit: u32) -> BodyError {
    BodyError::new(Some(Reason::ENHANCE_YOUR_CALM.into()), TooLarge::Trailers { size, limit })
}

/// A more precise reason than h2's error, if one is known.
fn broken(error: &h2::Error, stream: u32, connection: &Http2Connection) -> Option<Broken> {
    let (shared, settings) = (connection.shared(), connection.settings());
    if error.is_go_away() && error.is_library() && error.reason() == Some(Reason::ENHANCE_YOUR_CALM) {
        let (bytes, frames) = (settings.largest_header_list(), settings.continuation_frames());
        return Some(Broken::HeaderBlock { bytes, frames });
    }
    if let Some(refusal) = shared.peer_refusal() {
        return Some(Broken::Peer(refusal.clone()));
    }
    if !error.is_reset() {
        return shared.is_abandoned().then_some(Broken::Abandoned);
    }
    if error.is_remote() || error.reason() != Some(Reason::PROTOCOL_ERROR) {
        return None;
    }
    Some(if shared.unread.was_reset(stream) {
        Broken::Unread { limit: settings.max_unread_frames }
    } else {
        Broken::Malformed { limit: settings.decoded_header_list() }
    })
}

/// Why a connection has ended or takes no more calls.
pub(super) fn disconnect_reason(error: &h2::Error) -> DisconnectReason {
    match (error.get_io(), error.reason()) {
        (Some(io), _) => DisconnectReason::from(io),
        (None, Some(reason)) if error.is_go_away() && error.is_remote() => {
            DisconnectReason::GoAway(reason.into())
        }
        (None, _) => DisconnectReason::Unknown,
    }
}

/// An endpoint may end its connection because of a larger head: this is the smallest limit in common use.
const LARGE_HEAD: usize = 8 << 10;
