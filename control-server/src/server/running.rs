//! A server that runs, and how it ends.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::discovery::{Drain, Registry};
use crate::pipeline::Pipeline;

use super::ready_file::ReadyFile;

/// A server that listens. Dropping it ends everything at once; [`drain`](Self::drain) ends it in order.
#[derive(Debug)]
#[must_use = "the server ends when this is dropped"]
pub struct Running {
    xds: SocketAddr,
    admin: SocketAddr,
    tasks: Tasks,
    stop: watch::Sender<bool>,
    drain: Drain,
    registry: Registry,
    drain_timeout: Duration,
    ready_file: Option<ReadyFile>,
    /// Runs as long as it is held.
    _pipeline: Option<Pipeline>,
}

/// What runs in the background.
#[derive(Debug)]
pub(super) struct Tasks {
    pub(super) follow: JoinHandle<()>,
    pub(super) xds: JoinHandle<()>,
    pub(super) admin: JoinHandle<()>,
}

impl Running {
    pub(super) fn new(
        (xds, admin): (SocketAddr, SocketAddr),
        tasks: Tasks,
        stop: watch::Sender<bool>,
        (drain, registry): (Drain, Registry),
        drain_timeout: Duration,
        ready_file: Option<ReadyFile>,
    ) -> Self {
        Self { xds, admin, tasks, stop, drain, registry, drain_timeout, ready_file, _pipeline: None }
    }

    pub(super) fn with_pipeline(mut self, pipeline: Pipeline) -> Self {
        self._pipeline = Some(pipeline);
        self
    }

    /// Where xDS is served.
    pub fn xds_address(&self) -> SocketAddr {
        self.xds
    }

    /// Where the admin API is served.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// Who is connected.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Resolves when a listener has failed; never otherwise.
    pub async fn failed(&mut self) {
        tokio::select! {
            _ = &mut self.tasks.xds => {}
            _ = &mut self.tasks.admin => {}
        }
    }

    /// Not ready from now on; no new connections; every client is sent away; returns when all have left, or when the
    /// drain timeout is over. Whether all had left.
    pub async fn drain(mut self) -> bool {
        let streams = self.registry.len();
        let spread =
            (STREAM_SPACING * u32::try_from(streams).unwrap_or(u32::MAX)).min(self.drain_timeout / 2);
        tracing::info!(streams, "draining");
        self.ready_file = None;
        self.drain.begin(spread);
        self.stop.send_replace(true);
        let left = tokio::time::timeout(self.drain_timeout, &mut self.tasks.xds).await.is_ok();
        match left {
            true => tracing::info!("drained"),
            false => tracing::warn!(streams = self.registry.len(), "the drain timeout is over"),
        }
        left
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.drain.begin(Duration::ZERO);
        self.stop.send_replace(true);
        for task in [&self.tasks.follow, &self.tasks.xds, &self.tasks.admin] {
            task.abort();
        }
    }
}

/// Hundred clients a second come back somewhere else.
const STREAM_SPACING: Duration = Duration::from_millis(10);
