//! The server as a whole: its listeners, the cache between them and the pipeline, and an orderly end.
//!
//! ```text
//! serving ──drain()──> not ready, GOAWAY ──> streams end, spread ──> xDS closed ──> admin closed
//!    └──────drop─────> everything ends at once
//! ```

mod admin_listener;
mod admission;
mod background;
mod connections;
mod error;
mod listener;
mod options;
mod ready_file;
mod running;
mod tls;

use std::net::SocketAddr;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tonic::service::Routes;

use crate::admin::{self, Admin, AllowedHosts};
use crate::discovery::{AggregatedDiscovery, Drain, Feed, Registry, ResourceCache};
use crate::load_reports::{LoadReporting, LoadReports};
use crate::metrics::Metrics;
use crate::pipeline::{self, Approver, Pipeline};

pub use error::{RunError, StartError};
pub use options::{ClientAuth, Options, StreamLimits, TlsOptions};
pub use running::Running;
pub use tls::{TlsError, TlsFile};

use admission::{Admitted, Admitter};
use connections::{Connections, Limits};
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
        let (known, leaving) = (registry.clone(), drain.clone());
        let state = Admin::new(cache.clone(), feed.state, known, leaving, load.clone(), metrics.clone())
            .with_approver(approver)
            .with_hosts(AllowedHosts::new(options.admin_hosts));
        let discovery =
            AggregatedDiscovery::new(cache.clone(), registry.clone(), drain.clone(), metrics.clone());
        let reporting = LoadReporting::new(load, cache, drain.clone(), metrics.clone());
        let routes = routes(discovery, reporting, options.stream_limits, &metrics);
        let connections = Connections::new(Limits::shared(most_connections(options.stream_limits)));
        let listener = |socket, tls| Listener {
            socket,
            tls,
            routes: routes.clone(),
            max_age: max_age(options.max_connection_age, options.max_connection_age_grace),
            connections: connections.clone(),
            metrics: metrics.clone(),
        };
        let mut tasks = running::Tasks::default();
        tasks.background.spawn("following the configuration", follow);
        tasks.xds.spawn(listener(xds, None).run(stopping.clone()));
        if let Some((socket, (reloader, tls))) = secured {
            tasks.background.spawn("following the TLS files", reloader.run());
            tasks.xds.spawn(listener(socket, Some(tls)).run(stopping));
        }
        tasks.admin.spawn(admin_listener::serve(admin, admin::router(state)));
        if let Some(file) = &mut ready_file {
            file.write(&addresses)?;
        }
        announce(&addresses);
        Ok(Running::new(addresses, tasks, stop, (drain, registry), options.drain_timeout, ready_file))
    }
}

/// The services for gRPC, each with an admission of its own.
fn routes(
    discovery: AggregatedDiscovery,
    reporting: LoadReporting,
    limits: StreamLimits,
    metrics: &Metrics,
) -> Routes {
    let admitter = || Admitter::new(limits, metrics.clone());
    Routes::new(Admitted::new(discovery, admitter()))
        .add_service(Admitted::new(reporting.into_service(), admitter()))
        .prepare()
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

/// Twice as many as streams, as far as the system allows: each is an open file, and files and the admin port need some, too.
fn most_connections(limits: StreamLimits) -> usize {
    let wanted = limits.max_streams.saturating_mul(2);
    let Ok((files, _)) = getrlimit(Resource::RLIMIT_NOFILE) else { return wanted };
    let files = usize::try_from(files).unwrap_or(usize::MAX);
    let room = files.saturating_sub(admin_listener::MOST_CONNECTIONS + OTHER_FILES).max(files / 2);
    if room < wanted {
        tracing::warn!(
            files,
            connections = room,
            wanted,
            "the limit of open files allows fewer connections than --max-streams; raise it (ulimit -Hn)"
        );
    }
    wanted.min(room)
}

async fn bind(address: SocketAddr, flag: &'static str) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| StartError::Bind { address, flag, source })
}

fn local(listener: &TcpListener) -> Result<SocketAddr, StartError> {
    listener.local_addr().map_err(|source| StartError::Address { source })
}

/// Open files besides connections: of the configuration, its watch, and copies.
const OTHER_FILES: usize = 128;
