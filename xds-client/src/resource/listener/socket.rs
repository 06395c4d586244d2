//! Listeners of servers (gRFC A36).

use std::collections::HashSet;
use std::sync::Arc;

use mesh_core::config::{ServerChain, ServerHttp, ServerListener, ServerRouteSource, ServerRoutes};
use xds_proto::envoy::config::listener::v3::filter::ConfigType;
use xds_proto::envoy::config::listener::v3::{self as proto, Filter, Listener};

use crate::resource::extension::Extension;
use crate::resource::invalid::{Checked, Invalid, Within};
use crate::resource::transport_socket::{self, Side};
use crate::resource::{Decoding, fields};

use super::{ApiListener, RouteSource, SocketListener, chain_match, connection_manager};

/// LDS-13 to LDS-20
pub(super) fn read(listener: &Listener, context: &Decoding<'_>) -> Checked<SocketListener> {
    // LDS-13
    if !listener.listener_filters.is_empty() {
        return Err(Invalid::at("listener_filters", "must be empty"));
    }
    if listener.use_original_dst.is_some_and(|use_it| use_it.value) {
        return Err(Invalid::at("use_original_dst", "must be false"));
    }
    // LDS-14
    let address = fields::ip_and_port(listener.address.as_ref()).within("address")?;
    // LDS-16
    if listener.filter_chains.is_empty() && listener.default_filter_chain.is_none() {
        return Err(Invalid::at("filter_chains", "there is no filter chain and no default_filter_chain"));
    }
    let mut chains: Vec<Arc<ServerChain>> = Vec::with_capacity(listener.filter_chains.len());
    for (index, chain) in listener.filter_chains.iter().enumerate() {
        let read = || -> Checked<ServerChain> {
            let read = filter_chain(chain, context)?;
            let matches =
                chain_match::read(chain.filter_chain_match.as_ref()).within("filter_chain_match")?;
            Ok(read.matching(matches))
        };
        let this = read().within_element("filter_chains", index)?;
        // LDS-17: chains that can never match are compared too.
        if let Some(other) = chains.iter().position(|other| other.matches.overlaps(&this.matches)) {
            let reason = format!("matches the same connections as filter_chains[{other}]");
            return Err(Invalid::at("filter_chain_match", reason)).within_element("filter_chains", index);
        }
        chains.push(Arc::new(this));
    }
    let default = listener.default_filter_chain.as_ref();
    let default =
        default.map(|chain| filter_chain(chain, context).within("default_filter_chain")).transpose()?;
    let mut read = ServerListener::default();
    read.address = Some(address);
    read.chains = chains;
    read.default_chain = default.map(Arc::new);
    Ok(SocketListener { listener: Arc::new(read) })
}

fn filter_chain(chain: &proto::FilterChain, context: &Decoding<'_>) -> Checked<ServerChain> {
    let tls = transport_socket::downstream(chain.transport_socket.as_ref(), context)?;
    // LDS-15
    let mut names = HashSet::new();
    if let Some(index) = chain.filters.iter().position(|filter| !names.insert(filter.name.as_str())) {
        return Err(Invalid::at("name", "is used twice")).within_element("filters", index);
    }
    let mut manager = None;
    for (index, filter) in chain.filters.iter().enumerate() {
        let mut read = || match index + 1 < chain.filters.len() && is_connection_manager(filter)? {
            true => Err(Invalid::new("the HTTP connection manager must be the last filter")),
            false => network_filter(filter, context).map(|read| manager = Some(read)),
        };
        read().within_element("filters", index)?;
    }
    let manager = manager.ok_or_else(|| Invalid::at("filters", "expected an HTTP connection manager"))?;
    let mut read = ServerChain::new(ServerRoutes::default());
    // LDS-21
    read.name = (!chain.name.is_empty()).then(|| chain.name.as_str().into());
    read.tls = tls;
    let routes = match manager.routes {
        RouteSource::Rds(name) => ServerRouteSource::Named(name),
        RouteSource::Inline(routes) => ServerRouteSource::Inline(Arc::new(routes.for_servers())),
    };
    read.http = ServerHttp::new(routes, manager.filters);
    read.http.max_stream_duration = manager.max_stream_duration;
    Ok(read)
}

fn is_connection_manager(filter: &Filter) -> Checked<bool> {
    match &filter.config_type {
        Some(ConfigType::TypedConfig(any)) => {
            Ok(Extension::of(any).within("typed_config")?.type_name() == connection_manager::TYPE)
        }
        _ => Ok(false),
    }
}

/// The HTTP connection manager is the only known kind.
fn network_filter(filter: &Filter, context: &Decoding<'_>) -> Checked<ApiListener> {
    let Some(ConfigType::TypedConfig(any)) = &filter.config_type else {
        return Err(Invalid::at("typed_config", "must be set"));
    };
    let read = || {
        let extension = Extension::of(any)?;
        match extension.type_name() {
            connection_manager::TYPE => {
                connection_manager::read(&extension.message()?, Side::Server, context)
            }
            other => Err(Invalid::new(format!("type {other:?} is not supported"))),
        }
    };
    read().within("typed_config")
}
