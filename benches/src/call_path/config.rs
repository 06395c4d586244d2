//! The configurations of the paths.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use mesh_core::config::{
    AppendAction, DomainPattern, FilterInstance, Forward, HeaderMutation, HeaderMutations, MeshConfig,
    MutationOrder, Name, Route, RouteAction, RouteMatch, VirtualHost,
};
use mesh_core::filter::{
    Abort, AbortSource, BuildError, Delay, DelaySource, FaultPolicy, FilterConfig, FilterContext,
    HeaderMutationConfig, HttpFilter, Overrides, Percentage,
};
use mesh_core::policy::matcher::PathMatcher;

/// What the 10,000 are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Routes {
    /// Routes that match one path each.
    Exact,
    /// Routes that match a prefix each.
    Prefix,
    /// Virtual hosts of one domain and one route each.
    VirtualHosts,
}

impl Routes {
    /// All of them, with a name for reports.
    pub const ALL: [(Self, &'static str); 3] =
        [(Self::Exact, "exact"), (Self::Prefix, "prefix"), (Self::VirtualHosts, "virtual_hosts")];
}

pub(super) fn three_filters() -> [FilterInstance; 3] {
    let fault = FaultPolicy::new()
        .with_delay(Delay { source: DelaySource::Headers, percentage: Percentage::ALL })
        .with_abort(Abort { source: AbortSource::Headers, percentage: Percentage::ALL });
    let header = HeaderName::from_static("x-bench");
    let set = HeaderMutation::set(header, HeaderValue::from_static("1"), AppendAction::default());
    let mutations = HeaderMutations::new().request(set.expect("it is not a protected header"));
    let mutation = HeaderMutationConfig::new(mutations, MutationOrder::default());
    [
        FilterInstance::new("fault", fault),
        FilterInstance::new("mutation", mutation),
        FilterInstance::new("whole", Whole),
    ]
}

/// A filter that takes part in every stage, and does nothing.
#[derive(Debug, PartialEq)]
struct Whole;

#[derive(Debug)]
struct Watching;

impl FilterConfig for Whole {
    fn build(&self, _: Overrides<'_>, _: &FilterContext) -> Result<Option<Arc<dyn HttpFilter>>, BuildError> {
        Ok(Some(Arc::new(Watching)))
    }
}

impl HttpFilter for Watching {}

pub(super) fn config(kind: Routes, routes: usize, endpoints: usize) -> MeshConfig {
    let addresses = (0..endpoints).map(|number| {
        let number = u32::try_from(number).expect("few endpoints");
        SocketAddr::from((Ipv4Addr::from(0x7f00_0001 + number), 50051))
    });
    let template = MeshConfig::to_endpoints("cluster", addresses);
    let hosts = match kind {
        Routes::VirtualHosts => (0..routes)
            .map(|number| {
                let domain = DomainPattern::parse(&format!("host-{number}.example")).expect("a domain");
                host(domain, vec![route(PathMatcher::Prefix { prefix: "/".to_owned(), ignore_case: false })])
            })
            .collect(),
        Routes::Exact | Routes::Prefix => {
            let matcher = |number| match kind {
                Routes::Exact => {
                    PathMatcher::Exact { path: format!("/service/method-{number}"), ignore_case: false }
                }
                _ => PathMatcher::Prefix { prefix: format!("/service-{number}/"), ignore_case: false },
            };
            vec![host(DomainPattern::Any, (0..routes).map(|number| route(matcher(number))).collect())]
        }
    };
    let clusters: HashMap<Name, _> = template.clusters().clone();
    MeshConfig::new(hosts, clusters, None).expect("every cluster is there")
}

fn host(domain: DomainPattern, routes: Vec<Arc<Route>>) -> Arc<VirtualHost> {
    Arc::new(VirtualHost::new("host", vec![domain], routes))
}

fn route(path: PathMatcher) -> Arc<Route> {
    Arc::new(Route::new(RouteMatch::new(path), RouteAction::Forward(Forward::to("cluster"))))
}
