//! The protocol of mirrored requests: that of their calls, with another body.

use std::marker::PhantomData;

use http::{HeaderMap, Response, StatusCode};

use crate::filter::LocalReply;
use crate::policy::matcher::HeaderView;
use crate::policy::outlier::FailureKind;
use crate::runtime::{CallStatus, MeshError, Protocol, Stamp};

use super::tap::MirrorBody;

/// The protocol of requests that mirror those of `P`.
#[derive(Debug)]
pub(super) struct Mirrored<P>(PhantomData<fn(P)>);

impl<P: Protocol> Protocol for Mirrored<P> {
    type Body = MirrorBody;

    fn view(headers: &HeaderMap) -> HeaderView<'_> {
        P::view(headers)
    }

    fn classify_head(status: StatusCode, headers: &HeaderMap) -> Option<CallStatus> {
        P::classify_head(status, headers)
    }

    fn failure(status: StatusCode, last: &HeaderMap) -> Option<FailureKind> {
        P::failure(status, last)
    }

    fn code(error: &MeshError) -> u32 {
        P::code(error)
    }

    fn local_reply(reply: LocalReply) -> Response<()> {
        P::local_reply(reply)
    }

    fn stamp(headers: &mut HeaderMap, stamp: Stamp) {
        P::stamp(headers, stamp);
    }
}
