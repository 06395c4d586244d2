//! How a channel's own connections are made and kept.

use std::time::Duration;

use mesh_core::Mesh;
use mesh_core::runtime::connect::{Http2Settings, Keepalive};
use mesh_core::runtime::{ConnectTimeout, PoolSettings};
use xds_client::XdsClient;

/// The settings in which a channel's connections differ from those of the process's mesh.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct OwnConnections {
    pub(crate) http2: Option<Http2Settings>,
    pub(crate) keepalive: Option<Keepalive>,
    pub(crate) pool: Option<PoolSettings>,
    pub(crate) timeout: Option<Duration>,
}

impl OwnConnections {
    /// Whether nothing differs.
    pub(crate) fn are_none(&self) -> bool {
        let Self { http2, keepalive, pool, timeout } = self;
        http2.is_none() && keepalive.is_none() && pool.is_none() && timeout.is_none()
    }

    /// A mesh with these connections, configured by the process's client.
    pub(crate) fn mesh(self, client: XdsClient) -> Mesh {
        let mut http2 = self.http2.unwrap_or_default();
        http2.keepalive = self.keepalive.or(http2.keepalive);
        let mut pool = self.pool.unwrap_or_default();
        if let Some(timeout) = self.timeout {
            pool.subchannel.connect_timeout = ConnectTimeout(timeout);
        }
        Mesh::builder(client).http2(http2).connections(pool).build()
    }
}
