//! The one task of a client: drives the protocol, the streams and the targets.
//!
//! It waits for commands, streams, time and room for requests all at once, never for one of
//! them alone. Each event is handled completely before the next (TR-22).

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mesh_core::config::Name;
use mesh_core::policy::matcher::RegexCache;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::sync::mpsc;
use xds_proto::envoy::config::core::v3 as core;

use super::clock::{now, sleep_until};
use super::decode::{Types, decode_response, off_workers};
use super::encode::encode;
use super::peers::{Peer, progress, stream_end, uri_of};
use super::registry::Command;
use super::snapshot::Snapshot;
use super::targets::Targets;
use super::watchers::Watchers;
use super::{Options, lock};
use crate::bootstrap::{Bootstrap, ServerConfig};
use crate::certificate::CertificateProviders;
use crate::dependency::ErrorContext;
use crate::protocol::{AdsState, ResourceKind, ServerId};
use crate::transport::{AdsResponse, AdsTransport, Progress, Stream};

pub(super) struct Worker<T: AdsTransport> {
    transport: Arc<T>,
    peers: Vec<Peer<T>>,
    node: core::Node,
    types: Arc<Types>,
    /// Shared with the handles, which read the status; never locked over an await.
    ads: Arc<Mutex<AdsState>>,
    targets: Targets,
    watchers: Watchers,
    commands: mpsc::UnboundedReceiver<Command>,
    snapshot: Option<Snapshot>,
    snapshot_grace: Duration,
    rng: StdRng,
}

impl<T: AdsTransport> Worker<T> {
    pub(super) fn new(
        bootstrap: &Bootstrap,
        servers: &[ServerConfig],
        transport: Arc<T>,
        options: &Options,
        ads: Arc<Mutex<AdsState>>,
        commands: mpsc::UnboundedReceiver<Command>,
    ) -> Self {
        let node: Name = bootstrap.node().id.as_str().into();
        let first = servers.first().map_or("", |server| server.uri());
        let context = ErrorContext { server: first.into(), node };
        let regexes = Arc::<RegexCache>::default();
        let providers = CertificateProviders::of(bootstrap).with_all(&options.certificate_providers);
        let peer = |server| Peer::new(server, bootstrap, options, &regexes, &providers);
        Self {
            transport,
            peers: servers.iter().map(peer).collect(),
            node: bootstrap.stated_node().to_proto(),
            types: Arc::default(),
            targets: Targets::new(context),
            watchers: Watchers::default(),
            ads,
            commands,
            snapshot: options.snapshot.clone().map(Snapshot::new),
            snapshot_grace: options.snapshot_grace,
            rng: options.rng_seed.map_or_else(|| StdRng::from_rng(&mut rand::rng()), StdRng::seed_from_u64),
        }
    }

    /// Runs until every handle and watch is dropped.
    pub(super) async fn run(mut self) {
        self.load_snapshot().await;
        loop {
            let deadline = self.open_or_close();
            tokio::select! {
                command = self.commands.recv() => match command {
                    Some(command) => self.on_command(command).await,
                    None => return,
                },
                (server, progress) = progress(&mut self.peers, &self.ads) => {
                    self.on_progress(server, progress).await;
                }
                () = sleep_until(deadline) => {
                    let (now, mut ads) = (now(), lock(&self.ads));
                    ads.on_deadline(now, &mut self.rng);
                    for (index, peer) in self.peers.iter_mut().enumerate() {
                        peer.log.on_failure(now, &ads, ServerId(index), "ADS stream failed");
                    }
                    self.targets.dispatch(&mut ads, &mut self.watchers);
                    if let Some(snapshot) = &mut self.snapshot {
                        snapshot.on_deadline(now, &ads, uri_of(&self.peers));
                    }
                }
            }
        }
    }

    /// TR-01: a stream to each server that is needed for a watched resource. Returns the next deadline.
    fn open_or_close(&mut self) -> Option<Instant> {
        let mut ads = lock(&self.ads);
        for server in ads.servers() {
            let peer = &mut self.peers[server.0];
            if !peer.stream.is_closed() && ads.should_close(server) {
                peer.stream = Stream::Closed;
                ads.on_stream_dropped(server);
            }
            if peer.stream.is_closed() && ads.should_open(server) {
                ads.on_opening(server, now());
                peer.open(&self.transport);
            }
        }
        let snapshot = self.snapshot.as_ref().and_then(Snapshot::next_deadline);
        [ads.next_deadline(), snapshot].into_iter().flatten().min()
    }

    /// Runs before the first watch, so that no watch waits for it.
    async fn load_snapshot(&mut self) {
        let Some(snapshot) = &mut self.snapshot else { return };
        let peers = self.peers.iter().map(|peer| (peer.server.uri().to_owned(), peer.context.clone()));
        let contexts = peers.collect();
        snapshot.load(contexts).await;
        let resources = snapshot.resources(self.types.iter().cloned().collect()).await;
        lock(&self.ads).preload(now(), self.snapshot_grace, resources);
    }

    /// Handles this command and all others that wait, so that many watches make one request.
    async fn on_command(&mut self, first: Command) {
        let mut commands = vec![first];
        while let Ok(next) = self.commands.try_recv() {
            commands.push(next);
        }
        self.load_types(&commands).await;
        let mut ads = lock(&self.ads);
        for command in commands {
            match command {
                Command::Watch { id, listener, authority, states } => {
                    self.targets.watch(&mut ads, id, (&listener, &authority), states);
                }
                Command::WatchServer { id, listener, states } => {
                    self.targets.watch_server(&mut ads, id, &listener, states);
                }
                Command::Unwatch { id } => {
                    if let Some(snapshot) = &mut self.snapshot {
                        snapshot.before_unwatch(&ads, uri_of(&self.peers));
                    }
                    self.targets.unwatch(&mut ads, id);
                }
                Command::WatchResource { id, resource_type, name, views } => {
                    let (type_url, full_state) = (resource_type.type_url(), resource_type.is_full_state());
                    Arc::make_mut(&mut self.types).add(resource_type);
                    let kind = ResourceKind { type_url, full_state };
                    self.watchers.watch(&mut ads, id, (kind, &name), views);
                }
                Command::UnwatchResource { id } => {
                    if let Some(snapshot) = &mut self.snapshot {
                        snapshot.before_unwatch(&ads, uri_of(&self.peers));
                    }
                    self.watchers.unwatch(&mut ads, id);
                }
            }
        }
        self.targets.dispatch(&mut ads, &mut self.watchers);
    }

    /// Loads the snapshot's resources of types that are watched for the first time.
    async fn load_types(&mut self, commands: &[Command]) {
        let Some(snapshot) = &mut self.snapshot else { return };
        let watched = |command: &Command| match command {
            Command::WatchResource { resource_type, .. } => Some(resource_type.clone()),
            _ => None,
        };
        let watched: Vec<_> = commands.iter().filter_map(watched).collect();
        if !watched.is_empty() {
            let resources = snapshot.resources(watched).await;
            lock(&self.ads).preload(now(), self.snapshot_grace, resources);
        }
    }

    async fn on_progress(&mut self, server: ServerId, progress: Progress<AdsResponse>) {
        if let Progress::Response(response) = progress {
            return self.on_response(server, response).await;
        }
        let (now, peer) = (now(), &mut self.peers[server.0]);
        let mut ads = lock(&self.ads);
        let uri = peer.server.uri();
        match progress {
            Progress::Opened => {
                tracing::debug!(server = uri, "ADS stream opened");
                ads.on_stream_opened(server);
            }
            Progress::Ready => {
                if let Some(request) = ads.poll_request(server, now) {
                    peer.stream.send(encode(request, &self.node));
                }
            }
            Progress::OpenFailed(error) => {
                ads.on_open_failed(server, now, &error.to_string(), &mut self.rng);
                peer.log.on_failure(now, &ads, server, "cannot open an ADS stream");
            }
            Progress::Ended(error) => {
                let end = stream_end(error);
                tracing::debug!(server = uri, ?end, "ADS stream ended");
                ads.on_stream_ended(server, now, end, &mut self.rng);
                peer.log.on_failure(now, &ads, server, "ADS stream failed");
            }
            Progress::Response(_) => {}
        }
        self.targets.dispatch(&mut ads, &mut self.watchers);
    }

    async fn on_response(&mut self, server: ServerId, response: AdsResponse) {
        let context = self.peers[server.0].context.clone();
        let types = self.types.clone();
        let response = off_workers(move || decode_response(&types, &context, response)).await;
        let uri = self.peers[server.0].server.uri();
        for rejected in response.resources.iter().filter_map(|resource| resource.as_ref().err()) {
            let name = rejected.name.as_deref().unwrap_or_default();
            let (type_url, reason) = (&response.type_url, &rejected.reason);
            tracing::warn!(server = uri, type_url, name, reason, "resource refused");
        }
        let (now, accepted) = (now(), response.resources.iter().any(Result::is_ok));
        let mut ads = lock(&self.ads);
        self.peers[server.0].log.on_response(now, ads.server_outage(server));
        ads.on_response(server, now, response);
        self.targets.dispatch(&mut ads, &mut self.watchers);
        if let Some(snapshot) = self.snapshot.as_mut().filter(|_| accepted) {
            snapshot.on_accepted(now);
        }
    }
}

impl<T: AdsTransport> Drop for Worker<T> {
    /// The last user is gone, or the runtime ends.
    fn drop(&mut self) {
        if let Some(snapshot) = &mut self.snapshot {
            snapshot.finish(&lock(&self.ads), uri_of(&self.peers));
        }
    }
}
