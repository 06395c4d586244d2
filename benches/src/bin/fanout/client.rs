//! A simulated client: one connection, one ADS stream, ACKs, and reconnects as gRPC clients do.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::Bytes;
use rand::RngExt;
use tokio::sync::mpsc;
use tokio::time::{sleep, sleep_until};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Endpoint;

use super::folder::names;
use super::tally::{Note, Tally};
use super::wire::{ENDPOINTS, LB_ENDPOINT, Raw, Request, Response, TYPES};

/// Who a client is and what it wants.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) number: u32,
    /// Empty: none.
    pub(crate) namespace: String,
    pub(crate) services: Vec<u32>,
    pub(crate) delta: bool,
    pub(crate) collections: bool,
    pub(crate) server: SocketAddr,
    pub(crate) tally: Tally,
}

impl Client {
    /// Connects again and again; ends with its task.
    pub(crate) async fn run(self) {
        let mut wait = FIRST_WAIT;
        loop {
            // A stream that has seen a response is followed by the next one at once (TR-24), any other by a wait (TR-25).
            match self.stream().await {
                Ok(responses) if responses > 0 => wait = FIRST_WAIT,
                _ => {
                    let jitter = rand::rng().random_range(0.8..=1.2);
                    sleep(wait.mul_f64(jitter)).await;
                    wait = wait.mul_f64(1.6).min(LONGEST_WAIT);
                }
            }
        }
    }

    /// One stream; how many responses it had.
    async fn stream(&self) -> Result<u64> {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.server))?.tcp_nodelay(true);
        let channel = endpoint.connect().await?;
        self.tally.note(Note::Connected { at: Instant::now() });
        let (sender, receiver) = mpsc::unbounded_channel();
        let all = self.names();
        let id = format!("client-{}", self.number);
        let features = if self.collections { &[COLLECTIONS][..] } else { &[] };
        for (kind, type_url) in TYPES.into_iter().enumerate().take(self.types()) {
            let node_id = if kind == 0 { id.as_str() } else { "" };
            let namespace = &*self.namespace;
            let request =
                Request { node_id, namespace, features, type_url, names: &all[kind], ..Request::default() };
            sender.send(request.encode(self.delta)).context("the stream is gone")?;
        }
        let mut grpc = tonic::client::Grpc::new(channel).max_decoding_message_size(MAX_MESSAGE);
        grpc.ready().await?;
        let path = PathAndQuery::from_static(if self.delta { DELTA } else { SOTW });
        let requests = tonic::Request::new(UnboundedReceiverStream::new(receiver));
        let mut responses = grpc.streaming(requests, path, Raw).await?.into_inner();
        let mut seen = [0_u64; TYPES.len()];
        // ACKs that are not due yet, the earliest first.
        let mut held: VecDeque<(Instant, usize, Bytes)> = VecDeque::new();
        loop {
            let due = held.front().map(|(due, ..)| (*due).into());
            let message = tokio::select! {
                message = responses.message() => message,
                () = sleep_until(due.unwrap_or_else(tokio::time::Instant::now)), if due.is_some() => {
                    let ack = held.pop_front().map(|(_, _, ack)| sender.send(ack));
                    ack.transpose().context("the stream is gone")?;
                    continue;
                }
            };
            let Ok(Some(message)) = message else { return Ok(seen.iter().sum()) };
            self.tally.received(message.len());
            let Some(response) = Response::decode(&message, self.delta) else {
                self.tally.unreadable();
                continue;
            };
            if held.iter().any(|(_, kind, _)| *kind == response.kind) {
                self.tally.overlap();
            }
            let ack = self.ack(&response, &all);
            if self.tally.is_slow() {
                held.push_back((Instant::now() + ACK_TAKES, response.kind, ack));
            } else {
                sender.send(ack).context("the stream is gone")?;
            }
            self.note(&response, &mut seen);
        }
    }

    fn names(&self) -> [Vec<String>; TYPES.len()] {
        let mut all = [const { Vec::new() }; TYPES.len()];
        for service in &self.services {
            all.iter_mut().zip(names(*service)).for_each(|(list, mut names)| list.append(&mut names));
        }
        all
    }

    /// How many of [`TYPES`] it asks for.
    fn types(&self) -> usize {
        if self.collections { TYPES.len() } else { LB_ENDPOINT }
    }

    fn ack(&self, response: &Response, all: &[Vec<String>; TYPES.len()]) -> Bytes {
        let names = if self.delta { &[][..] } else { &all[response.kind] };
        let (type_url, version, nonce) = (TYPES[response.kind], &*response.version, &*response.nonce);
        Request { type_url, names, version, nonce, ..Request::default() }.encode(self.delta)
    }

    fn note(&self, response: &Response, seen: &mut [u64; TYPES.len()]) {
        let at = Instant::now();
        let is_settled = |seen: &[u64]| seen.iter().take(self.types()).all(|count| *count > 0);
        let was_settled = is_settled(seen);
        seen[response.kind] += 1;
        if !was_settled && is_settled(seen) {
            self.tally.note(Note::Settled { at });
        }
        if was_settled && response.kind >= ENDPOINTS {
            self.tally.note(Note::Accepted { client: self.number, names: response.names.clone(), at });
        }
    }
}

const SOTW: &str = "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources";
const DELTA: &str = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";
const COLLECTIONS: &str = "xds.endpoint.supports_lb_endpoint_collection";
/// The time that a slow client takes for an ACK.
const ACK_TAKES: Duration = Duration::from_millis(20);
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(120);
const MAX_MESSAGE: usize = 64 << 20;
