//! The server as a whole: two listeners, the cache between them and the pipeline, and an orderly end.
//!
//! ```text
//! serving ──drain()──> not ready, GOAWAY ──> streams end, spread ──> xDS closed ──> admin closed
//!    └──────drop─────> everything ends at once
//! ```

mod error;
mod options;
mod ready_file;
mod running;

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tonic::transport::server::TcpIncoming;

use crate::admin::{self, Admin};
use crate::discovery::{AggregatedDiscovery, Drain, Feed, Registry, ResourceCache};
use crate::metrics::Metrics;
use crate::pipeline::{self, Pipeline};

pub use error::StartError;
pub use options::Options;
pub use running::Running;

use ready_file::ReadyFile;

/// The control server. See [`ControlServer::start`].
#[derive(Debug)]
pub struct ControlServer;

impl ControlServer {
    /// Reads configuration and serves it: a [`Pipeline`] and [`serve`](Self::serve) in one.
    ///
    /// # Errors
    /// As [`serve`](Self::serve), and when the pipeline cannot start.
    pub async fn start(options: Options, pipeline: pipeline::Options) -> Result<Running, StartError> {
        let pipeline = Pipeline::start(pipeline)?;
        let feed = Feed { resources: pipeline.resources(), state: pipeline.state() };
        Ok(Self::serve(options, feed).await?.with_pipeline(pipeline))
    }

    /// Listens, and serves what `feed` delivers until the returned handle is dropped or drained.
    ///
    /// Listeners are open when this returns; clients that connect before the first synced state wait.
    ///
    /// # Errors
    /// [`StartError`] when an address cannot be bound or the ready file cannot be written.
    pub async fn serve(options: Options, feed: Feed) -> Result<Running, StartError> {
        let mut ready_file = options.ready_file.map(ReadyFile::claim).transpose()?;
        let xds = bind(options.xds, "xds").await?;
        let admin = bind(options.admin, "admin").await?;
        let addresses = (local(&xds)?, local(&admin)?);

        let (stop, stopping) = watch::channel(false);
        let (drain, registry, metrics) = (Drain::default(), Registry::default(), Metrics::default());
        let (cache, follow) = ResourceCache::follow(feed.clone());
        let state = Admin::new(cache.clone(), feed.state, registry.clone(), drain.clone(), metrics.clone());
        let service = AggregatedDiscovery::new(cache, registry.clone(), drain.clone(), metrics);
        let tasks = running::Tasks {
            follow: tokio::spawn(follow),
            xds: serve_xds(xds, service, stopping),
            admin: serve_admin(admin, state),
        };
        if let Some(file) = &mut ready_file {
            file.write(addresses.0, addresses.1)?;
        }
        tracing::info!(xds = %addresses.0, admin = %addresses.1, "listening");
        Ok(Running::new(addresses, tasks, stop, (drain, registry), options.drain_timeout, ready_file))
    }
}

fn serve_xds(
    listener: TcpListener,
    service: AggregatedDiscovery,
    mut stopping: watch::Receiver<bool>,
) -> JoinHandle<()> {
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let server = tonic::transport::Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .add_service(service);
    tokio::spawn(async move {
        let stopped = async {
            // An error means that the handle is gone, which is also the end.
            let _ = stopping.wait_for(|stop| *stop).await;
        };
        if let Err(error) = server.serve_with_incoming_shutdown(incoming, stopped).await {
            tracing::error!(%error, "the xDS listener has failed");
        }
    })
}

fn serve_admin(listener: TcpListener, state: Admin) -> JoinHandle<()> {
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, admin::router(state)).await {
            tracing::error!(%error, "the admin listener has failed");
        }
    })
}

async fn bind(address: SocketAddr, flag: &'static str) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| StartError::Bind { address, flag, source })
}

fn local(listener: &TcpListener) -> Result<SocketAddr, StartError> {
    listener.local_addr().map_err(|source| StartError::Address { source })
}

/// A silent client is found out after 50 s. Clients may ping as often as they like.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);
