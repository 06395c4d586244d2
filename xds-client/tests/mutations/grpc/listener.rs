//! Listeners of clients (gRFC A27, A39, A41). For servers only what needs no look at filter chains.

use std::collections::BTreeSet;

use prost::Message;
use xds_proto::envoy::config::core::v3::address::Address as Kind;
use xds_proto::envoy::config::listener::v3::Listener;
use xds_proto::envoy::extensions::filters::network::http_connection_manager::v3 as hcm;
use xds_proto::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::RouteSpecifier;

use super::{Verdict, ads_or_self, expect, extension_type, route, type_name};

pub(crate) fn verdict(listener: &Listener) -> Verdict {
    expect(!listener.name.is_empty(), "empty name")?;
    let Some(api) = &listener.api_listener else { return server(listener) };
    let any = api.api_listener.as_ref().ok_or("no connection manager")?;
    let manager = hcm::HttpConnectionManager::NAME;
    expect(type_name(any) == manager, "no connection manager")?;
    let manager = hcm::HttpConnectionManager::decode(&*any.value).map_err(|_| "connection manager")?;
    expect(manager.xff_num_trusted_hops == 0, "trusted hops")?;
    expect(manager.original_ip_detection_extensions.is_empty(), "detection of original addresses")?;
    match &manager.route_specifier {
        Some(RouteSpecifier::Rds(rds)) => {
            expect(ads_or_self(rds.config_source.as_ref()), "source of routes")?;
            expect(!rds.route_config_name.is_empty(), "name of routes")?;
        }
        Some(RouteSpecifier::RouteConfig(config)) => route::inline(config)?,
        Some(RouteSpecifier::ScopedRoutes(_)) | None => return Err("route specifier"),
    }
    filters(&manager.http_filters)
}

/// Of all filters, the router alone is known to every client.
fn filters(filters: &[hcm::HttpFilter]) -> Verdict {
    let (mut names, mut kept) = (BTreeSet::new(), Vec::new());
    for filter in filters {
        expect(!filter.name.is_empty(), "filter without a name")?;
        expect(names.insert(&filter.name), "filter twice")?;
        let config = match &filter.config_type {
            Some(hcm::http_filter::ConfigType::TypedConfig(any)) => extension_type(any)?,
            _ => String::new(),
        };
        let is_router = config == "envoy.extensions.filters.http.router.v3.Router";
        expect(is_router || filter.is_optional, "filter of an unknown type")?;
        if is_router {
            kept.push(());
        }
    }
    expect(kept.len() == 1, "one terminal filter, at the end")
}

fn server(listener: &Listener) -> Verdict {
    expect(listener.listener_filters.is_empty(), "listener filters")?;
    let original = listener.use_original_dst.is_some_and(|original| original.value);
    expect(!original, "use_original_dst")?;
    let address = listener.address.as_ref().and_then(|address| address.address.as_ref());
    expect(matches!(address, Some(Kind::SocketAddress(_))), "address of a server")?;
    let chains = &listener.filter_chains;
    expect(!chains.is_empty() || listener.default_filter_chain.is_some(), "filter chains")
}

trait Named {
    const NAME: &'static str;
}

impl Named for hcm::HttpConnectionManager {
    const NAME: &'static str =
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
}
