//! Route configurations: virtual hosts and their routes (gRFC A28, A31, A42, A44).

mod action;
#[cfg(test)]
mod action_tests;
mod hash_policy;
#[cfg(test)]
mod hash_policy_tests;
#[cfg(test)]
mod header_tests;
#[cfg(test)]
mod match_tests;
mod mirror;
#[cfg(test)]
mod mirror_tests;
mod plugin;
mod retry;
#[cfg(test)]
mod retry_tests;
mod rewrite;
#[cfg(test)]
mod rewrite_tests;
pub(super) mod route_match;
#[cfg(test)]
pub(super) mod samples;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;
use mesh_core::config::{
    DomainPattern, HeaderMutations, MutationOrder, Name, Route, ServerRoutes, VirtualHost,
};
use xds_proto::envoy::config::route::v3 as proto;
use xds_proto::envoy::config::route::v3::route_action::RequestMirrorPolicy;

use super::filter;
use super::headers::HeaderFields;
use super::invalid::{Checked, Invalid, Within};
use super::message::{self, Named, decode_message};
use super::{AnyResource, DecodeContext, DecodeError, Decoding, ResourceType};

use plugin::Plugins;

/// `envoy.config.route.v3.RouteConfiguration`, decoded to [`RouteConfiguration`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouteConfigurationType;

/// A validated `envoy.config.route.v3.RouteConfiguration`.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct RouteConfiguration {
    /// In configured order, and complete: `vhds` is not read, as in gRPC.
    // RV-02
    pub virtual_hosts: Vec<Arc<VirtualHost>>,
    /// Changes of the headers of every call.
    pub headers: Arc<HeaderMutations>,
    /// In which order changes of headers are applied (`most_specific_header_mutations_wins`).
    pub header_order: MutationOrder,
}

impl RouteConfiguration {
    /// The same for a server.
    pub(crate) fn for_servers(&self) -> ServerRoutes {
        let mut routes = ServerRoutes::default();
        routes.virtual_hosts.clone_from(&self.virtual_hosts);
        routes.headers = self.headers.clone();
        routes.header_order = self.header_order;
        routes
    }
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

/// The context of routes.
#[derive(Debug, Clone, Copy)]
struct Scope<'a> {
    plugins: &'a Plugins<'a>,
    /// Whether authorities are rewritten (RDS-18).
    host_rewrite: bool,
    /// The mirrors of the whole configuration, for virtual hosts that have none.
    mirrors: &'a [RequestMirrorPolicy],
    /// The virtual host of the routes.
    host: Option<&'a proto::VirtualHost>,
    context: &'a Decoding<'a>,
}

/// Validates a route configuration, from RDS or inside a listener; the latter may have no name. All virtual hosts, not
/// only the one that a client will use (RDS-01).
pub(super) fn read(
    config: &proto::RouteConfiguration,
    context: &Decoding<'_>,
) -> Checked<RouteConfiguration> {
    let plugins = Plugins::read(&config.cluster_specifier_plugins)?;
    let scope = Scope {
        plugins: &plugins,
        host_rewrite: context.trusted_server && context.guards.authority_rewrite,
        mirrors: &config.request_mirror_policies,
        host: None,
        context,
    };
    mirror::check(&config.request_mirror_policies)?;
    let mut virtual_hosts = Vec::with_capacity(config.virtual_hosts.len());
    for (index, host) in config.virtual_hosts.iter().enumerate() {
        let host = virtual_host(host, &scope).within_element("virtual_hosts", index)?;
        virtual_hosts.push(Arc::new(host));
    }
    let headers = HeaderFields {
        request_add: &config.request_headers_to_add,
        request_remove: &config.request_headers_to_remove,
        response_add: &config.response_headers_to_add,
        response_remove: &config.response_headers_to_remove,
    };
    let header_order = match config.most_specific_header_mutations_wins {
        false => MutationOrder::MostSpecificFirst,
        true => MutationOrder::MostSpecificLast,
    };
    Ok(RouteConfiguration { virtual_hosts, headers: Arc::new(headers.read()?), header_order })
}

fn virtual_host(host: &proto::VirtualHost, scope: &Scope<'_>) -> Checked<VirtualHost> {
    // RDS-02. Another virtual host may have the same domain, as in gRPC: the first one serves it (RDS-03).
    let domain =
        |(index, domain): (usize, &String)| DomainPattern::parse(domain).within_element("domains", index);
    let filters = filter::overrides(&host.typed_per_filter_config, scope.context)?;
    let headers = HeaderFields {
        request_add: &host.request_headers_to_add,
        request_remove: &host.request_headers_to_remove,
        response_add: &host.response_headers_to_add,
        response_remove: &host.response_headers_to_remove,
    };
    mirror::check(&host.request_mirror_policies)?;
    let scope = &Scope { host: Some(host), ..*scope };
    let mut routes = Vec::with_capacity(host.routes.len());
    for (index, entry) in host.routes.iter().enumerate() {
        routes.extend(route(entry, scope).within_element("routes", index)?);
    }
    let domains = host.domains.iter().enumerate().map(domain).collect::<Checked<_>>()?;
    let mut read = VirtualHost::new(&host.name, domains, routes);
    read.retry = retry::policy(host.retry_policy.as_ref(), scope)?;
    read.filters = filters;
    read.headers = headers.read()?;
    Ok(read)
}

/// `None`: the route is skipped, as if it matched nothing (RDS-06, RDS-10, RDS-12).
fn route(route: &proto::Route, scope: &Scope<'_>) -> Checked<Option<Arc<Route>>> {
    // RDS-04
    let matches = route.r#match.as_ref().ok_or_else(|| Invalid::at("match", "must be set"))?;
    let filters = filter::overrides(&route.typed_per_filter_config, scope.context)?;
    let headers = HeaderFields {
        request_add: &route.request_headers_to_add,
        request_remove: &route.request_headers_to_remove,
        response_add: &route.response_headers_to_add,
        response_remove: &route.response_headers_to_remove,
    };
    let headers = headers.read()?;
    let read = matched(route, matches, scope);
    // RDS-06: gRPC does not look at such a route, so no mistake in it refuses the configuration
    let read = if matches.query_parameters.is_empty() { read? } else { read.unwrap_or_default() };
    Ok(read.map(|mut read| {
        read.filters = filters;
        read.headers = headers;
        Arc::new(read)
    }))
}

fn matched(route: &proto::Route, matches: &proto::RouteMatch, scope: &Scope<'_>) -> Checked<Option<Route>> {
    let matches = route_match::read(matches, scope.context).within("match")?;
    // Whether the action is valid does not depend on whether the route can match.
    let action = action::read(route.action.as_ref(), scope)?;
    let (Some(matches), Some(action)) = (matches, action) else { return Ok(None) };
    let mut read = Route::new(matches, action);
    read.name.clone_from(&route.name);
    Ok(Some(read))
}
