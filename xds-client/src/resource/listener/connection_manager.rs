//! The HTTP connection manager: routes, filters and stream limits.

use std::sync::Arc;

use xds_proto::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
use xds_proto::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::RouteSpecifier;

use crate::resource::invalid::{Checked, Invalid, Within};
use crate::resource::transport_socket::Side;
use crate::resource::{Decoding, fields, filter, route};

use super::{ApiListener, RouteSource};

/// The message's full name.
pub(super) const TYPE: &str =
    "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";

/// Validates a connection manager of either side.
pub(super) fn read(
    manager: &HttpConnectionManager,
    side: Side,
    context: &Decoding<'_>,
) -> Checked<ApiListener> {
    // LDS-04
    if manager.xff_num_trusted_hops != 0 {
        return Err(Invalid::at("xff_num_trusted_hops", "must be 0"));
    }
    if !manager.original_ip_detection_extensions.is_empty() {
        return Err(Invalid::at("original_ip_detection_extensions", "must be empty"));
    }
    // LDS-05, RT-33: zero is no limit.
    let options = manager.common_http_protocol_options.as_ref();
    let limit = options.and_then(|options| options.max_stream_duration.as_ref());
    let limit = fields::optional_duration(limit, "common_http_protocol_options.max_stream_duration")?;
    let filters = filter::chain(&manager.http_filters, side, context)?.into();
    let routes = route_source(manager.route_specifier.as_ref(), context)?;
    Ok(ApiListener { routes, max_stream_duration: limit.filter(|limit| !limit.is_zero()), filters })
}

// LDS-03
fn route_source(specifier: Option<&RouteSpecifier>, context: &Decoding<'_>) -> Checked<RouteSource> {
    match specifier {
        Some(RouteSpecifier::Rds(rds)) => {
            fields::same_server(rds.config_source.as_ref()).within("rds.config_source")?;
            match rds.route_config_name.as_str() {
                "" => Err(Invalid::at("rds.route_config_name", "must not be empty")),
                name => Ok(RouteSource::Rds(name.into())),
            }
        }
        Some(RouteSpecifier::RouteConfig(config)) => {
            let routes = route::read(config, context).within("route_config")?;
            Ok(RouteSource::Inline(Arc::new(routes)))
        }
        Some(RouteSpecifier::ScopedRoutes(_)) => Err(Invalid::at("scoped_routes", "is not supported")),
        None => Err(Invalid::new("expected rds or route_config")),
    }
}
