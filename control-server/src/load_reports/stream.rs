//! The task of one stream of load reports.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tonic::{Status, Streaming};
use xds_proto::envoy::service::load_stats::v3::{LoadStatsRequest, LoadStatsResponse};
use xds_proto::google::protobuf;

use crate::clock::now;
use crate::connection::{Connection, Departure, FINAL_STATUS_TIMEOUT};
use crate::discovery::{Drain, ResourceCache};
use crate::metrics::Metrics;
use crate::resources::{ResourceKind, ResourceSet};

use super::budget::Budget;
use super::client::Client;
use super::limits::{FIRST_REQUEST, MAX_ENTRIES};
use super::refusal::Refusal;
use super::report::Report;
use super::reports::{ClusterNames, Names, Reporting};

/// Everything that one stream needs from the server.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) connection: Connection,
    pub(super) reporting: Reporting,
    pub(super) interval: Duration,
    pub(super) cluster_names: ClusterNames,
    pub(super) cache: ResourceCache,
    pub(super) drain: Drain,
    pub(super) metrics: Metrics,
    /// What a client is asked for that reports all clusters by itself.
    pub(super) all: Names,
    /// Empty until the first request.
    pub(super) client: Client,
    /// The client was told that there is no room for its reports.
    pub(super) is_told_full: bool,
}

type Outbound = mpsc::Sender<Result<LoadStatsResponse, Status>>;

impl Stream {
    /// Runs until the client disconnects or the stream must end.
    pub(super) async fn run(mut self, mut inbound: Streaming<LoadStatsRequest>, outbound: Outbound) {
        let (drain, departure) = (self.drain.clone(), self.connection.departure.clone());
        let id = self.reporting.id;
        tokio::select! {
            ended = self.exchange(&mut inbound, &outbound) => match ended {
                Ok(()) => {}
                // The client disconnected mid-message; send nothing.
                Err(refusal) if outbound.is_closed() => {
                    tracing::debug!(client = self.label(), %refusal, "load reports ended by the client");
                }
                Err(refusal) => {
                    tracing::warn!(client = self.label(), %refusal, "load reports ended");
                    let _ = outbound.send_timeout(Err(refusal.status()), FINAL_STATUS_TIMEOUT).await;
                }
            },
            () = departure.due() => {
                let _ = outbound.try_send(Err(Departure::final_status()));
            }
            () = drain.ended(id) => {
                // The client does not read: the status cannot be sent.
                let _ = outbound.try_send(Err(Status::unavailable("this control server is shutting down")));
            }
        }
    }

    /// Runs until the client disconnects; otherwise returns why the stream ends.
    async fn exchange(
        &mut self,
        inbound: &mut Streaming<LoadStatsRequest>,
        outbound: &Outbound,
    ) -> Result<(), Refusal> {
        let peer = self.connection.peer.map(tracing::field::display);
        let Some(client) = greeted(inbound).await? else { return Ok(()) };
        self.client = client;
        tracing::debug!(node = &*self.client.node_id, peer, "client reports load");
        let mut asked = self.ask();
        let mut last = now();
        let mut budget = Budget::new(last, self.interval);
        if outbound.send(Ok(self.response(&asked))).await.is_err() {
            return Ok(());
        }
        loop {
            tokio::select! {
                request = next(inbound) => {
                    let Some(request) = request? else { return Ok(()) };
                    budget.spend(now())?;
                    last = self.take(last, request);
                    // A client that is sent all cluster names gets new ones once per interval.
                    let ask = self.ask();
                    if !Arc::ptr_eq(&ask, &asked) {
                        asked = ask;
                        if outbound.send(Ok(self.response(&asked))).await.is_err() {
                            return Ok(());
                        }
                    }
                }
                () = outbound.closed() => return Ok(()),
            }
        }
    }

    /// For the log: the node's id, or the address of a client that has not sent a node yet.
    fn label(&self) -> String {
        let peer = || self.connection.peer.map(|peer| peer.to_string()).unwrap_or_default();
        if self.client.node_id.is_empty() { peer() } else { self.client.node_id.as_ref().to_owned() }
    }

    /// The clusters to report: every name, for a client that does not report all by itself.
    fn ask(&self) -> Names {
        if self.client.sends_all_clusters { self.all.clone() } else { self.cluster_names.of(&self.cache) }
    }

    fn response(&self, names: &Names) -> LoadStatsResponse {
        LoadStatsResponse {
            clusters: names.iter().map(|name| name.as_ref().to_owned()).collect(),
            send_all_clusters: self.client.sends_all_clusters,
            load_reporting_interval: Some(protobuf::Duration {
                seconds: self.interval.as_secs().try_into().unwrap_or(i64::MAX),
                nanos: self.interval.subsec_nanos().try_into().unwrap_or(0),
            }),
            report_endpoint_granularity: false,
        }
    }

    /// Takes a report; returns when.
    fn take(&mut self, last: Instant, request: LoadStatsRequest) -> Instant {
        let now = now();
        let snapshot = self.cache.latest();
        let served = |name: &str| snapshot.as_ref().and_then(|snapshot| served(&snapshot.set, name));
        let elapsed = now.saturating_duration_since(last);
        let report = Report::read(request.cluster_stats, elapsed, self.interval, served);
        self.metrics.load_reported(report.ignored, &report.counts);
        if self.reporting.take(&self.client.node_id, report).is_err() {
            self.metrics.load_refused();
            if !std::mem::replace(&mut self.is_told_full, true) {
                tracing::warn!(
                    node = &*self.client.node_id,
                    limit = MAX_ENTRIES,
                    "no room for a load report: clients report too many clusters, localities and metrics"
                );
            }
        }
        now
    }
}

/// Reads the client from its first request; other fields are not kept.
async fn greeted(inbound: &mut Streaming<LoadStatsRequest>) -> Result<Option<Client>, Refusal> {
    let first = tokio::time::timeout(FIRST_REQUEST, next(inbound)).await;
    let first = first.map_err(|_| Refusal::Silent { limit: FIRST_REQUEST })??;
    first.map(|first| Client::of(&first.node.unwrap_or_default())).transpose()
}

/// The next request; `None` when the client has disconnected.
async fn next(inbound: &mut Streaming<LoadStatsRequest>) -> Result<Option<LoadStatsRequest>, Refusal> {
    let status = match inbound.message().await {
        Ok(request) => return Ok(request),
        Err(status) => status,
    };
    match Refusal::of_request(&status) {
        Some(refusal) => Err(refusal),
        None => {
            tracing::debug!(%status, "load reports ended by the client");
            Ok(None)
        }
    }
}

/// The shared allocation of a cluster's name.
fn served(set: &ResourceSet, name: &str) -> Option<Arc<str>> {
    set.get(ResourceKind::Cluster, name).map(|resource| resource.name.clone())
}
