//! A call as the rules see it.

use http::{HeaderMap, Method, Uri, request};

use crate::peer::Peer;
use crate::policy::matcher::DynamicMetadata;

/// A call as the rules see it: the request's head, the connection, and what filters have found out.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct RbacRequest<'a> {
    /// The HTTP method; POST in gRPC.
    pub method: &'a Method,
    /// The path and the authority. Where it has no authority, the header `host` is one.
    pub uri: &'a Uri,
    /// The headers as they were received.
    pub headers: &'a HeaderMap,
    /// The connection.
    pub peer: &'a Peer,
    /// What earlier filters have written; `None`: nothing.
    pub metadata: Option<&'a DynamicMetadata>,
}

impl<'a> RbacRequest<'a> {
    /// The call of this head, on this connection. Metadata is what the head's extensions have.
    pub fn new(head: &'a request::Parts, peer: &'a Peer) -> Self {
        let request::Parts { method, uri, headers, extensions, .. } = head;
        Self { method, uri, headers, peer, metadata: extensions.get() }
    }

    pub(super) fn path(&self) -> &'a str {
        self.uri.path()
    }

    /// The client's names that `authenticated` compares; none without TLS.
    // HF-22
    pub(super) fn names(&self) -> &'a [String] {
        match (self.peer.is_tls(), self.peer.identity()) {
            (false, _) => &[],
            (true, None) => &NO_CERTIFICATE,
            (true, Some(identity)) => identity.principals(),
        }
    }
}

/// The name of a client without a certificate.
static NO_CERTIFICATE: [String; 1] = [String::new()];
