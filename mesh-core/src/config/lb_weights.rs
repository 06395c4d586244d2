//! The weights of endpoints: where they come from, and how they grow after a start.

use std::sync::Arc;
use std::time::Duration;

use super::Name;

/// Settings of [`LbPolicy::WeightedRoundRobin`](super::LbPolicy::WeightedRoundRobin).
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct WeightedRoundRobin {
    /// Where the weights come from: by default from the endpoints' configuration.
    pub weights: WeightSource,
    /// How the weight of a new endpoint grows; `None`: it has its full weight at once.
    pub slow_start: Option<SlowStart>,
}

impl WeightedRoundRobin {
    /// Weights from this source, without slow start.
    pub fn new(weights: WeightSource) -> Self {
        Self { weights, slow_start: None }
    }

    /// With the weights of new endpoints growing.
    #[must_use]
    pub fn with_slow_start(self, slow_start: SlowStart) -> Self {
        Self { slow_start: Some(slow_start), ..self }
    }
}

/// Where the weights of endpoints come from.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub enum WeightSource {
    /// Each endpoint has weight 1: only slow start makes a difference.
    Equal,
    /// [`Endpoint::weight`](super::Endpoint::weight).
    #[default]
    Configured,
    /// The endpoints report their load, and the mesh computes the weights (gRFC A58).
    Reported(ReportedWeights),
}

/// Settings of [`LbPolicy::WeightedLeastRequest`](super::LbPolicy::WeightedLeastRequest).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct WeightedLeastRequest {
    /// How many random endpoints are compared while all weights are equal: 2 to 10, by default 2.
    pub choice_count: u32,
    /// How much calls in flight count while weights differ: an endpoint's chance is `weight / (calls + 1)^bias`. By default 1;
    /// with 0 only the weights count.
    pub bias: f64,
    /// How the weight of a new endpoint grows; `None`: it has its full weight at once.
    pub slow_start: Option<SlowStart>,
}

impl Default for WeightedLeastRequest {
    fn default() -> Self {
        Self { choice_count: 2, bias: 1.0, slow_start: None }
    }
}

/// How the weight of an endpoint grows after it has become ready: newly connected, or back after an ejection or a failed
/// health check (gRFC A100, Envoy's slow start).
///
/// After `t` seconds it has `max(min_weight_percent / 100, (max(t, 1) / window)^(1 / aggression))` of its weight. If all
/// endpoints are new, they share the calls as usual.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct SlowStart {
    /// After this time the endpoint has its full weight.
    pub window: Duration,
    /// 1, the default, is linear; more is faster at the beginning. Above 0.
    pub aggression: f64,
    /// The least share of its weight, in percent: 0 to 100, by default 10.
    pub min_weight_percent: f64,
}

impl SlowStart {
    /// Linear growth from a tenth of the weight.
    pub fn new(window: Duration) -> Self {
        Self { window, aggression: 1.0, min_weight_percent: 10.0 }
    }
}

/// How weights are computed from the load that endpoints report (gRFC A58, A114): `qps / (utilization + errors per query *
/// error_utilization_penalty)`.
///
/// Endpoints without a usable weight have the mean of the others; with fewer than two usable weights, all are equal.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ReportedWeights {
    /// `None`, the default: reports come with responses. Otherwise each endpoint is asked to send one at this interval.
    pub out_of_band: Option<Duration>,
    /// A weight is used only when its endpoint has sent reports for this long: 10 s.
    pub blackout: Duration,
    /// A weight without a report for this long is no longer used: 3 minutes.
    pub expiration: Duration,
    /// How often weights are computed: 1 s; at least 100 ms.
    pub update_period: Duration,
    /// How much errors count: 1. Not negative.
    pub error_utilization_penalty: f64,
    /// The metrics whose largest value is the utilization, for example `named_metrics.queue`; used if an endpoint does not report
    /// its application utilization, and before its CPU utilization.
    pub utilization_metrics: Arc<[Name]>,
}

impl Default for ReportedWeights {
    // LB-43
    fn default() -> Self {
        Self {
            out_of_band: None,
            blackout: Duration::from_secs(10),
            expiration: Duration::from_secs(180),
            update_period: Duration::from_secs(1),
            error_utilization_penalty: 1.0,
            utilization_metrics: Arc::default(),
        }
    }
}
