//! The server as a whole: its listeners, the cache between them and the pipeline, and an orderly end.
//!
//! ```text
//! serving ──drain()──> not ready, GOAWAY ──> streams end, spread ──> xDS closed ──> admin closed
//!    └──────drop─────> everything ends at once
//! ```

mod admission;
mod background;
mod error;
mod listener;
mod options;
mod ready_file;
mod running;
mod tls;

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tonic::service::Routes;

use crate::admin::{self, Admin};
use crate::discovery::{AggregatedDiscovery, Drain, Feed, Registry, ResourceCache};
use crate::load_reports::{LoadReporting, LoadReports};
use crate::metrics::Metrics;
use crate::pipeline::{self, Approver, Pipeline};

pub use error::{RunError, StartError};
pub use options::{ClientAuth, Options, StreamLimits, TlsOptions};
pub use running::Running;
pub use tls::{TlsError, TlsFile};

use admission::{Admitted, Admitter};
use listener::{Listener, MaxAge};
use ready_file::ReadyFile;
use running::Addresses;
use tls::Reloader;

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
        let running = Self::serve_approving(options, feed, Some(pipeline.approver())).await?;
        Ok(running.with_pipeline(pipeline))
    }

    /// Listens, and serves what `feed` delivers until the returned handle is dropped or drained.
    ///
    /// Listeners are open when this returns; clients that connect before the first synced state wait.
    ///
    /// # Errors
    /// [`StartError`] when an address cannot be bound, the TLS files cannot be used, or the ready file cannot be written.
    pub async fn serve(options: Options, feed: Feed) -> Result<Running, StartError> {
        Self::serve_approving(options, feed, None).await
    }

    async fn serve_approving(
        options: Options,
        feed: Feed,
        approver: Option<Approver>,
    ) -> Result<Running, StartError> {
        let mut ready_file = options.ready_file.map(ReadyFile::claim).transpose()?;
        let metrics = Metrics::default();
        let xds = bind(options.xds, "xds").await?;
        let secured = match options.tls {
            Some(tls) => {
                Some((bind(tls.address, "xds-tls").await?, Reloader::start(tls, metrics.clone()).await?))
            }
            None => None,
        };
        let admin = bind(options.admin, "admin").await?;
        let addresses = Addresses {
            xds: local(&xds)?,
            xds_tls: secured.as_ref().map(|(socket, _)| local(socket)).transpose()?,
            admin: local(&admin)?,
        };

        let (stop, stopping) = watch::channel(false);
        let (drain, registry) = (Drain::default(), Registry::default());
        let (cache, follow) = ResourceCache::follow(feed.clone());
        let load = LoadReports::new(options.load_report_interval);
        let state = Admin::new(
            cache.clone(),
            feed.state,
            registry.clone(),
            drain.clone(),
            load.clone(),
            metrics.clone(),
        );
        let state = state.with_approver(approver);
        let discovery =
            AggregatedDiscovery::new(cache.clone(), registry.clone(), drain.clone(), metrics.clone());
        let reporting = LoadReporting::new(load, cache, drain.clone(), metrics.clone());
        let admitter = || Admitter::new(options.stream_limits, metrics.clone());
        let routes = Routes::new(Admitted::new(discovery, admitter()))
            .add_service(Admitted::new(reporting.into_service(), admitter()))
            .prepare();
        let listener = |socket, tls| Listener {
            socket,
            tls,
            routes: routes.clone(),
            max_age: max_age(options.max_connection_age, options.max_connection_age_grace),
            max_connections: options.stream_limits.max_streams.saturating_mul(2),
            metrics: metrics.clone(),
        };
        let mut tasks = running::Tasks::default();
        tasks.background.spawn("following the configuration", follow);
        tasks.xds.spawn(listener(xds, None).run(stopping.clone()));
        if let Some((socket, (reloader, tls))) = secured {
            tasks.background.spawn("following the TLS files", reloader.run());
            tasks.xds.spawn(listener(socket, Some(tls)).run(stopping));
        }
        tasks.admin.spawn(serve_admin(admin, state));
        if let Some(file) = &mut ready_file {
            file.write(&addresses)?;
        }
        announce(&addresses);
        Ok(Running::new(addresses, tasks, stop, (drain, registry), options.drain_timeout, ready_file))
    }
}

fn announce(addresses: &Addresses) {
    let Addresses { xds, xds_tls, admin } = addresses;
    tracing::info!(%xds, xds_tls = xds_tls.map(tracing::field::display), %admin, "listening");
    if !xds.ip().is_loopback() {
        tracing::warn!(%xds, "xDS is served in plaintext to other machines; --xds-tls serves it with TLS");
    }
    if !admin.ip().is_loopback() {
        tracing::warn!(%admin, "the admin API is open to other machines, without authentication");
    }
}

fn max_age(age: Duration, grace: Duration) -> Option<MaxAge> {
    (!age.is_zero()).then_some(MaxAge { age, grace })
}

async fn serve_admin(listener: TcpListener, state: Admin) {
    if let Err(error) = axum::serve(listener, admin::router(state)).await {
        tracing::error!(%error, "the admin listener has failed");
    }
}

async fn bind(address: SocketAddr, flag: &'static str) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| StartError::Bind { address, flag, source })
}

fn local(listener: &TcpListener) -> Result<SocketAddr, StartError> {
    listener.local_addr().map_err(|source| StartError::Address { source })
}
