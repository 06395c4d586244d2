//! From errors of the mesh to gRPC statuses.

use std::error::Error;
use std::fmt::Write as _;
use std::sync::Arc;

use http::StatusCode;
use mesh_core::WithCauses;
use mesh_core::filter::LocalStatus;
use mesh_core::runtime::{MeshError, MeshErrorKind};
use tonic::{Code, Status};

/// The status of a call that the mesh has failed. Its source is the [`MeshError`].
///
/// A request body that failed with a status of its own fails the call with that status.
pub(crate) fn of(error: MeshError) -> Status {
    if error.kind() == MeshErrorKind::RequestBody
        && let Some(status) = causes(&error).find_map(|cause| cause.downcast_ref::<Status>())
    {
        return status.clone();
    }
    // tonic has no status whose text is made later.
    let mut text = String::with_capacity(TEXT);
    let _ = write!(text, "{}", WithCauses(&error));
    let mut status = Status::new(code(&error), text);
    status.set_source(Arc::new(error));
    status
}

/// The code of a call that the mesh has failed.
///
/// SEC-01: none of OK, INVALID_ARGUMENT, NOT_FOUND, ALREADY_EXISTS, FAILED_PRECONDITION, ABORTED, OUT_OF_RANGE and
/// DATA_LOSS, which belong to services.
pub(crate) fn code(error: &MeshError) -> Code {
    of_kind(error.kind(), error.h2_code())
}

fn of_kind(kind: MeshErrorKind, h2_code: Option<u32>) -> Code {
    match kind {
        MeshErrorKind::DeadlineExceeded => Code::DeadlineExceeded,
        MeshErrorKind::RequestBody => Code::Cancelled,
        MeshErrorKind::MalformedRequest => Code::Internal,
        MeshErrorKind::Connection | MeshErrorKind::ResponseBody => h2_code.map_or(Code::Unavailable, of_h2),
        // RT-05, RT-20, RT-21, RT-26, RT-31, and calls without an endpoint
        _ => Code::Unavailable,
    }
}

/// gRPC over HTTP/2, "Errors": the code of a stream that was reset.
fn of_h2(code: u32) -> Code {
    match code {
        7 => Code::Unavailable,
        8 => Code::Cancelled,
        11 => Code::ResourceExhausted,
        12 => Code::PermissionDenied,
        _ => Code::Internal,
    }
}

/// gRPC's mapping of HTTP statuses: the code of a response that is not gRPC's.
pub(crate) fn of_http(status: StatusCode) -> Code {
    of_local(LocalStatus::Http(status))
}

/// The code of a reply that a filter or a server has made.
pub(crate) fn of_local(status: LocalStatus) -> Code {
    i32::try_from(status.grpc_code()).map_or(Code::Unknown, Code::from)
}

/// Room for most texts, so that writing one allocates once.
const TEXT: usize = 192;

fn causes(error: &MeshError) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(error.source(), |&cause| cause.source())
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use mesh_core::runtime::MeshErrorKind as Kind;
    use tonic::Code;

    use super::{of_h2, of_http, of_kind};

    /// No status comes from the control plane, and no code of a service is made up.
    ///
    /// Proves: SEC-01.
    #[test]
    fn errors_of_the_mesh_have_none_of_the_services_codes() {
        let kinds = [
            Kind::Configuration,
            Kind::NotInMesh,
            Kind::NoRoute,
            Kind::UnsupportedRoute,
            Kind::Cluster,
            Kind::NoEndpoint,
            Kind::Dropped,
            Kind::CircuitBreaker,
            Kind::QueueFull,
            Kind::RuntimeEnded,
            Kind::DeadlineExceeded,
            Kind::Connection,
            Kind::RequestBody,
            Kind::ResponseBody,
        ];
        let services = [
            Code::Ok,
            Code::InvalidArgument,
            Code::NotFound,
            Code::AlreadyExists,
            Code::FailedPrecondition,
            Code::Aborted,
            Code::OutOfRange,
            Code::DataLoss,
        ];
        for kind in kinds {
            for h2 in [None].into_iter().chain((0..20).map(Some)) {
                assert!(!services.contains(&of_kind(kind, h2)), "{kind:?} {h2:?}");
            }
        }
    }

    #[test]
    fn reset_streams_have_the_codes_of_the_protocol() {
        let rows = [
            (0, Code::Internal),
            (1, Code::Internal),
            (2, Code::Internal),
            (3, Code::Internal),
            (4, Code::Internal),
            (6, Code::Internal),
            (7, Code::Unavailable),
            (8, Code::Cancelled),
            (9, Code::Internal),
            (10, Code::Internal),
            (11, Code::ResourceExhausted),
            (12, Code::PermissionDenied),
        ];
        for (h2, code) in rows {
            assert_eq!(of_h2(h2), code, "{h2}");
        }
    }

    #[test]
    fn responses_that_are_not_grpc_have_the_codes_of_the_protocol() {
        let rows = [
            (400, Code::Internal),
            (401, Code::Unauthenticated),
            (403, Code::PermissionDenied),
            (404, Code::Unimplemented),
            (429, Code::Unavailable),
            (500, Code::Unknown),
            (502, Code::Unavailable),
            (503, Code::Unavailable),
            (504, Code::Unavailable),
            (301, Code::Unknown),
        ];
        for (status, code) in rows {
            assert_eq!(of_http(StatusCode::from_u16(status).unwrap()), code, "{status}");
        }
    }
}
