//! HTTP statuses as the mesh counts them.

use http::StatusCode;
use mesh_core::policy::outlier::FailureKind;

/// How a response failed, as load reports and outlier detection count it; `None`: it succeeded.
pub(crate) fn failure_of(status: StatusCode) -> Option<FailureKind> {
    match status.as_u16() {
        ..400 => None,
        429 => Some(FailureKind::Throttled),
        400..500 => Some(FailureKind::Request),
        502..=504 => Some(FailureKind::Gateway),
        _ => Some(FailureKind::Server),
    }
}
