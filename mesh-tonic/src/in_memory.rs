//! Servers in the same process, for tests.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::DuplexStream;
use tonic::codegen::tokio_stream::Stream;

/// The connections of a [`MeshChannel::in_memory`](crate::MeshChannel::in_memory), for `serve_with_incoming` of tonic's
/// server.
///
/// When it is dropped, or the server that accepts from it ends, the channel's calls find no endpoint.
#[derive(Debug)]
#[must_use = "calls wait until a server takes their connection from it"]
pub struct Incoming(mesh_core::runtime::connect::Incoming);

impl Incoming {
    pub(crate) fn new(incoming: mesh_core::runtime::connect::Incoming) -> Self {
        Self(incoming)
    }
}

impl Stream for Incoming {
    type Item = io::Result<DuplexStream>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_accept(cx).map(|connection| connection.map(Ok))
    }
}
