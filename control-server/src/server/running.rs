//! A server that runs, and how it ends.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::discovery::{Drain, Registry};
use crate::pipeline::Pipeline;

use super::background::Background;
use super::error::RunError;
use super::ready_file::ReadyFile;

/// A server that listens. Dropping it ends everything at once; [`drain`](Self::drain) ends it in order.
#[derive(Debug)]
#[must_use = "the server ends when this is dropped"]
pub struct Running {
    addresses: Addresses,
    tasks: Tasks,
    stop: watch::Sender<bool>,
    drain: Drain,
    registry: Registry,
    drain_timeout: Duration,
    ready_file: Option<ReadyFile>,
    /// Runs as long as it is held.
    pipeline: Option<Pipeline>,
}

/// Where a server listens.
#[derive(Debug, Clone, Copy)]
pub(super) struct Addresses {
    pub(super) xds: SocketAddr,
    pub(super) xds_tls: Option<SocketAddr>,
    pub(super) admin: SocketAddr,
}

/// The server's tasks. Dropping it ends all of them.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    /// Background tasks, which never end.
    pub(super) background: Background,
    /// The xDS listeners; each ends once it was told to stop and its connections have ended.
    pub(super) xds: JoinSet<()>,
    pub(super) admin: JoinSet<()>,
}

impl Running {
    pub(super) fn new(
        addresses: Addresses,
        tasks: Tasks,
        stop: watch::Sender<bool>,
        (drain, registry): (Drain, Registry),
        drain_timeout: Duration,
        ready_file: Option<ReadyFile>,
    ) -> Self {
        Self { addresses, tasks, stop, drain, registry, drain_timeout, ready_file, pipeline: None }
    }

    pub(super) fn with_pipeline(mut self, pipeline: Pipeline) -> Self {
        self.pipeline = Some(pipeline);
        self
    }

    /// Where xDS is served in plaintext.
    pub fn xds_address(&self) -> SocketAddr {
        self.addresses.xds
    }

    /// Where xDS is served with TLS, if it is.
    pub fn xds_tls_address(&self) -> Option<SocketAddr> {
        self.addresses.xds_tls
    }

    /// Where the admin API is served.
    pub fn admin_address(&self) -> SocketAddr {
        self.addresses.admin
    }

    /// The connected clients.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Resolves when a listener, a task in the background or the pipeline has ended; never otherwise. `/readyz` says before
    /// that the pipeline has.
    pub async fn failed(&mut self) -> RunError {
        let pipeline = async {
            match &self.pipeline {
                Some(pipeline) => RunError::Configuration { reason: pipeline.failed().await },
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            error = pipeline => error,
            _ = self.tasks.xds.join_next() => RunError::ListenerEnded { listener: "xDS" },
            _ = self.tasks.admin.join_next() => RunError::ListenerEnded { listener: "admin" },
            error = self.tasks.background.ended() => error,
        }
    }

    /// Not ready from now on; no new connections; all streams are ended; returns when all connections have closed, or when
    /// the drain timeout is over. `true`: all had closed.
    pub async fn drain(mut self) -> bool {
        let streams = self.registry.len();
        let spread =
            (STREAM_SPACING * u32::try_from(streams).unwrap_or(u32::MAX)).min(self.drain_timeout / 2);
        tracing::info!(streams, "draining");
        self.ready_file = None;
        self.drain.begin(spread);
        self.stop.send_replace(true);
        let ended = async { while self.tasks.xds.join_next().await.is_some() {} };
        let left = tokio::time::timeout(self.drain_timeout, ended).await.is_ok();
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
    }
}

/// A hundred clients a second reconnect to another server.
const STREAM_SPACING: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn task_in_the_background_that_ends_is_a_failure() {
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let addresses = Addresses { xds: nowhere, xds_tls: None, admin: nowhere };
        let mut tasks = Tasks::default();
        tasks.xds.spawn(std::future::pending());
        tasks.admin.spawn(std::future::pending());
        tasks.background.spawn("a task", std::future::ready(()));
        let parts = (Drain::default(), Registry::default());
        let mut running =
            Running::new(addresses, tasks, watch::Sender::new(false), parts, Duration::ZERO, None);
        let error =
            tokio::time::timeout(Duration::from_secs(3600), running.failed()).await.expect("not told");
        assert!(matches!(error, RunError::BackgroundEnded { task: "a task" }), "{error}");
    }

    #[tokio::test]
    async fn pipeline_that_ends_is_a_failure() {
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let addresses = Addresses { xds: nowhere, xds_tls: None, admin: nowhere };
        let mut tasks = Tasks::default();
        tasks.xds.spawn(std::future::pending());
        tasks.admin.spawn(std::future::pending());
        let parts = (Drain::default(), Registry::default());
        let running = Running::new(addresses, tasks, watch::Sender::new(false), parts, Duration::ZERO, None);
        let mut running = running.with_pipeline(Pipeline::failing());
        let error = tokio::time::timeout(Duration::from_secs(20), running.failed()).await.expect("not told");
        assert!(matches!(&error, RunError::Configuration { .. }), "{error}");
        assert!(error.to_string().ends_with("a fault of the source"), "{error}");
    }
}
