//! Listeners: for clients the source of routes, for servers the accepted connections (gRFC A27, A36).

mod chain_match;
mod connection_manager;
#[cfg(test)]
pub(super) mod samples;
mod socket;
#[cfg(test)]
mod socket_tests;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mesh_core::config::{FilterInstance, Name, ServerListener};
use xds_proto::envoy::config::listener::v3 as proto;

use super::extension::Extension;
use super::invalid::{Checked, Invalid, Within};
use super::message::{self, Named, decode_message};
use super::transport_socket::Side;
use super::{AnyResource, DecodeContext, DecodeError, Decoding, ResourceType, RouteConfiguration};

/// `envoy.config.listener.v3.Listener`, decoded to [`Listener`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenerType;

/// A validated `envoy.config.listener.v3.Listener`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Listener {
    /// For clients (`api_listener`).
    Api(ApiListener),
    /// For servers.
    Socket(SocketListener),
}

/// An HTTP connection manager: all that a client reads from a listener.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ApiListener {
    /// The source of the routes.
    pub routes: RouteSource,
    /// Default for routes that set none; `None` is no limit.
    // LDS-05, RT-33
    pub max_stream_duration: Option<Duration>,
    /// In the order in which calls pass them, without the router.
    pub filters: Arc<[FilterInstance]>,
}

/// A server's listener.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SocketListener {
    /// Its filter chains, and the address that it is for.
    pub listener: Arc<ServerListener>,
}

/// The source of a listener's routes.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum RouteSource {
    /// In a route configuration of this name.
    Rds(Name),
    /// In the listener itself.
    Inline(Arc<RouteConfiguration>),
}

impl ResourceType for ListenerType {
    fn type_url(&self) -> &'static str {
        "type.googleapis.com/envoy.config.listener.v3.Listener"
    }

    fn is_full_state(&self) -> bool {
        true
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
        decode_message(self.type_url(), name, bytes, |message: proto::Listener| {
            listener(&message, &Decoding::new(context))
        })
    }
}

impl Named for proto::Listener {
    fn name(&self) -> &str {
        &self.name
    }
}

// LDS-01
fn listener(listener: &proto::Listener, context: &Decoding<'_>) -> Checked<Listener> {
    match &listener.api_listener {
        Some(api) => api_listener(api, context).within("api_listener").map(Listener::Api),
        None => socket::read(listener, context).map(Listener::Socket),
    }
}

fn api_listener(api: &proto::ApiListener, context: &Decoding<'_>) -> Checked<ApiListener> {
    let read = || {
        let any = api.api_listener.as_ref().ok_or_else(|| Invalid::new("must be set"))?;
        let extension = Extension::of(any)?;
        // LDS-02
        match extension.type_name() {
            connection_manager::TYPE => {
                connection_manager::read(&extension.message()?, Side::Client, context)
            }
            other => {
                Err(Invalid::new(format!("expected type {:?}, found {other:?}", connection_manager::TYPE)))
            }
        }
    };
    read().within("api_listener")
}
