//! What a gRPC service knows of a stream's connection: the client's address and identity, how it is secured, and
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
    /// The name in the client's certificate; `None` without one.
    pub identity: Option<Identity>,
    /// When the streams have to end.
    pub departure: Departure,
}

/// How long sending the final status of a stream may take.
pub(crate) const FINAL_STATUS_TIMEOUT: Duration = Duration::from_secs(5);

/// How a connection is secured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Security {
    /// Plaintext.
    #[default]
    Plaintext,
    /// The client has verified the server.
    Tls,
    /// Both have verified each other.
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
    /// The connection of a request: set by the listener, or else by tonic's own server.
    pub fn of<T>(request: &tonic::Request<T>) -> Self {
        let said = request.extensions().get::<Self>().cloned();
        said.unwrap_or_else(|| Self { peer: request.remote_addr(), ..Self::default() })
    }
}
