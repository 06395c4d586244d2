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

use super::filter;
use super::invalid::{Checked, Invalid, Within};
use super::message::{self, Named, decode_message};
use super::{AnyResource, DecodeContext, DecodeError, ResourceType};

use plugin::Plugins;

/// `envoy.config.route.v3.RouteConfiguration`, decoded to [`RouteConfiguration`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouteConfigurationType;

/// A validated `envoy.config.route.v3.RouteConfiguration`.
#[derive(Debug, Clone, PartialEq)]
pub struct RouteConfiguration {
    /// In configured order.
    pub virtual_hosts: Vec<Arc<VirtualHost>>,
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
            read(&message, context)
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
}

/// Validates a route configuration, from RDS or inside a listener; the latter may have no name. All virtual hosts, not
/// only the one that a client will use (RDS-01).
pub(super) fn read(
    config: &proto::RouteConfiguration,
    context: &DecodeContext,
) -> Checked<RouteConfiguration> {
    let scope = Scope {
        plugins: Plugins::read(&config.cluster_specifier_plugins)?,
        host_rewrite: context.trusted_server && context.guards.authority_rewrite,
    };
    let host =
        |(index, host)| virtual_host(host, &scope).map(Arc::new).within_element("virtual_hosts", index);
    Ok(RouteConfiguration {
        virtual_hosts: config.virtual_hosts.iter().enumerate().map(host).collect::<Checked<_>>()?,
    })
}

fn virtual_host(host: &proto::VirtualHost, scope: &Scope<'_>) -> Checked<VirtualHost> {
    // RDS-02
    let domain =
        |(index, domain): (usize, &String)| DomainPattern::parse(domain).within_element("domains", index);
    let route = |(index, entry)| route(entry, scope).within_element("routes", index).transpose();
    filter::overrides(&host.typed_per_filter_config)?;
    Ok(VirtualHost {
        name: host.name.clone(),
        domains: host.domains.iter().enumerate().map(domain).collect::<Checked<_>>()?,
        routes: host.routes.iter().enumerate().filter_map(route).collect::<Checked<_>>()?,
        retry: retry::policy(host.retry_policy.as_ref())?,
    })
}

/// `None`: the route is skipped, as if it matched nothing (RDS-06, RDS-10, RDS-12).
fn route(route: &proto::Route, scope: &Scope<'_>) -> Checked<Option<Arc<Route>>> {
    // RDS-04
    let matches = route.r#match.as_ref().ok_or_else(|| Invalid::at("match", "must be set"))?;
    filter::overrides(&route.typed_per_filter_config)?;
    let Some(matches) = route_match::read(matches).within("match")? else { return Ok(None) };
    let Some(action) = action::read(route.action.as_ref(), scope)? else { return Ok(None) };
    Ok(Some(Arc::new(Route { name: route.name.clone(), matches, action })))
}
