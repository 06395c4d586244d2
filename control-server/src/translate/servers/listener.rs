//! The listener of one server.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use xds_proto::envoy::config::core::v3::address::Address as AddressKind;
use xds_proto::envoy::config::core::v3::socket_address::PortSpecifier;
use xds_proto::envoy::config::core::v3::{Address, SocketAddress, TransportSocket};
use xds_proto::envoy::config::listener::v3::filter::ConfigType;
use xds_proto::envoy::config::listener::v3::{Filter, FilterChain, FilterChainMatch, Listener};
use xds_proto::envoy::config::route::v3::route::Action;
use xds_proto::envoy::config::route::v3::route_match::PathSpecifier;
use xds_proto::envoy::config::route::v3::{
    NonForwardingAction, Route, RouteConfiguration, RouteMatch, VirtualHost,
};
use xds_proto::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
use xds_proto::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::RouteSpecifier;
use xds_proto::pack_any;

use crate::model::{Mode, ServerPolicies, speaks_mtls};
use crate::state::ClientFamily;
use crate::translate::{listener, tls};

/// The security of the connections that a filter chain takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Security {
    Plaintext,
    MutualTls,
}

/// One server, as far as its policies depend on it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Server<'s> {
    pub(super) labels: &'s BTreeMap<String, String>,
    pub(super) family: ClientFamily,
    /// The services that it may ask about calls; `None`: any.
    pub(super) may_ask: Option<&'s BTreeSet<String>>,
}

/// The listener of a server on `address`: mutual TLS, plaintext or both.
pub(super) fn translate(
    name: &str,
    address: SocketAddr,
    policies: &ServerPolicies,
    server: Server<'_>,
) -> Listener {
    let Server { labels, family, .. } = server;
    let mode = policies.mtls.mode(labels, u32::from(address.port()));
    let chain = |security, transport_protocol| filter_chain(security, transport_protocol, policies, server);
    let is_ours = family == ClientFamily::MeshTonic;
    let filter_chains = match (mode, speaks_mtls(labels)) {
        (Mode::Strict, _) => vec![chain(Security::MutualTls, "")],
        (Mode::Disable, _) | (Mode::Unsaid, false) => vec![chain(Security::Plaintext, "")],
        (Mode::Permissive, _) | (Mode::Unsaid, true) if is_ours => {
            vec![chain(Security::MutualTls, "tls"), chain(Security::Plaintext, "raw_buffer")]
        }
        // Other libraries do not look at the first bytes: they take one or the other.
        (Mode::Permissive | Mode::Unsaid, true) => vec![chain(Security::MutualTls, "")],
        (Mode::Permissive, false) => vec![chain(Security::Plaintext, "")],
    };
    Listener {
        name: name.to_owned(),
        address: Some(socket_address(address)),
        filter_chains,
        ..Listener::default()
    }
}

// LDS-14
fn socket_address(address: SocketAddr) -> Address {
    let socket = SocketAddress {
        address: address.ip().to_string(),
        port_specifier: Some(PortSpecifier::PortValue(address.port().into())),
        ..SocketAddress::default()
    };
    Address { address: Some(AddressKind::SocketAddress(socket)) }
}

fn filter_chain(
    security: Security,
    transport_protocol: &str,
    policies: &ServerPolicies,
    server: Server<'_>,
) -> FilterChain {
    let name = match security {
        Security::Plaintext => "inbound-plaintext",
        Security::MutualTls => "inbound-mtls",
    };
    let filter_chain_match = (!transport_protocol.is_empty()).then(|| FilterChainMatch {
        transport_protocol: transport_protocol.to_owned(),
        ..FilterChainMatch::default()
    });
    let transport_socket: Option<TransportSocket> = match security {
        Security::Plaintext => None,
        Security::MutualTls => Some(tls::downstream()),
    };
    let manager = HttpConnectionManager {
        route_specifier: Some(RouteSpecifier::RouteConfig(every_call())),
        http_filters: super::filters::translate(policies, server, security)
            .into_iter()
            .chain([listener::router()])
            .collect(),
        ..HttpConnectionManager::default()
    };
    let manager = Filter {
        name: "envoy.filters.network.http_connection_manager".to_owned(),
        config_type: Some(ConfigType::TypedConfig(pack_any(manager))),
    };
    FilterChain { name: name.to_owned(), filter_chain_match, filters: vec![manager], transport_socket }
}

/// Routes that hand every call to the application (A36).
fn every_call() -> RouteConfiguration {
    let route = Route {
        name: "inbound".to_owned(),
        r#match: Some(RouteMatch {
            path_specifier: Some(PathSpecifier::Prefix(String::new())),
            ..RouteMatch::default()
        }),
        action: Some(Action::NonForwardingAction(NonForwardingAction {})),
        ..Route::default()
    };
    let virtual_host = VirtualHost {
        name: "inbound".to_owned(),
        domains: vec!["*".to_owned()],
        routes: vec![route],
        ..VirtualHost::default()
    };
    RouteConfiguration {
        name: "inbound".to_owned(),
        virtual_hosts: vec![virtual_host],
        ..RouteConfiguration::default()
    }
}
