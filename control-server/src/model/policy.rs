//! How calls to a cluster are spread and limited.

use std::collections::BTreeMap;
use std::time::Duration;

use super::attached::PortSettings;
use super::balancing::{Balancing, HashKey, LoadBalancing};
use super::limits::{Connections, Limits};
use crate::kinds::ObjectId;
use crate::kinds::mesh_policy::{HealthCheck, PolicySettings};
use crate::kinds::traffic_policy::{
    ClientTls, ConnectionPool, Failover, LoadBalancer, OutlierDetection, PortPolicy, RetryBudget,
    TrafficPolicy,
};

/// The policy of a cluster, with every default filled in.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Policy {
    pub(crate) load_balancing: LoadBalancing,
    /// What a hash is made of, where the load balancing needs one.
    pub(crate) hash_key: Option<HashKey>,
    /// Each client uses so many endpoints of a locality; `None`: all.
    pub(crate) subset_size: Option<u32>,
    pub(crate) limits: Limits,
    pub(crate) connections: Connections,
    pub(crate) outlier: Option<Outlier>,
    /// How clients check endpoints.
    pub(crate) health_check: Option<HealthCheck>,
    /// The TLS that it states; `None`: it states none.
    pub(super) tls: Option<ClientTls>,
    pub(crate) locality: LocalityPolicy,
}

/// How endpoints are preferred by their place, seen from the client's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum LocalityPolicy {
    /// Not at all.
    #[default]
    Equal,
    /// The nearest first: same subzone, zone, region, then others. Regions in the map fail over to one other region only.
    Failover(BTreeMap<String, String>),
    /// Calls stay in the client's zone as far as its endpoints can take them; regions in the map fail over to one other region first.
    ZoneAware {
        regions: BTreeMap<String, String>,
        /// With fewer in a region, zones do not matter.
        min_endpoints: u32,
    },
    /// Those first that have most of the client's values of these labels, in order; `label=value` is a value for every client.
    FailoverByLabels(Vec<String>),
    /// For clients in a place, shares in percent by place; both may end in `/*`. The rest get what is nearest.
    Distribute(Vec<(String, BTreeMap<String, u32>)>),
}

impl LocalityPolicy {
    fn new(lb: &LoadBalancer) -> Self {
        let regions =
            |failover: &[Failover]| failover.iter().map(|one| (one.from.clone(), one.to.clone())).collect();
        if let Some(setting) =
            lb.zone_aware_lb_setting.as_ref().filter(|setting| setting.enabled != Some(false))
        {
            let min_endpoints = setting.min_cluster_size.unwrap_or(6);
            return Self::ZoneAware { regions: regions(&setting.failover), min_endpoints };
        }
        let Some(setting) = lb.locality_lb_setting.as_ref().filter(|setting| setting.is_enabled()) else {
            return Self::Equal;
        };
        if !setting.distribute.is_empty() {
            let rows = setting.distribute.iter().map(|one| (one.from.clone(), one.to.clone()));
            return Self::Distribute(rows.collect());
        }
        if !setting.failover_priority.is_empty() {
            return Self::FailoverByLabels(setting.failover_priority.clone());
        }
        Self::Failover(regions(&setting.failover))
    }
}

/// What one object says of a cluster; `None`: nothing.
#[derive(Debug, Default)]
struct Layer<'a> {
    /// How endpoints are chosen.
    balancing: Option<Balancing>,
    /// For what it says of localities.
    lb: Option<&'a LoadBalancer>,
    pool: Option<&'a ConnectionPool>,
    outlier: Option<&'a OutlierDetection>,
    tls: Option<&'a ClientTls>,
    retry_budget: Option<&'a RetryBudget>,
    health_check: Option<&'a HealthCheck>,
}

impl<'a> Layer<'a> {
    fn of_rule(policy: &'a TrafficPolicy) -> Self {
        Self {
            balancing: policy.load_balancer.as_ref().and_then(Balancing::of_rule),
            lb: policy.load_balancer.as_ref(),
            pool: policy.connection_pool.as_ref(),
            outlier: policy.outlier_detection.as_ref(),
            tls: policy.tls.as_ref(),
            retry_budget: policy.retry_budget.as_ref(),
            ..Self::default()
        }
    }

    fn of_port(policy: &'a PortPolicy) -> Self {
        Self {
            balancing: policy.load_balancer.as_ref().and_then(Balancing::of_rule),
            lb: policy.load_balancer.as_ref(),
            pool: policy.connection_pool.as_ref(),
            outlier: policy.outlier_detection.as_ref(),
            tls: policy.tls.as_ref(),
            ..Self::default()
        }
    }

    fn of_all(settings: &[&'a PolicySettings]) -> Vec<Self> {
        settings.iter().map(|one| Self::of_settings(one)).collect()
    }

    fn of_settings(settings: &'a PolicySettings) -> Self {
        Self {
            balancing: settings.load_balancer.as_ref().map(Balancing::of_settings),
            pool: settings.connection_pool.as_ref(),
            outlier: settings.outlier_detection.as_ref(),
            retry_budget: settings.retry_budget.as_ref(),
            health_check: settings.health_check.as_ref(),
            ..Self::default()
        }
    }
}

fn port_policy(policy: Option<&TrafficPolicy>, port: u32) -> Option<&PortPolicy> {
    policy?.port_level_settings.iter().find(|one| one.port.number == port)
}

/// When an endpoint is ejected for a while. Failures in a row: 0 is off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outlier {
    pub(crate) interval: Option<Duration>,
    pub(crate) base_ejection_time: Option<Duration>,
    pub(crate) max_ejection_percent: Option<u32>,
    pub(crate) min_health_percent: u32,
    /// Answers of a status of 500 and above in a row.
    pub(crate) server_errors: u32,
    /// Answers of status 502, 503 or 504 in a row.
    pub(crate) gateway_errors: u32,
    /// Calls in a row that do not reach the endpoint; `None`: they count as gateway errors.
    pub(crate) local_origin_failures: Option<u32>,
    /// The statuses that count as errors, if not all of 500 and above.
    pub(crate) error_codes: Vec<u32>,
}

impl Policy {
    /// The policy of a port. Of a rule, a subset's policy wins over the service's, field by field, and a policy of the port wins
    /// over both as a whole. Between them stand our own policies, by how specific they are.
    pub(super) fn new(
        own: Option<&TrafficPolicy>,
        subset: Option<&TrafficPolicy>,
        port: u32,
        attached: &PortSettings<'_>,
    ) -> Self {
        let of_port = match subset {
            Some(subset) if !subset.port_level_settings.is_empty() => port_policy(Some(subset), port),
            _ => port_policy(own, port),
        };
        let overrides = Layer::of_all(&attached.overrides).into_iter();
        let [port, service, wider] =
            [&attached.port, &attached.service, &attached.wider].map(|of| Layer::of_all(of));
        let layers: Vec<Layer<'_>> = match of_port {
            Some(of_port) => {
                overrides.chain(port).chain([Layer::of_port(of_port)]).chain(service).chain(wider).collect()
            }
            None => {
                let (own, subset) = (own.map(Layer::of_rule), subset.map(Layer::of_rule));
                overrides.chain(subset).chain(port).chain(service).chain(own).chain(wider).collect()
            }
        };
        Self::from_layers(&layers)
    }

    /// The first layer that states a part decides it.
    fn from_layers(layers: &[Layer<'_>]) -> Self {
        let mut layers_of_balancing = layers.iter();
        let Balancing { policy, hash_key, subset_size } =
            layers_of_balancing.find_map(|layer| layer.balancing.clone()).unwrap_or_default();
        let pool = layers.iter().find_map(|layer| layer.pool);
        let outlier = layers.iter().find_map(|layer| layer.outlier);
        Self {
            load_balancing: policy,
            hash_key,
            subset_size,
            limits: Limits::new(pool, layers.iter().find_map(|layer| layer.retry_budget)),
            connections: pool.map(Connections::new).unwrap_or_default(),
            outlier: outlier.and_then(Outlier::new),
            health_check: layers.iter().find_map(|layer| layer.health_check).cloned(),
            tls: layers.iter().find_map(|layer| layer.tls).cloned(),
            locality: layers.iter().find_map(|layer| layer.lb).map(LocalityPolicy::new).unwrap_or_default(),
        }
    }

    /// Why no connection can be made as it has to be; `is_tls`: the port's protocol is TLS.
    pub(super) fn unmet_demand(&self, is_tls: bool, ruled_by: Option<&ObjectId>) -> Option<String> {
        match &self.tls {
            Some(tls) => {
                let problem = tls.problem()?;
                let by = ruled_by.map(|id| format!(" of {id}")).unwrap_or_default();
                Some(format!("TLS of mode {}{by} cannot be served: {problem}", tls.mode.name()))
            }
            None => is_tls.then(|| "TLS of the port's protocol needs a DestinationRule with tls".to_owned()),
        }
    }

    /// The labels that failover goes by.
    pub(super) fn failover_labels(&self) -> &[String] {
        match &self.locality {
            LocalityPolicy::FailoverByLabels(labels) => labels,
            _ => &[],
        }
    }
}

impl Outlier {
    /// `None`: failures are not counted.
    fn new(outlier: &OutlierDetection) -> Option<Self> {
        let made = Self {
            interval: outlier.interval.map(|duration| duration.0),
            base_ejection_time: outlier.base_ejection_time.map(|duration| duration.0),
            max_ejection_percent: outlier.max_ejection_percent,
            min_health_percent: outlier.min_health_percent.unwrap_or(0),
            server_errors: outlier.server_errors(),
            gateway_errors: outlier.gateway_errors(),
            local_origin_failures: outlier.local_origin_failures(),
            error_codes: outlier.outlier_detection_http_error_codes.clone(),
        };
        let rows = [made.server_errors, made.gateway_errors, made.local_origin_failures.unwrap_or(0)];
        (rows != [0; 3]).then_some(made)
    }

    /// For clients that do not count failures in a row: the calls in an interval from which on an endpoint counts.
    pub(crate) fn request_volume(&self) -> Option<u32> {
        [self.server_errors, self.gateway_errors].into_iter().filter(|count| *count > 0).min()
    }
}
