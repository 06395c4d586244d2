//! Why a request was not sent into the mesh.

use std::error::Error;

use mesh_core::runtime::{ChannelError, MeshError};

type BoxError = Box<dyn Error + Send + Sync>;

/// Why a request has no response, not even one of the mesh's own: the request itself is wrong, or there is no mesh.
#[derive(thiserror::Error)]
#[error("{text}")]
pub struct ClientError {
    kind: ClientErrorKind,
    text: Box<str>,
    source: Option<BoxError>,
}

mesh_core::debug_with_causes!(ClientError);

/// The kind of a [`ClientError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClientErrorKind {
    /// The mesh has no service of the URL's name. Not the kind for a service that is configured wrongly: its requests get a 503.
    NotInMesh,
    /// The URL is not one for the mesh: it has no host, or another scheme than `http`. The mesh secures connections itself.
    Url,
    /// The request cannot be sent as it is: `CONNECT`, or fields that contradict each other.
    Request,
    /// The request's own body failed; [`source`](Error::source) is the body's error.
    RequestBody,
    /// The mesh cannot be started, or there is no tokio runtime.
    Mesh,
}

impl ClientError {
    fn new(kind: ClientErrorKind, text: impl Into<Box<str>>) -> Self {
        Self { kind, text: text.into(), source: None }
    }

    fn caused_by(self, source: impl Into<BoxError>) -> Self {
        Self { source: Some(source.into()), ..self }
    }

    pub(super) fn url(text: impl Into<Box<str>>) -> Self {
        Self::new(ClientErrorKind::Url, text)
    }

    pub(super) fn request(text: impl Into<Box<str>>) -> Self {
        Self::new(ClientErrorKind::Request, text)
    }

    pub(super) fn mesh(error: impl Into<BoxError>) -> Self {
        Self::new(ClientErrorKind::Mesh, "the process's mesh cannot be started").caused_by(error)
    }

    pub(super) fn channel(name: &str, error: ChannelError) -> Self {
        if error.is_not_in_mesh() {
            let text = format!("{name:?} is not the name of a service of the mesh");
            return Self::new(ClientErrorKind::NotInMesh, text).caused_by(error);
        }
        Self::new(ClientErrorKind::Mesh, format!("no requests can be sent to {name:?}")).caused_by(error)
    }

    /// The error of a call whose reason lies with the request.
    pub(super) fn call(kind: ClientErrorKind, error: MeshError) -> Self {
        let text = match kind {
            ClientErrorKind::NotInMesh => "the URL's host is not the name of a service of the mesh",
            ClientErrorKind::RequestBody => "the request's body failed",
            _ => "the request cannot be sent",
        };
        Self::new(kind, text).caused_by(error)
    }

    /// The kind of failure.
    pub fn kind(&self) -> ClientErrorKind {
        self.kind
    }

    /// Whether the mesh has no service of the URL's name: such a request may be for the world outside of the mesh.
    pub fn is_not_in_mesh(&self) -> bool {
        self.kind == ClientErrorKind::NotInMesh
    }
}
