//! Why a channel cannot be made.

use std::error::Error;

use http::header::InvalidHeaderValue;
use http::uri::InvalidUri;
use mesh_core::runtime::{ChannelError, Target};
use xds_client::bootstrap::TargetError;

/// Why a channel cannot be made: the target, its authority, a setting, the bootstrap, or no tokio runtime. The text says
/// which.
#[derive(thiserror::Error)]
#[error(transparent)]
pub struct ConnectError(ConnectErrorKind);

#[derive(Debug, thiserror::Error)]
enum ConnectErrorKind {
    #[error(transparent)]
    Target(TargetError),
    #[error("{target}: {authority:?} cannot be sent as an authority; set another one with `authority`")]
    Authority { target: String, authority: String, source: InvalidUri },
    #[error("{what} of a channel cannot be set together with `mesh`: it is for {place}")]
    GivenMesh { what: &'static str, place: &'static str },
    #[error("user agent {prefix:?} cannot be sent")]
    UserAgent { prefix: String, source: InvalidHeaderValue },
    #[error(transparent)]
    Mesh(Box<dyn Error + Send + Sync>),
    #[error(transparent)]
    Channel(ChannelError),
}

mesh_core::debug_with_causes!(ConnectError);

impl ConnectError {
    pub(crate) fn target(error: TargetError) -> Self {
        Self(ConnectErrorKind::Target(error))
    }

    pub(crate) fn authority(target: &Target, source: InvalidUri) -> Self {
        let authority = target.authority.clone();
        Self(ConnectErrorKind::Authority { target: target.to_string(), authority, source })
    }

    pub(crate) fn given_mesh(what: &'static str, place: &'static str) -> Self {
        Self(ConnectErrorKind::GivenMesh { what, place })
    }

    pub(crate) fn user_agent(prefix: &str, source: InvalidHeaderValue) -> Self {
        Self(ConnectErrorKind::UserAgent { prefix: prefix.to_owned(), source })
    }

    pub(crate) fn mesh(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(ConnectErrorKind::Mesh(error.into()))
    }

    pub(crate) fn channel(error: ChannelError) -> Self {
        Self(ConnectErrorKind::Channel(error))
    }
}
