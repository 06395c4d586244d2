//! The one task of a client: drives the protocol, the stream and the targets.
//!
//! It waits for four things at once, a command, the stream, the time, and room for a request, and never for one of
//! them alone. Each is handled to the end before the next (TR-22).

use std::sync::{Arc, Mutex};
use std::time::Instant;

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::service::discovery::v3::{DiscoveryRequest, DiscoveryResponse};
use envoy_types::pb::google::rpc;
use mesh_core::config::Name;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::sync::mpsc;
use tokio::time;

use super::decode::decode_response;
use super::link::{Link, Progress};
use super::registry::Command;
use super::targets::Targets;
use super::{Options, lock, settings};
use crate::bootstrap::{Bootstrap, ServerConfig};
use crate::dependency::Origin;
use crate::protocol::{AdsState, Request, StreamEnd};
use crate::resource::DecodeContext;
use crate::transport::{AdsResponse, AdsTransport, TransportError};

pub(super) struct Worker<T: AdsTransport> {
    transport: Arc<T>,
    server: ServerConfig,
    node: core::Node,
    context: DecodeContext,
    /// Shared with the handles, which read the status; never locked over an await.
    ads: Arc<Mutex<AdsState>>,
    targets: Targets,
    commands: mpsc::UnboundedReceiver<Command>,
    link: Link<T>,
    rng: StdRng,
}

impl<T: AdsTransport> Worker<T> {
    pub(super) fn new(
        bootstrap: &Bootstrap,
        server: ServerConfig,
        transport: T,
        options: &Options,
        ads: Arc<Mutex<AdsState>>,
        commands: mpsc::UnboundedReceiver<Command>,
    ) -> Self {
        let node: Name = bootstrap.node().id.as_str().into();
        let origin = Origin { server: server.uri().into(), node };
        Self {
            transport: Arc::new(transport),
            node: bootstrap.node().to_proto(),
            context: DecodeContext::new(bootstrap, &server),
            targets: Targets::new(origin, settings(bootstrap, &server, options).data_errors),
            server,
            ads,
            commands,
            link: Link::Closed,
            rng: options.rng_seed.map_or_else(|| StdRng::from_rng(&mut rand::rng()), StdRng::seed_from_u64),
        }
    }

    /// Runs until every handle and watch is dropped.
    pub(super) async fn run(mut self) {
        loop {
            self.open_or_close();
            let (deadline, has_request) = {
                let ads = lock(&self.ads);
                (ads.next_deadline(), ads.has_request())
            };
            tokio::select! {
                command = self.commands.recv() => match command {
                    Some(command) => self.on_command(command),
                    None => return,
                },
                progress = self.link.progress(has_request) => self.on_progress(progress).await,
                () = sleep_until(deadline) => {
                    let now = now();
                    let mut ads = lock(&self.ads);
                    ads.on_deadline(now);
                    self.targets.dispatch(now, &mut ads);
                }
            }
        }
    }

    /// TR-01: a stream while something is watched.
    fn open_or_close(&mut self) {
        let mut ads = lock(&self.ads);
        if !ads.stream_wanted() {
            if !self.link.is_closed() {
                self.link = Link::Closed;
                ads.on_stream_dropped();
            }
        } else if ads.should_open() {
            ads.on_opening(now());
            self.link = Link::open(&self.transport, &self.server);
        }
    }

    /// And every other that has come meanwhile, so that many watches make one request.
    fn on_command(&mut self, first: Command) {
        let now = now();
        let mut ads = lock(&self.ads);
        let mut next = Some(first);
        while let Some(command) = next {
            match command {
                Command::Watch { id, listener, authority, states } => {
                    self.targets.watch(now, &mut ads, id, (&listener, &authority), states);
                }
                Command::Unwatch { id } => self.targets.unwatch(now, &mut ads, id),
            }
            next = self.commands.try_recv().ok();
        }
    }

    async fn on_progress(&mut self, progress: Progress) {
        if let Progress::Response(response) = progress {
            match *response {
                AdsResponse::Sotw(response) => self.on_response(response).await,
                // Streams are opened for state of the world only.
                AdsResponse::Delta(_) => {}
            }
            return;
        }
        let now = now();
        let mut ads = lock(&self.ads);
        match progress {
            Progress::Opened => {
                tracing::debug!(server = self.server.uri(), "ADS stream opened");
                ads.on_stream_opened();
            }
            Progress::Ready => {
                if let Some(request) = ads.poll_request(now) {
                    self.link.send(message(request, &self.node).into());
                }
            }
            Progress::Failed(error) => {
                tracing::warn!(server = self.server.uri(), %error, "cannot open an ADS stream");
                ads.on_open_failed(now, &error.to_string(), &mut self.rng);
            }
            Progress::Ended(error) => {
                let end = stream_end(error);
                tracing::debug!(server = self.server.uri(), ?end, "ADS stream ended");
                ads.on_stream_ended(now, end, &mut self.rng);
            }
            Progress::Response(_) => {}
        }
        self.targets.dispatch(now, &mut ads);
    }

    async fn on_response(&mut self, response: DiscoveryResponse) {
        let response = decode_response(&self.context, response).await;
        for rejected in response.resources.iter().filter_map(|resource| resource.as_ref().err()) {
            let name = rejected.name.as_deref().unwrap_or_default();
            let (type_url, reason) = (&response.type_url, &rejected.reason);
            tracing::warn!(server = self.server.uri(), type_url, name, reason, "resource refused");
        }
        let mut ads = lock(&self.ads);
        ads.on_response(response);
        self.targets.dispatch(now(), &mut ads);
    }
}

fn stream_end(error: Option<TransportError>) -> StreamEnd {
    match error {
        None => StreamEnd::Closed { reason: "the server ended the stream".to_owned() },
        Some(error @ TransportError::MessageTooLarge { .. }) => {
            StreamEnd::Unusable { reason: error.to_string() }
        }
        Some(error) => StreamEnd::Closed { reason: error.to_string() },
    }
}

fn message(request: Request, node: &core::Node) -> DiscoveryRequest {
    DiscoveryRequest {
        version_info: request.version,
        node: request.with_node.then(|| node.clone()),
        resource_names: request.names.iter().map(ToString::to_string).collect(),
        type_url: request.type_url.to_owned(),
        response_nonce: request.nonce,
        error_detail: request.error.map(|message| rpc::Status {
            code: INVALID_ARGUMENT,
            message,
            details: Vec::new(),
        }),
        ..DiscoveryRequest::default()
    }
}

/// tokio's clock, which tests can stop.
fn now() -> Instant {
    time::Instant::now().into_std()
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => time::sleep_until(time::Instant::from_std(deadline)).await,
        None => std::future::pending().await,
    }
}

/// TR-06
const INVALID_ARGUMENT: i32 = 3;
