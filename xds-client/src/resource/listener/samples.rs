//! Valid messages for the tables to change.

use xds_proto::envoy::config::core::v3::ConfigSource;
use xds_proto::envoy::config::listener::v3::filter::ConfigType;
use xds_proto::envoy::config::listener::v3::{ApiListener, Filter, FilterChain, FilterChainMatch, Listener};
use xds_proto::envoy::extensions::filters::http::router::v3::Router;
use xds_proto::envoy::extensions::filters::network::http_connection_manager::v3 as hcm;
use xds_proto::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::RouteSpecifier;
use xds_proto::google::protobuf::Any;

use crate::resource::testing::{address, ads, pack_any};

/// An HTTP filter with this configuration.
pub(in crate::resource) fn http_filter(name: &str, config: Any) -> hcm::HttpFilter {
    hcm::HttpFilter {
        name: name.into(),
        config_type: Some(hcm::http_filter::ConfigType::TypedConfig(config)),
        ..Default::default()
    }
}

/// The filter that ends every chain.
pub(in crate::resource) fn router(name: &str) -> hcm::HttpFilter {
    http_filter(name, pack_any(Router::default()))
}

/// Routes from RDS, and a router.
pub(in crate::resource) fn manager() -> hcm::HttpConnectionManager {
    let rds = hcm::Rds { config_source: ads(), route_config_name: "routes".into() };
    hcm::HttpConnectionManager {
        route_specifier: Some(RouteSpecifier::Rds(rds)),
        http_filters: vec![router("router")],
        ..Default::default()
    }
}

/// A client's listener around a connection manager.
pub(in crate::resource) fn api_around(manager: hcm::HttpConnectionManager) -> Listener {
    let api_listener = Some(ApiListener { api_listener: Some(pack_any(manager)) });
    Listener { name: "greeter".into(), api_listener, ..Default::default() }
}

/// Routes from RDS of this source.
fn manager_from(config_source: Option<ConfigSource>) -> hcm::HttpConnectionManager {
    let rds = hcm::Rds { config_source, route_config_name: "routes".into() };
    hcm::HttpConnectionManager { route_specifier: Some(RouteSpecifier::Rds(rds)), ..manager() }
}

/// A client's listener with routes from this source.
pub(in crate::resource) fn rds_from(source: Option<ConfigSource>) -> Listener {
    api_around(manager_from(source))
}

/// A server's listener with routes from this source.
pub(in crate::resource) fn rds_of_server_from(source: Option<ConfigSource>) -> Listener {
    let mut listener = socket();
    listener.filter_chains[0].filters = vec![network_filter("http", pack_any(manager_from(source)))];
    listener
}

/// A client's listener.
pub(in crate::resource) fn api() -> Listener {
    api_around(manager())
}

/// A network filter with this configuration.
pub(in crate::resource) fn network_filter(name: &str, config: Any) -> Filter {
    Filter { name: name.into(), config_type: Some(ConfigType::TypedConfig(config)) }
}

/// A filter chain with a connection manager.
pub(in crate::resource) fn chain(filter_chain_match: Option<FilterChainMatch>) -> FilterChain {
    FilterChain {
        filter_chain_match,
        filters: vec![network_filter("http", pack_any(manager()))],
        ..Default::default()
    }
}

/// A server's listener with one chain and a default.
pub(in crate::resource) fn socket() -> Listener {
    let only_local = FilterChainMatch { source_type: 1, ..Default::default() };
    Listener {
        name: "server".into(),
        address: address("0.0.0.0", 8080),
        filter_chains: vec![chain(Some(only_local))],
        default_filter_chain: Some(chain(None)),
        ..Default::default()
    }
}
