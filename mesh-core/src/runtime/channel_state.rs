//! The connectivity of a channel.

/// gRPC's connectivity states of a channel. If its routes may choose several clusters, the best state of them counts, in the
/// order ready, connecting, idle, failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChannelState {
    /// There is no connection, and none is being made: the next call makes one.
    Idle,
    /// A connection is being made, or the channel waits for its configuration.
    Connecting,
    /// There is a connection.
    Ready,
    /// No endpoint can be reached, or there is no configuration; the errors of calls have the reason. It is tried again.
    TransientFailure,
}
