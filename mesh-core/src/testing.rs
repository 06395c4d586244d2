//! What tests and benches of other crates need of this one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderMap;

use crate::config::LbPolicy;
use crate::filter::{DescriptorLimit, RateLimitPolicy};
use crate::policy::first_bytes::{FirstBytes, classify};
use crate::policy::lb::{Balancer, EndpointLoad, LbEndpoint, Moment};
pub use crate::policy::load_report::orca::OrcaReport;
use crate::policy::rate_limit::{BucketSource, CallView, PerValue, RateLimiter, TokenBucket};
use crate::shared::SharedList;

/// Whether a server takes a client for one that speaks TLS or HTTP/2, by its first bytes; `None`: it needs more of them.
pub fn first_bytes(bytes: &[u8]) -> Option<bool> {
    match classify(bytes) {
        FirstBytes::Incomplete => None,
        FirstBytes::Tls | FirstBytes::Http2 => Some(true),
        FirstBytes::Other => Some(false),
    }
}

/// The decision of a rate limit, without a filter around it.
#[derive(Debug)]
pub struct RateLimitDecision(RateLimiter);

impl RateLimitDecision {
    /// With full buckets.
    pub fn new(policy: RateLimitPolicy) -> Self {
        Self(RateLimiter::new(policy, &NewBuckets))
    }

    /// Whether a call with these headers passes.
    pub fn passes(&self, headers: &HeaderMap, now: Duration) -> bool {
        let call = CallView { headers, cluster: "", peer: None };
        self.0.check(call, now).refused_by.is_none()
    }
}

struct NewBuckets;

impl BucketSource for NewBuckets {
    fn bucket(&self, _: Option<&DescriptorLimit>) -> Arc<TokenBucket> {
        Arc::default()
    }

    fn per_value(&self, _: &DescriptorLimit, policy: &RateLimitPolicy) -> Arc<PerValue> {
        Arc::new(PerValue::new(policy))
    }
}

/// A balancer of this policy, over the localities of one priority.
pub fn balancer(policy: &LbPolicy) -> Box<dyn Balancer> {
    crate::policy::lb::leaf(policy)
}

/// The list with the endpoint at this place replaced.
pub fn replaced(list: &SharedList<LbEndpoint>, at: usize, endpoint: LbEndpoint) -> SharedList<LbEndpoint> {
    list.with_replaced(at, endpoint)
}

/// A call to an endpoint has ended after this time, and the endpoint has reported a load of this weight.
pub fn report(load: &EndpointLoad, now: Instant, took: Duration, weight: f32) {
    load.latency.observe(Moment::of(now), took, Duration::from_secs(10));
    load.weight.report(weight);
}
