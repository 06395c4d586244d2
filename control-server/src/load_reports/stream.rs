//! The task of one stream of load reports.

use std::sync::Arc;
use std::time::{Duration, Instant};

use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::load_stats::v3::{LoadStatsRequest, LoadStatsResponse};
use envoy_types::pb::google::protobuf;
use tokio::sync::mpsc;
use tonic::{Status, Streaming};

use crate::clock::now;
use crate::connection::{Connection, Departure};
use crate::discovery::{Drain, ResourceCache};
use crate::metrics::Metrics;
use crate::resources::{ResourceKind, ResourceSet};

use super::budget::Budget;
use super::limits::{FIRST_REQUEST, MAX_ENTRIES, MAX_NAME};
use super::refusal::Refusal;
use super::report::Report;
use super::reports::Reporting;

/// Everything that one stream needs from the server.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) connection: Connection,
    pub(super) reporting: Reporting,
    pub(super) interval: Duration,
    pub(super) cache: ResourceCache,
    pub(super) drain: Drain,
    pub(super) metrics: Metrics,
    /// The beginning of it; empty until the first request.
    pub(super) node_id: Arc<str>,
    /// Told once, however many reports find no room.
    pub(super) is_told_full: bool,
}

type Outbound = mpsc::Sender<Result<LoadStatsResponse, Status>>;

impl Stream {
    /// Runs until the client leaves or has to.
    pub(super) async fn run(mut self, mut inbound: Streaming<LoadStatsRequest>, outbound: Outbound) {
        let (drain, departure) = (self.drain.clone(), self.connection.departure.clone());
        let id = self.reporting.id;
        tokio::select! {
            ended = self.exchange(&mut inbound, &outbound) => if let Err(refusal) = ended {
                tracing::warn!(client = self.label(), %refusal, "load reports ended");
                let _ = outbound.send_timeout(Err(refusal.status()), PARTING).await;
            },
            () = departure.due() => {
                let _ = outbound.try_send(Err(Departure::farewell()));
            }
            () = drain.ended(id) => {
                // A client that does not read needs no reason.
                let _ = outbound.try_send(Err(Status::unavailable("this control server is shutting down")));
            }
        }
    }

    /// Until the client leaves, or why it has to.
    async fn exchange(
        &mut self,
        inbound: &mut Streaming<LoadStatsRequest>,
        outbound: &Outbound,
    ) -> Result<(), Refusal> {
        let peer = self.connection.peer.map(tracing::field::display);
        let first = tokio::time::timeout(FIRST_REQUEST, next(inbound)).await;
        let first = first.map_err(|_| Refusal::Silent { limit: FIRST_REQUEST })?;
        let Some(first) = first else { return Ok(()) };
        let node = first.node.unwrap_or_default();
        self.node_id = node.id[..node.id.floor_char_boundary(MAX_NAME)].into();
        tracing::debug!(node = &*self.node_id, peer, "client reports load");
        let mut asked = self.ask(&node);
        let mut last = now();
        let mut budget = Budget::new(last, self.interval);
        if outbound.send(Ok(asked.clone())).await.is_err() {
            return Ok(());
        }
        loop {
            tokio::select! {
                request = next(inbound) => {
                    let Some(request) = request else { return Ok(()) };
                    budget.spend(now())?;
                    last = self.take(last, request);
                    // A client that is told every cluster learns of new ones once per interval.
                    let ask = self.ask(&node);
                    if ask != asked {
                        asked = ask;
                        if outbound.send(Ok(asked.clone())).await.is_err() {
                            return Ok(());
                        }
                    }
                }
                () = outbound.closed() => return Ok(()),
            }
        }
    }

    /// For the log: the node's id, or the address of a client that has not said it.
    fn label(&self) -> String {
        let peer = || self.connection.peer.map(|peer| peer.to_string()).unwrap_or_default();
        if self.node_id.is_empty() { peer() } else { self.node_id.as_ref().to_owned() }
    }

    /// What the client is asked for: everything, or every cluster by name if it knows no other way.
    fn ask(&self, node: &Node) -> LoadStatsResponse {
        let send_all_clusters = node.client_features.iter().any(|feature| feature == SEND_ALL_CLUSTERS);
        let clusters = match (send_all_clusters, self.cache.latest()) {
            (false, Some(snapshot)) => {
                let clusters = snapshot.set.sorted(ResourceKind::Cluster);
                clusters.into_iter().map(|cluster| cluster.name.as_ref().to_owned()).collect()
            }
            _ => Vec::new(),
        };
        LoadStatsResponse {
            clusters,
            send_all_clusters,
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
        let report = Report::read(request.cluster_stats, now.saturating_duration_since(last), served);
        self.metrics.load_reported(report.ignored);
        if self.reporting.take(&self.node_id, report).is_err() {
            self.metrics.load_refused();
            if !std::mem::replace(&mut self.is_told_full, true) {
                tracing::warn!(
                    node = &*self.node_id,
                    limit = MAX_ENTRIES,
                    "no room for a load report: clients report too many clusters, localities and metrics"
                );
            }
        }
        now
    }
}

async fn next(inbound: &mut Streaming<LoadStatsRequest>) -> Option<LoadStatsRequest> {
    inbound.message().await.unwrap_or_else(|status| {
        tracing::debug!(%status, "load reports ended by the client");
        None
    })
}

/// The name as it is kept already, so that no report has one of its own.
fn served(set: &ResourceSet, name: &str) -> Option<Arc<str>> {
    set.get(ResourceKind::Cluster, name).map(|resource| resource.name.clone())
}

const SEND_ALL_CLUSTERS: &str = "envoy.lrs.supports_send_all_clusters";
/// How long a last word may take.
const PARTING: Duration = Duration::from_secs(5);
