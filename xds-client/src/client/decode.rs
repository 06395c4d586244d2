//! Turns a response of the wire into a response of the protocol.

use std::sync::Arc;

use mesh_core::config::Name;
use xds_proto::envoy::service::discovery::v3 as discovery;

use crate::protocol::{Heartbeat, Received, Rejected, Response, ServerError};
use crate::resource::{
    ClusterType, DecodeContext, DecodeError, EndpointCollectionType, EndpointsType, LbEndpointType,
    ListenerType, ResourceType, RouteConfigurationType, Unwrapped, decode, decode_wrapped,
};
use crate::transport::AdsResponse;

/// The known types of resources, ours and users'.
#[derive(Debug, Clone)]
pub(super) struct Types(Vec<Arc<dyn ResourceType>>);

impl Default for Types {
    fn default() -> Self {
        Self(vec![
            Arc::new(ListenerType),
            Arc::new(RouteConfigurationType),
            Arc::new(ClusterType),
            Arc::new(EndpointsType),
            Arc::new(EndpointCollectionType),
            Arc::new(LbEndpointType),
        ])
    }
}

impl Types {
    pub(super) fn find(&self, type_url: &str) -> Option<&Arc<dyn ResourceType>> {
        self.0.iter().find(|known| known.type_url() == type_url)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<dyn ResourceType>> {
        self.0.iter()
    }

    /// Adds a type, unless there is one for the same type URL.
    pub(super) fn add(&mut self, resource_type: Arc<dyn ResourceType>) {
        if self.find(resource_type.type_url()).is_none() {
            self.0.push(resource_type);
        }
    }
}

/// Runs `work` on a thread for blocking work and waits for it: decoding a resource can take a second, during which the
/// runtime's workers must serve the application's calls and timers.
///
/// Paused time does not advance meanwhile.
pub(super) async fn off_workers<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is ending, and this task with it.
            Err(_) => std::future::pending().await,
        },
    }
}

/// Decodes every resource.
///
/// A type that the client does not know has never been subscribed to, so its resources are not decoded (TR-08).
pub(super) fn decode_response(types: &Types, context: &DecodeContext, response: AdsResponse) -> Response {
    match response {
        AdsResponse::Sotw(response) => {
            let discovery::DiscoveryResponse { version_info, resources, type_url, nonce, .. } = response;
            let errors = response.resource_errors.into_iter().filter_map(server_error).collect();
            let mut decoded =
                Response { type_url, version: version_info, nonce, errors, ..Response::default() };
            if let Some(known) = types.find(&decoded.type_url).cloned() {
                collect(&mut decoded, resources, |any| decode(&*known, context, any));
            }
            decoded
        }
        AdsResponse::Delta(response) => {
            let discovery::DeltaDiscoveryResponse { resources, type_url, nonce, .. } = response;
            let mut removed: Vec<Name> =
                response.removed_resources.iter().map(|name| name.as_str().into()).collect();
            removed.extend(response.removed_resource_names.iter().map(|known| known.name.as_str().into()));
            let errors = response.resource_errors.into_iter().filter_map(server_error).collect();
            let mut decoded = Response { type_url, nonce, removed, errors, ..Response::default() };
            if let Some(known) = types.find(&decoded.type_url).cloned() {
                let decode = |wrapper: discovery::Resource| {
                    let aliases = wrapper.aliases.iter().map(|alias| alias.as_str().into()).collect();
                    let decoded = decode_wrapped(&*known, context, wrapper);
                    (decoded, aliases)
                };
                collect_named(&mut decoded, resources, decode);
            }
            decoded
        }
    }
}

fn collect<E>(into: &mut Response, entries: Vec<E>, decode: impl Fn(E) -> Result<Unwrapped, DecodeError>) {
    collect_named(into, entries, |entry| (decode(entry), Vec::new()));
}

fn collect_named<E>(
    into: &mut Response,
    entries: Vec<E>,
    decode: impl Fn(E) -> (Result<Unwrapped, DecodeError>, Vec<Name>),
) {
    for entry in entries {
        let (decoded, aliases) = decode(entry);
        match decoded {
            Ok(Unwrapped::Resource(decoded)) => into.resources.push(Ok(Received {
                name: decoded.name,
                aliases,
                version: (!decoded.version.is_empty()).then(|| decoded.version.as_str().into()),
                ttl: decoded.ttl,
                resource: decoded.value,
                bytes: decoded.bytes,
            })),
            Ok(Unwrapped::Heartbeat { name, version, ttl }) => {
                into.heartbeats.push(Heartbeat { name, version: version.into(), ttl });
            }
            Err(DecodeError { name, field, reason, .. }) => {
                let reason = if field.is_empty() { reason } else { format!("{field}: {reason}") };
                into.resources.push(Err(Rejected { name, reason }));
            }
        }
    }
}

// TR-30
fn server_error(error: discovery::ResourceError) -> Option<ServerError> {
    let name = error.resource_name?.name;
    let detail = error.error_detail.unwrap_or_default();
    (!name.is_empty()).then(|| ServerError { name: name.into(), code: detail.code, message: detail.message })
}
