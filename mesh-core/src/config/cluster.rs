//! A cluster: where its endpoints come from and how calls are spread over them.

use std::sync::Arc;

use crate::policy::retry::RetryBudget;

use super::{
    CallLimits, ClientTls, ConnectionSettings, EndpointSet, HealthCheck, HealthStatus, LbPolicy, MaxRequests,
    Name, OutlierDetection, ResourceError,
};

/// One cluster of a [`MeshConfig`](super::MeshConfig).
///
/// Settings and endpoints change at different speeds and are shared separately between configurations.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Cluster {
    /// How calls are spread and limited.
    pub settings: Arc<ClusterSettings>,
    /// Where the endpoints come from.
    pub discovery: Discovery,
}

/// Where a cluster's endpoints come from.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Discovery {
    /// Endpoints that the control plane lists; an error when there are none to use, with the reason (A74's
    /// resolution note).
    Endpoints(Result<Arc<EndpointSet>, ResourceError>),
    /// One DNS name, resolved by this process; all its addresses form one endpoint (gRFC A37).
    LogicalDns {
        /// Host name, without a port.
        host: Name,
        /// Port.
        port: u16,
    },
    /// Other clusters of the same configuration, tried in this order (gRFC A37). Leaves only: the graph is already
    /// flattened.
    Aggregate(Arc<[Name]>),
}

impl Cluster {
    /// A cluster of these settings with these endpoints.
    pub fn new(settings: impl Into<Arc<ClusterSettings>>, discovery: Discovery) -> Self {
        Self { settings: settings.into(), discovery }
    }

    /// Whether both are the same, as far as can be seen without looking at endpoints and settings.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.settings, &other.settings) && self.discovery.is_same(&other.discovery)
    }
}

impl Discovery {
    /// Whether both are the same, as far as can be seen without looking at endpoints.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Endpoints(Ok(set)), Self::Endpoints(Ok(other))) => Arc::ptr_eq(set, other),
            (discovery, other) => discovery == other,
        }
    }
}

/// How calls to a cluster are spread and limited.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ClusterSettings {
    /// The cluster's name.
    pub name: Name,
    /// The name under which its endpoints are discovered; the cluster's own name unless the control plane says
    /// otherwise. Together with `name` it keys the circuit breaker (gRFC A32).
    pub service_name: Name,
    /// How one endpoint is chosen.
    pub lb_policy: LbPolicy,
    /// How a priority's calls are spread over its localities, above `lb_policy`.
    pub locality_policy: LocalityPolicy,
    /// How much there may be at once.
    pub limits: CallLimits,
    /// How much there may be at once for calls of high priority, which count apart from the others.
    // LB-27
    pub high_priority_limits: CallLimits,
    /// How connections to the endpoints are made and kept.
    pub connection: ConnectionSettings,
    /// How connections to the endpoints are secured; `None`: they are plaintext.
    pub tls: Option<Arc<ClientTls>>,
    /// Removal of failing endpoints; `None` is off.
    pub outlier_detection: Option<OutlierDetection>,
    /// Endpoints are asked whether this service is healthy, and take calls only if they say so; an endpoint that cannot be asked
    /// counts as healthy (gRFC A17). Empty: the endpoint as a whole. `None`: they are not asked.
    // LB-63
    pub service_health: Option<Name>,
    /// Endpoints are checked, and take calls only while their checks succeed (Envoy's `health_checks`). `None`: they are not checked.
    pub health_check: Option<Arc<HealthCheck>>,
    /// The health, by the control plane, of endpoints that take calls of their sessions (gRFC A55): unknown and healthy ones by default.
    /// Empty: calls have no sessions. Draining ones keep their connections only if they are listed.
    // LB-67
    pub override_host_status: Arc<[HealthStatus]>,
    /// Service name and namespace for metric labels (`com.google.csm.telemetry_labels`).
    pub telemetry_labels: Option<(Name, Name)>,
    /// The server that load is reported to, by the name that the configuration source knows it by: the one that sent the
    /// cluster (gRFC A27, A47). `None`: load is not reported.
    pub load_reporting: Option<Name>,
    /// Which of the endpoints' own metrics go into load reports (gRFC A85).
    pub reported_metrics: Arc<[ReportedMetric]>,
}

impl ClusterSettings {
    /// Settings with every default: round robin, 1,024 requests, nothing else.
    pub fn new(name: impl Into<Name>) -> Self {
        let name = name.into();
        Self {
            service_name: name.clone(),
            name,
            lb_policy: LbPolicy::RoundRobin,
            locality_policy: LocalityPolicy::Weighted,
            limits: CallLimits::default(),
            high_priority_limits: CallLimits::default(),
            connection: ConnectionSettings::default(),
            tls: None,
            outlier_detection: None,
            service_health: None,
            health_check: None,
            override_host_status: [HealthStatus::Unknown, HealthStatus::Healthy].into(),
            telemetry_labels: None,
            load_reporting: None,
            reported_metrics: Arc::default(),
        }
    }

    /// With endpoints chosen by this policy.
    #[must_use]
    pub fn with_lb_policy(self, lb_policy: LbPolicy) -> Self {
        Self { lb_policy, ..self }
    }

    /// With so many calls in flight at most.
    #[must_use]
    pub fn with_max_requests(self, max_requests: MaxRequests) -> Self {
        Self { limits: self.limits.with_max_requests(max_requests), ..self }
    }

    /// With so many of its calls in a retry at most.
    #[must_use]
    pub fn with_retry_budget(self, budget: RetryBudget) -> Self {
        Self { limits: self.limits.with_retry_budget(budget), ..self }
    }

    /// With connections secured by TLS.
    #[must_use]
    pub fn with_tls(self, tls: impl Into<Arc<ClientTls>>) -> Self {
        Self { tls: Some(tls.into()), ..self }
    }

    /// With endpoints asked for the health of this service.
    #[must_use]
    pub fn with_service_health(self, service: impl Into<Name>) -> Self {
        Self { service_health: Some(service.into()), ..self }
    }

    /// With endpoints checked in this way.
    #[must_use]
    pub fn with_health_check(self, check: impl Into<Arc<HealthCheck>>) -> Self {
        Self { health_check: Some(check.into()), ..self }
    }

    /// With failing endpoints removed.
    #[must_use]
    pub fn with_outlier_detection(self, detection: OutlierDetection) -> Self {
        Self { outlier_detection: Some(detection), ..self }
    }
}

/// How a priority's calls are spread over its localities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LocalityPolicy {
    /// By locality weight, and within the chosen locality by the cluster's [`LbPolicy`] (`wrr_locality`).
    Weighted,
    /// One [`LbPolicy`] over all endpoints of the priority. Ring hash multiplies locality and endpoint weights; no other
    /// policy looks at localities.
    // LB-37
    Flat,
}

/// A metric of an endpoint that load reports carry.
// TR-71
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReportedMetric {
    /// `cpu_utilization`.
    CpuUtilization,
    /// `mem_utilization`.
    MemUtilization,
    /// `application_utilization`.
    ApplicationUtilization,
    /// Every named metric.
    AllNamed,
    /// The named metric of this key, without `named_metrics.`.
    Named(Name),
}
