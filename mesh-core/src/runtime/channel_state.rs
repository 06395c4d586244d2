//! Whether a channel's calls find a connection.

/// Whether a channel's calls find a connection: gRPC's connectivity states. Of several clusters that routes may choose, the best one
/// counts: ready, connecting, idle, failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChannelState {
    /// There is no connection, and none is being made: the next call makes one.
    Idle,
    /// A connection is being made, or the configuration is waited for.
    Connecting,
    /// There is a connection.
    Ready,
    /// No endpoint can be reached, or there is no configuration, for a reason that calls are told. It is tried again.
    TransientFailure,
}
