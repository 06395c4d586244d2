//! Sends load reports to one server, as long as the configuration has a cluster whose load it wants.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use mesh_core::config::Name;
use mesh_core::runtime::LoadStore;
use rand::rngs::StdRng;
use tokio::sync::watch;
use xds_proto::envoy::config::core::v3 as core;
use xds_proto::envoy::service::load_stats::v3::LoadStatsResponse;

use super::{Instructions, LoadReportState, Request, message};
use crate::bootstrap::ServerConfig;
use crate::client::clock::{now, sleep_until};
use crate::transport::{AdsTransport, Progress, Stream, TransportError};

type LoadStream<T> = Stream<<T as AdsTransport>::LoadSender, <T as AdsTransport>::LoadReceiver>;

pub(super) struct Driver<T: AdsTransport> {
    pub(super) server: ServerConfig,
    pub(super) transport: Arc<T>,
    pub(super) node: Arc<core::Node>,
    /// Kept alive until the last report.
    pub(super) store: Arc<LoadStore>,
    pub(super) servers: watch::Receiver<BTreeMap<Name, usize>>,
    pub(super) state: LoadReportState,
    pub(super) rng: StdRng,
    /// The log has a failure at info, and the server has not answered since.
    pub(super) is_failure_logged: bool,
}

impl<T: AdsTransport> Driver<T> {
    /// Runs until no cluster in use reports to the server and the last report is sent. The next driver of this server starts
    /// from the returned state.
    pub(super) async fn run(mut self) -> LoadReportState {
        let mut stream = Stream::Closed;
        loop {
            let in_use = self.servers.borrow_and_update().contains_key(self.server.uri());
            self.state.set_use(now(), in_use);
            if self.state.is_done() {
                return self.state;
            }
            self.open_or_close(&mut stream);
            let deadline = self.state.next_deadline();
            let wants_to_send = self.state.has_request();
            tokio::select! {
                // The driver holds the store, so that the channel of changes cannot end.
                _ = self.servers.changed() => {}
                progress = stream.progress(wants_to_send) => self.on_progress(&mut stream, progress),
                () = sleep_until(deadline) => self.state.on_deadline(now()),
            }
        }
    }

    fn open_or_close(&mut self, stream: &mut LoadStream<T>) {
        if self.state.has_sent_all() {
            stream.finish();
        }
        if !self.state.wants_stream() {
            *stream = Stream::Closed;
        }
        if self.state.should_open() {
            self.state.on_opening();
            let (transport, server) = (self.transport.clone(), self.server.clone());
            *stream = Stream::open(async move { transport.open_load_report(&server).await });
        }
    }

    fn on_progress(&mut self, stream: &mut LoadStream<T>, progress: Progress<LoadStatsResponse>) {
        let (now, server) = (now(), self.server.uri());
        match progress {
            Progress::Opened => {
                tracing::debug!(server, "stream of load reports opened");
                self.state.on_opened(now);
            }
            Progress::Ready => match self.state.poll_request(now) {
                Some(Request::Node) => stream.send(message::node(&self.node)),
                Some(Request::Load(wanted)) => {
                    let reports = self.store.take(now, server, |cluster| wanted.contains(cluster));
                    stream.send(message::load(reports));
                }
                None => {}
            },
            Progress::Response(response) => {
                self.is_failure_logged = false;
                if response.report_endpoint_granularity {
                    tracing::warn!(
                        server,
                        "the server wants the load of each endpoint; it gets that of localities"
                    );
                }
                let instructions = Instructions::read(response);
                if let Err(error) = self.state.on_response(now, instructions, &mut self.rng) {
                    tracing::warn!(server, %error, "stream of load reports is opened again");
                }
            }
            Progress::OpenFailed(error) => self.on_ended(now, Some(&error)),
            Progress::Ended(error) => self.on_ended(now, error.as_ref()),
        }
    }

    /// The first failure is logged at info, further ones at debug until the server answers.
    fn on_ended(&mut self, now: Instant, error: Option<&TransportError>) {
        let server = self.server.uri();
        match error {
            // The counts are kept, and a server without LRS is no reason for a warning.
            Some(error) if std::mem::replace(&mut self.is_failure_logged, true) => {
                tracing::debug!(server, %error, "stream of load reports failed");
            }
            Some(error) => tracing::info!(server, %error, "stream of load reports failed"),
            None => tracing::debug!(server, "stream of load reports ended"),
        }
        self.state.on_ended(now, &mut self.rng);
    }
}
