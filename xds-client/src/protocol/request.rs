//! Requests to the server.

use mesh_core::config::Name;

/// A request on an ADS stream, without the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    /// The type of its resources.
    pub type_url: &'static str,
    /// The nonce of the response that it answers. State of the world: the last received one, empty at first;
    /// incremental: empty unless it is an answer.
    // TR-51
    pub nonce: String,
    /// Why the response with this nonce is rejected; `INVALID_ARGUMENT` on the wire.
    // TR-06
    pub error: Option<String>,
    /// Whether it is the stream's first, which carries the node.
    // TR-02
    pub with_node: bool,
    /// The subscriptions.
    pub interest: Interest,
}

/// The subscriptions of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Interest {
    /// State of the world.
    Full {
        /// All watched names, sorted (TR-09).
        names: Vec<Name>,
        /// The last accepted version; in an ACK the version that it accepts.
        version: String,
    },
    /// Incremental.
    Change {
        /// Names that are watched since the last request.
        subscribe: Vec<Name>,
        /// Names that are not watched any more.
        unsubscribe: Vec<Name>,
        /// Names and versions of cached resources; only in a stream's first request of a type (TR-49).
        initial_versions: Vec<(Name, Name)>,
    },
}
