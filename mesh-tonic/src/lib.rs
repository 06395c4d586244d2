#![doc = include_str!("../../docs/mesh-tonic.md")]

mod body;
mod builder;
mod channel;
mod client_status;
mod codec;
mod error;
mod future;
mod protocol;
mod server;
mod status;

pub use body::ResponseBody;
pub use builder::MeshChannelBuilder;
pub use channel::{Incoming, MeshChannel};
pub use client_status::ClientStatusService;
pub use error::ConnectError;
pub use future::ResponseFuture;
pub use server::{
    CallLoad, HealthService, LoadReportBody, LoadReportFuture, LoadReportLayer, LoadReportService,
    LoadReported, LoadReporter, MeshServer, MeshServerBuilder,
};

// What users of servers need.
pub use mesh_core::config::{ServerChain, ServerConfig, ServerListener, ServerRoutes};
#[cfg(feature = "opentelemetry")]
pub use mesh_core::observe::{CallMetrics, CallSpans, ServerMetrics};
pub use mesh_core::peer::{Peer, PeerIdentity};
pub use mesh_core::runtime::server::{
    BindError, FixedServer, ServerHandle, ServerHttp2Settings, ServerSettings, ServingState, TokenKeySettings,
};

// The types that users of channels need: errors, targets, and the parts and settings of a mesh of their own.
pub use mesh_core::config::MeshConfig;
pub use mesh_core::policy::retry::{MaxAttempts, RetryBudget};
pub use mesh_core::runtime::connect::{
    ConnectTarget, Dial, Http2Settings, Keepalive, KeepaliveInterval, KeepaliveScope, Probe,
};
pub use mesh_core::runtime::{
    AttemptDelay, BackoffSettings, CallInfo, ChannelState, ConfigSource, ConnectTimeout, FixedSource,
    FullEndpoints, MaxConnecting, MaxQueued, Mesh, MeshBuilder, MeshError, MeshErrorKind, PoolSettings,
    QueueSettings, ReplayLimit, ReplayMemory, SourceError, SubchannelSettings, Target, WaitForReady,
};
