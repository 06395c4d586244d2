//! The request path, connections and tasks: the only part of the crate that runs on tokio.

mod accounting;
mod attempt;
pub(crate) mod balance;
mod begin;
mod call;
mod call_info;
mod channel;
mod circuit_breaker;
pub mod connect;
mod error;
mod fixed;
mod flight;
mod head_copy;
mod health;
mod load_report;
mod mesh;
mod mirror;
mod observed;
mod outlier;
mod protocol;
mod queue;
mod response_body;
mod retry;
mod rng;
pub mod server;
mod source;
mod stack;
mod stage;
mod target;
#[cfg(test)]
mod testing;
mod timeout;
pub mod tls;

pub use crate::policy::backoff::BackoffSettings;
pub use crate::policy::subchannel::{AttemptDelay, ConnectTimeout, Settings as SubchannelSettings};
pub use balance::{FullEndpoints, MaxConnecting, MaxQueued, PoolSettings, QueueSettings};
pub use call_info::CallInfo;
pub use channel::{CallOptions, Channel, ChannelError, ChannelSettings, ChannelState, WaitForReady};
pub use error::{MeshError, MeshErrorKind};
pub use fixed::FixedSource;
pub use load_report::LoadStore;
pub use mesh::{Mesh, MeshBuilder, WeakMesh};
pub use mirror::MirrorLimits;
pub use outlier::{EjectedEndpoint, EjectionStore, UnhealthyEndpoint};
pub use protocol::{CallKind, CallStatus, Protocol, Stamp};
pub use queue::{LimitedResource, QueueStore, QueuedCalls, RemainingCapacity};
pub use response_body::ResponseBody;
pub use retry::{ReplayLimit, ReplayMemory, ReplayRoom, RequestBody};
pub use source::{
    ConfigSource, ConfigState, ConfigWatch, ServerConfigState, ServerConfigWatch, SourceError, SourceState,
    SourceWatch, Target,
};
pub use stack::{ChannelResponse, ResponseFuture};
