//! Route configurations: virtual hosts and their routes (gRFC A28, A31, A42, A44).

mod action;
#[cfg(test)]
mod action_tests;
mod hash_policy;
#[cfg(test)]
mod hash_policy_tests;
#[cfg(test)]
mod match_tests;
mod plugin;
mod retry;
#[cfg(test)]
mod retry_tests;
mod route_match;
#[cfg(test)]
pub(super) mod samples;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;
use envoy_types::pb::envoy::config::route::v3 as proto;
use mesh_core::config::{DomainPattern, Name, Route, VirtualHost};

use super::filter::{self, FilterPlace, FilterSwitch, Switches};
use super::invalid::{Checked, Invalid, Within};
use super::message::{self, Named, decode_message};
use super::{AnyResource, DecodeContext, DecodeError, Decoding, ResourceType};

use plugin::Plugins;

/// `envoy.config.route.v3.RouteConfiguration`, decoded to [`RouteConfiguration`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouteConfigurationType;

/// A validated `envoy.config.route.v3.RouteConfiguration`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RouteConfiguration {
    /// In configured order. `vhds` is not looked at, as in gRPC: these are all (RV-02).
    pub virtual_hosts: Vec<Arc<VirtualHost>>,
    /// Where filters of the listener are switched on and off.
    pub filter_switches: Vec<FilterSwitch>,
}

impl ResourceType for RouteConfigurationType {
    fn type_url(&self) -> &'static str {
        "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
    }

    fn is_full_state(&self) -> bool {
        false
    }

    fn peek_name(&self, bytes: &Bytes) -> Option<Name> {
        message::peek_name(bytes)
    }

    fn decode(
        &self,
        context: &DecodeContext,
        name: Option<&Name>,
        bytes: &Bytes,
    ) -> Result<(Name, AnyResource), DecodeError> {
        decode_message(self.type_url(), name, bytes, |message: proto::RouteConfiguration| {
            read(&message, &Decoding::new(context))
        })
    }
}

impl Named for proto::RouteConfiguration {
    fn name(&self) -> &str {
        &self.name
    }
}

/// What routes depend on besides themselves.
#[derive(Debug)]
struct Scope<'a> {
    plugins: Plugins<'a>,
    /// `auto_host_rewrite` is honoured (RDS-18).
    host_rewrite: bool,
    context: &'a Decoding<'a>,
}

/// Validates a route configuration, from RDS or inside a listener; the latter may have no name. All virtual hosts, not
/// only the one that a client will use (RDS-01).
pub(super) fn read(
    config: &proto::RouteConfiguration,
    context: &Decoding<'_>,
) -> Checked<RouteConfiguration> {
    let scope = Scope {
        plugins: Plugins::read(&config.cluster_specifier_plugins)?,
        host_rewrite: context.trusted_server && context.guards.authority_rewrite,
        context,
    };
    let mut virtual_hosts = Vec::with_capacity(config.virtual_hosts.len());
    let mut filter_switches = Vec::new();
    for (index, host) in config.virtual_hosts.iter().enumerate() {
        let place = FilterPlace { virtual_host: index, route: None, cluster: None };
        let host = virtual_host(host, &scope, place, &mut filter_switches);
        virtual_hosts.push(Arc::new(host.within_element("virtual_hosts", index)?));
    }
    Ok(RouteConfiguration { virtual_hosts, filter_switches })
}

fn virtual_host(
    host: &proto::VirtualHost,
    scope: &Scope<'_>,
    place: FilterPlace,
    switches: &mut Vec<FilterSwitch>,
) -> Checked<VirtualHost> {
    // RDS-02. A domain that another virtual host has as well is fine, as in gRPC: the first one serves it (RDS-03).
    let domain =
        |(index, domain): (usize, &String)| DomainPattern::parse(domain).within_element("domains", index);
    switches.extend(switched(filter::overrides(&host.typed_per_filter_config)?, place));
    let mut routes = Vec::with_capacity(host.routes.len());
    for (index, entry) in host.routes.iter().enumerate() {
        let place = FilterPlace { route: Some(routes.len()), ..place };
        routes.extend(route(entry, scope, place, switches).within_element("routes", index)?);
    }
    Ok(VirtualHost {
        name: host.name.clone(),
        domains: host.domains.iter().enumerate().map(domain).collect::<Checked<_>>()?,
        routes,
        retry: retry::policy(host.retry_policy.as_ref())?,
    })
}

/// `None`: the route is skipped, as if it matched nothing (RDS-06, RDS-10, RDS-12).
fn route(
    route: &proto::Route,
    scope: &Scope<'_>,
    place: FilterPlace,
    switches: &mut Vec<FilterSwitch>,
) -> Checked<Option<Arc<Route>>> {
    // RDS-04
    let matches = route.r#match.as_ref().ok_or_else(|| Invalid::at("match", "must be set"))?;
    let own = filter::overrides(&route.typed_per_filter_config)?;
    // RDS-06
    if !matches.query_parameters.is_empty() {
        return Ok(None);
    }
    let matches = route_match::read(matches, scope.context).within("match")?;
    // Whether the action is valid does not depend on whether the route can match.
    let action = action::read(route.action.as_ref(), scope)?;
    let (Some(matches), Some(action)) = (matches, action) else { return Ok(None) };
    switches.extend(switched(own, place));
    for (index, of_cluster) in action::overrides(route.action.as_ref())?.into_iter().enumerate() {
        switches.extend(switched(of_cluster, FilterPlace { cluster: Some(index), ..place }));
    }
    Ok(Some(Arc::new(Route { name: route.name.clone(), matches, action })))
}

fn switched(switches: Switches, place: FilterPlace) -> impl Iterator<Item = FilterSwitch> {
    switches.into_iter().map(move |(filter, disabled)| FilterSwitch { place, filter, disabled })
}
