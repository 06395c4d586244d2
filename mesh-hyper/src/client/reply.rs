//! The mesh's own replies to requests that reach no endpoint.

use std::fmt;
use std::sync::Arc;

use http::header::{HeaderName, HeaderValue};
use http::{Response, StatusCode};
use mesh_core::runtime::{MeshError, MeshErrorKind};

use super::{ClientError, ClientErrorKind, ResponseBody};

/// The header of the mesh's own replies: why there is no response of an endpoint. Its values are listed in the chapter on HTTP.
pub const REASON: HeaderName = HeaderName::from_static("mesh-reason");

/// Why a response is the mesh's own: among the extensions of each such response, and of no other.
#[derive(Clone)]
pub struct LocalFailure(Arc<MeshError>);

impl LocalFailure {
    /// Why no endpoint has answered. Its text is for logs: it names endpoints and the control plane.
    pub fn error(&self) -> &MeshError {
        &self.0
    }
}

impl fmt::Debug for LocalFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LocalFailure").field(&self.0).finish()
    }
}

/// The response to a request that the mesh has failed, or an error if the reason lies with the request.
pub(super) fn of(error: MeshError) -> Result<Response<ResponseBody>, ClientError> {
    let of_request = match error.kind() {
        MeshErrorKind::NotInMesh => Some(ClientErrorKind::NotInMesh),
        MeshErrorKind::RequestBody => Some(ClientErrorKind::RequestBody),
        MeshErrorKind::MalformedRequest => Some(ClientErrorKind::Request),
        _ => None,
    };
    if let Some(kind) = of_request {
        return Err(ClientError::call(kind, error));
    }
    let mut response = Response::new(ResponseBody::default());
    *response.status_mut() = status(error.kind());
    response.headers_mut().insert(REASON, HeaderValue::from_static(reason(error.kind())));
    response.extensions_mut().insert(LocalFailure(Arc::new(error)));
    Ok(response)
}

/// The status of the reply for an error of this kind.
pub(super) fn status(kind: MeshErrorKind) -> StatusCode {
    match kind {
        // RT-20
        MeshErrorKind::NoRoute => StatusCode::NOT_FOUND,
        MeshErrorKind::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn reason(kind: MeshErrorKind) -> &'static str {
    match kind {
        MeshErrorKind::NoRoute => "no-route",
        MeshErrorKind::UnsupportedRoute => "unsupported-route",
        MeshErrorKind::Configuration => "no-configuration",
        MeshErrorKind::Cluster => "no-cluster",
        MeshErrorKind::NoEndpoint => "no-endpoint",
        MeshErrorKind::Dropped => "dropped",
        MeshErrorKind::CircuitBreaker => "circuit-breaker",
        MeshErrorKind::QueueFull => "queue-full",
        MeshErrorKind::DeadlineExceeded => "deadline",
        MeshErrorKind::Connection => "connection",
        _ => "client",
    }
}
