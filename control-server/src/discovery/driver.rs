//! The task of one ADS stream: passes requests and changes to the state machine and sends its responses.

use tokio::sync::mpsc;
use tonic::{Status, Streaming};

use crate::connection::{Departure, FINAL_STATUS_TIMEOUT, Unread};
use crate::metrics::Metrics;

use super::cache::{CacheSubscription, Snapshot};
use super::drain::Drain;
use super::registry::{Client, Registration, now};
use super::service::MAX_REQUEST_BYTES;
use super::status::SyncState;
use super::stream::{Event, Outcome, Refusal, Request};
use super::wire::Response;

/// Everything that one stream needs from the server.
#[derive(Debug)]
pub(super) struct Driver {
    pub(super) registration: Registration,
    pub(super) subscription: CacheSubscription,
    pub(super) drain: Drain,
    pub(super) metrics: Metrics,
}

/// What woke the task.
enum Wake {
    Request(Box<Request>),
    /// A request that cannot be decoded or is too large.
    Unreadable(Status),
    Room(mpsc::OwnedPermit<Result<Response, Status>>),
    Changed,
    Deadline,
}

impl Driver {
    /// Runs until the client disconnects, or the stream must end because its connection is too old or the server drains.
    pub(super) async fn run(
        mut self,
        mut inbound: Streaming<Request>,
        outbound: mpsc::Sender<Result<Response, Status>>,
    ) {
        let drain = self.drain.clone();
        let departure = self.registration.client.connection.departure.clone();
        let id = self.registration.client.id;
        tokio::select! {
            ended = self.exchange(&mut inbound, &outbound) => match ended {
                // The client disconnected mid-message; send nothing.
                Some(_) if outbound.is_closed() => {}
                Some(ended) => {
                    let refusal = ended.message();
                    tracing::warn!(client = self.registration.client.label(), refusal, "sent away");
                    let _ = outbound.send_timeout(Err(ended), FINAL_STATUS_TIMEOUT).await;
                }
                None if departure.is_due() => {
                    let _ = outbound.try_send(Err(Departure::final_status()));
                }
                None => {}
            },
            () = departure.overdue() => {
                let _ = outbound.try_send(Err(Departure::final_status()));
            }
            () = drain.ended(id) => {
                // The client does not read: the status cannot be sent.
                let _ = outbound.try_send(Err(Status::unavailable("this control server is shutting down")));
            }
        }
        tracing::info!(client = self.registration.client.label(), "client disconnected");
    }

    /// Runs until the client disconnects; otherwise returns why the stream ends.
    async fn exchange(
        &mut self,
        inbound: &mut Streaming<Request>,
        outbound: &mpsc::Sender<Result<Response, Status>>,
    ) -> Option<Status> {
        while !self.may_leave()
            && let Some(wake) = self.wait(inbound, outbound).await
        {
            let client = &self.registration.client;
            match wake {
                Wake::Request(request) => {
                    let latest = self.catch_up();
                    let set = latest.as_ref().map(|latest| &*latest.set);
                    let (event, interests) = {
                        let mut stream = client.stream();
                        (stream.on_request(now(), *request, set), stream.take_interests())
                    };
                    self.subscription.turn(&interests, latest.as_ref());
                    match event {
                        Ok(event) => self.tell(client, event),
                        Err(refusal) => return Some(status(refusal)),
                    }
                }
                Wake::Room(permit) => {
                    let Some(latest) = self.catch_up() else { continue };
                    let response = client.stream().next_response(now(), &latest.set);
                    if let Some(response) = response {
                        self.metrics.pushed(response.kind);
                        self.tell_deletions(client, &response);
                        permit.send(Ok(response));
                    }
                }
                Wake::Unreadable(status) => return Some(status),
                Wake::Changed => drop(self.catch_up()),
                Wake::Deadline => {
                    if let Some(refusal) = client.stream().overdue(now()) {
                        return Some(status(refusal));
                    }
                }
            }
        }
        None
    }

    /// Whether the connection is too old, and no response is unanswered.
    fn may_leave(&self) -> bool {
        let client = &self.registration.client;
        client.connection.departure.is_due() && client.stream().state() != SyncState::Pending
    }

    /// Passes changes to the stream; returns the resources that it has seen then.
    fn catch_up(&self) -> Option<Snapshot> {
        let view = self.subscription.look();
        if let Some(latest) = &view.latest {
            self.registration.client.stream().on_resources(
                now(),
                &latest.set,
                &view.changed,
                latest.published,
            );
        }
        view.latest
    }

    /// Waits for the next event; `None` when the client has disconnected.
    async fn wait(
        &mut self,
        inbound: &mut Streaming<Request>,
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
                Err(status) => match unreadable(&status) {
                    Some(told) => Some(Wake::Unreadable(told)),
                    None => {
                        tracing::debug!(client = client.label(), %status, "stream ended by the client");
                        None
                    }
                },
            },
            () = self.subscription.changed() => Some(Wake::Changed),
            () = client.connection.departure.due(), if !client.connection.departure.is_due() => Some(Wake::Changed),
            permit = outbound.clone().reserve_owned(), if ready => permit.ok().map(Wake::Room),
            () = outbound.closed() => None,
            () = timer => Some(Wake::Deadline),
        }
    }

    /// Scenario 18: warns that a client still uses a resource that the operator has deleted.
    fn tell_deletions(&self, client: &Client, response: &Response) {
        for name in &response.removed {
            let is_deleted = client.stream().is_deleted(response.kind, name);
            if is_deleted {
                let (client, r#type) = (client.label(), response.kind.short_name());
                tracing::warn!(client, r#type, name = &**name, "deleted, and still asked for by the client");
            }
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

/// The status for a client whose request cannot be read; `None` if it has disconnected.
fn unreadable(status: &Status) -> Option<Status> {
    let reason = status.message();
    match Unread::of(status)? {
        Unread::TooLarge => Some(Status::resource_exhausted(format!(
            "a request of more than {MAX_REQUEST_BYTES} bytes: {reason}; subscribe to fewer names with one request"
        ))),
        Unread::Broken => Some(Status::invalid_argument(format!(
            "a request cannot be read; send messages of the method's type, not compressed: {reason}"
        ))),
    }
}

fn status(refusal: Refusal) -> Status {
    match refusal {
        Refusal::Names { .. }
        | Refusal::NameBytes { .. }
        | Refusal::RequestNames { .. }
        | Refusal::Reason { .. }
        | Refusal::Node { .. }
        | Refusal::Requests { .. } => Status::resource_exhausted(refusal.to_string()),
        Refusal::Silent { .. } => Status::invalid_argument(refusal.to_string()),
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let interests = self.registration.client.stream().interests();
        self.subscription.leave(&interests);
    }
}
