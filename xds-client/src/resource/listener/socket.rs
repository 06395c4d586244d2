//! Listeners of servers (gRFC A36): validated, so that an invalid one is refused on arrival.

use std::collections::HashSet;

use xds_proto::envoy::config::listener::v3::filter::ConfigType;
use xds_proto::envoy::config::listener::v3::{self as proto, Filter, Listener};

use crate::resource::extension::Extension;
use crate::resource::invalid::{Checked, Invalid, Within};
use crate::resource::transport_socket::{self, Side};
use crate::resource::{Decoding, fields};

use super::chain_match::ChainMatch;
use super::{ApiListener, FilterChain, SocketListener, connection_manager};

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
    fields::socket_address(listener.address.as_ref()).within("address")?;
    // LDS-16
    if listener.filter_chains.is_empty() && listener.default_filter_chain.is_none() {
        return Err(Invalid::at("filter_chains", "there is no filter chain and no default_filter_chain"));
    }
    let mut matches: Vec<ChainMatch<'_>> = Vec::new();
    let mut filter_chains = Vec::with_capacity(listener.filter_chains.len() + 1);
    for (index, chain) in listener.filter_chains.iter().enumerate() {
        let mut read = || {
            filter_chains.push(filter_chain(chain, context)?);
            ChainMatch::read(chain.filter_chain_match.as_ref()).within("filter_chain_match")
        };
        let this = read().within_element("filter_chains", index)?;
        // LDS-17: chains that can never match are compared too.
        if let Some(other) = matches.iter().position(|other| other.overlaps(&this)) {
            let reason = format!("matches the same connections as filter_chains[{other}]");
            return Err(Invalid::at("filter_chain_match", reason)).within_element("filter_chains", index);
        }
        matches.push(this);
    }
    if let Some(chain) = &listener.default_filter_chain {
        filter_chains.push(filter_chain(chain, context).within("default_filter_chain")?);
    }
    Ok(SocketListener { filter_chains })
}

fn filter_chain(chain: &proto::FilterChain, context: &Decoding<'_>) -> Checked<FilterChain> {
    transport_socket::plaintext(chain.transport_socket.as_ref(), Side::Server, context)?;
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
    // LDS-21
    let name = (!chain.name.is_empty()).then(|| chain.name.as_str().into());
    Ok(FilterChain { name, manager })
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
