//! Sessions (gRFC A55), for mesh-tonic and Envoy.

use xds_proto::envoy::config::core::v3::TypedExtensionConfig;
use xds_proto::envoy::config::route::v3::FilterConfig;
use xds_proto::envoy::extensions::filters::http::stateful_session::v3::stateful_session_per_route::Override;
use xds_proto::envoy::extensions::filters::http::stateful_session::v3::{
    StatefulSession, StatefulSessionPerRoute,
};
use xds_proto::envoy::extensions::filters::network::http_connection_manager::v3::HttpFilter;
use xds_proto::envoy::extensions::filters::network::http_connection_manager::v3::http_filter::ConfigType;
use xds_proto::envoy::extensions::http::stateful_session::cookie::v3::CookieBasedSessionState;
use xds_proto::envoy::extensions::http::stateful_session::header::v3::HeaderBasedSessionState;
use xds_proto::envoy::r#type::http::v3::Cookie;
use xds_proto::google::protobuf::Any;
use xds_proto::pack_any;

use super::route::duration;
use crate::kinds::session_persistence::Session;

/// The filter of a listener, which keeps only the sessions of routes.
pub(super) fn filter() -> HttpFilter {
    HttpFilter {
        name: NAME.to_owned(),
        config_type: Some(ConfigType::TypedConfig(pack_any(StatefulSession::default()))),
        ..HttpFilter::default()
    }
}

/// The entry of a route's `typed_per_filter_config`. Optional, for all clients get the routes, but only those that know the filter
/// have it in the listener.
pub(super) fn of_route(session: &Session) -> (String, Any) {
    let session = StatefulSession { session_state: Some(state(session)), ..StatefulSession::default() };
    let message = StatefulSessionPerRoute { r#override: Some(Override::StatefulSession(session)) };
    let config =
        FilterConfig { config: Some(pack_any(message)), is_optional: true, ..FilterConfig::default() };
    (NAME.to_owned(), pack_any(config))
}

fn state(session: &Session) -> TypedExtensionConfig {
    let (kind, config) = match session {
        Session::Cookie { name, path, lifetime } => {
            let cookie = Cookie { name: name.clone(), ttl: lifetime.map(duration), path: path.clone() };
            ("cookie", pack_any(CookieBasedSessionState { cookie: Some(cookie) }))
        }
        Session::Header(name) => ("header", pack_any(HeaderBasedSessionState { name: name.clone() })),
    };
    TypedExtensionConfig { name: format!("envoy.http.stateful_session.{kind}"), typed_config: Some(config) }
}

/// The name that routes override the filter by.
const NAME: &str = "envoy.filters.http.stateful_session";
