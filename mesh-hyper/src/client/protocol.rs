//! HTTP for the calls of a client.

use http::{HeaderMap, Response, StatusCode};
use mesh_core::filter::LocalReply;
use mesh_core::policy::matcher::HeaderView;
use mesh_core::policy::outlier::FailureKind;
use mesh_core::runtime::connect::WireProtocol;
use mesh_core::runtime::{CallStatus, MeshError, Protocol, Stamp};

use crate::status::failure_of;

use super::body::SentBody;
use super::{fields, reply};

/// HTTP, whatever the version.
#[derive(Debug)]
pub(crate) struct Http;

impl Protocol for Http {
    type Body = SentBody;

    fn view(headers: &HeaderMap) -> HeaderView<'_> {
        HeaderView::Response(headers)
    }

    /// A status in the head does not end a response: its body follows. Retry policies look at the head by themselves.
    fn classify_head(_: StatusCode, _: &HeaderMap) -> Option<CallStatus> {
        None
    }

    fn failure(status: StatusCode, _: &HeaderMap) -> Option<FailureKind> {
        failure_of(status)
    }

    fn code(error: &MeshError) -> u32 {
        reply::status(error.kind()).as_u16().into()
    }

    fn local_reply(reply: LocalReply) -> Response<()> {
        let mut response = Response::new(());
        *response.status_mut() = reply.status.http_status();
        *response.headers_mut() = reply.headers;
        response
    }

    fn stamp(headers: &mut HeaderMap, stamp: Stamp) {
        if stamp.wire == WireProtocol::Http2 {
            fields::remove_hop_by_hop(headers);
        }
    }
}
