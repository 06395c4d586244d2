//! The task of one ADS stream: feeds the state machine and sends what it says.

use envoy_types::pb::envoy::service::discovery::v3::DiscoveryRequest;
use tokio::sync::mpsc;
use tonic::{Status, Streaming};

use crate::metrics::Metrics;

use super::cache::ResourceCache;
use super::drain::Drain;
use super::exchange::Outcome;
use super::registry::{Client, Registration, now};
use super::stream::Event;
use super::wire::Response;

/// Everything that one stream needs from the server.
#[derive(Debug)]
pub(super) struct Driver {
    pub(super) registration: Registration,
    pub(super) cache: ResourceCache,
    pub(super) drain: Drain,
    pub(super) metrics: Metrics,
}

/// What woke the task.
enum Wake {
    Request(Box<DiscoveryRequest>),
    Room(mpsc::OwnedPermit<Result<Response, Status>>),
    Changed,
    Deadline,
}

impl Driver {
    /// Runs until the client leaves or the server drains.
    pub(super) async fn run(
        mut self,
        mut inbound: Streaming<DiscoveryRequest>,
        outbound: mpsc::Sender<Result<Response, Status>>,
    ) {
        let drain = self.drain.clone();
        let id = self.registration.client.id;
        tokio::select! {
            () = self.exchange(&mut inbound, &outbound) => {}
            () = drain.ended(id) => {
                // A client that does not read needs no reason.
                let _ = outbound.try_send(Err(Status::unavailable("this control server is shutting down")));
            }
        }
        tracing::info!(client = self.registration.client.label(), "client disconnected");
    }

    async fn exchange(
        &mut self,
        inbound: &mut Streaming<DiscoveryRequest>,
        outbound: &mpsc::Sender<Result<Response, Status>>,
    ) {
        while let Some(wake) = self.wait(inbound, outbound).await {
            let client = &self.registration.client;
            match wake {
                Wake::Request(mut request) => {
                    let event = client.stream().on_request(now(), &mut request);
                    self.tell(client, event);
                }
                Wake::Room(permit) => {
                    let response = client.stream().next_response(now());
                    if let Some(response) = response {
                        self.metrics.pushed(response.kind);
                        permit.send(Ok(response));
                    }
                }
                Wake::Changed | Wake::Deadline => {}
            }
        }
    }

    /// Waits for the next thing to do; `None` when the client is gone.
    async fn wait(
        &mut self,
        inbound: &mut Streaming<DiscoveryRequest>,
        outbound: &mpsc::Sender<Result<Response, Status>>,
    ) -> Option<Wake> {
        let client = &self.registration.client;
        let (ready, deadline) = {
            let stream = client.stream();
            (stream.has_response(now()), stream.next_deadline(now()))
        };
        let timer = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            request = inbound.message() => match request {
                Ok(Some(request)) => Some(Wake::Request(Box::new(request))),
                Ok(None) => None,
                Err(status) => {
                    tracing::debug!(client = client.label(), %status, "stream ended by the client");
                    None
                }
            },
            snapshot = self.cache.next() => {
                client.stream().on_resources(now(), snapshot);
                Some(Wake::Changed)
            }
            permit = outbound.clone().reserve_owned(), if ready => permit.ok().map(Wake::Room),
            () = outbound.closed() => None,
            () = timer => Some(Wake::Deadline),
        }
    }

    fn tell(&self, client: &Client, event: Event) {
        match event {
            Event::UnknownType(type_url) => {
                tracing::info!(client = client.label(), type_url, "asked for a type that is not served here");
            }
            Event::Request(kind, Outcome::Nacked { reason }) => {
                self.metrics.nacked(kind);
                tracing::warn!(
                    client = client.label(),
                    r#type = kind.short_name(),
                    reason,
                    "refused by the client"
                );
            }
            Event::Request(kind, Outcome::Acked { published }) => {
                let latency = published.map(|published| now().saturating_duration_since(published));
                self.metrics.acked(kind, latency);
            }
            Event::Request(_, Outcome::Stale | Outcome::Subscribed) | Event::Nothing => {}
        }
    }
}
