//! What a gRPC service may know of the connection that a stream came on: who is at the other end, how it is secured, and
//! when it has to end. The listener puts it into every request's extensions.

mod departure;
mod identity;
mod unread;

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use departure::{Departing, Departure};
pub use identity::Identity;
pub(crate) use unread::Unread;

/// One connection, as its streams see it. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Connection {
    /// Where it comes from; `None` if unknown.
    pub peer: Option<SocketAddr>,
    /// How it is secured.
    pub security: Security,
    /// What the client's certificate says; `None` without one.
    pub identity: Option<Identity>,
    /// When the streams have to leave.
    pub departure: Departure,
}

/// How long the last word on a stream may take.
pub(crate) const PARTING: Duration = Duration::from_secs(5);

/// How a connection is secured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Security {
    /// Not at all.
    #[default]
    Plaintext,
    /// The client knows the server.
    Tls,
    /// Both know each other.
    Mtls,
}

impl Security {
    /// As it is written in JSON and in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "plaintext",
            Self::Tls => "tls",
            Self::Mtls => "mtls",
        }
    }
}

impl Connection {
    /// The connection of a request: what the listener said, or else what is known to tonic's own server.
    pub fn of<T>(request: &tonic::Request<T>) -> Self {
        let said = request.extensions().get::<Self>().cloned();
        said.unwrap_or_else(|| Self { peer: request.remote_addr(), ..Self::default() })
    }
}
