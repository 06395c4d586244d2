//! What h2's errors mean.

use h2::Reason;

use crate::runtime::connect::{BodyError, DisconnectReason, SendErrorKind, SendFailure};

/// The failure of a call whose head was given to h2.
pub(super) fn send_failure<B>(error: h2::Error) -> SendFailure<B> {
    let kind = match error.reason() {
        // RT-45: the endpoint says that it has not processed the call.
        Some(Reason::REFUSED_STREAM) if error.is_reset() => SendErrorKind::Refused,
        // h2 fails a stream with the endpoint's GOAWAY only if its id is above the last one that was processed.
        Some(_) if error.is_go_away() && error.is_remote() => SendErrorKind::Refused,
        Some(reason) if error.is_reset() => SendErrorKind::Reset(reason.into()),
        _ => SendErrorKind::Closed,
    };
    SendFailure::new(kind, error)
}

pub(super) fn body_error(error: h2::Error) -> BodyError {
    let code = error.reason().filter(|_| error.is_reset()).map(u32::from);
    BodyError::new(code, error)
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
