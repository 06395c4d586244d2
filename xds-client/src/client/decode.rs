//! A response as the wire has it becomes one that the protocol understands.

use envoy_types::pb::envoy::service::discovery::v3::DiscoveryResponse;
use envoy_types::pb::google::protobuf::Any;

use crate::protocol::{Received, Rejected, Response};
use crate::resource::{
    ClusterType, DecodeContext, DecodeError, EndpointsType, ListenerType, ResourceType,
    RouteConfigurationType, Unwrapped, decode,
};

/// Decodes every resource. Lets other tasks run in between: a large response takes a while.
///
/// A type that nobody here knows has never been asked for, so its resources are not even looked at (TR-08).
pub(super) async fn decode_response(context: &DecodeContext, response: DiscoveryResponse) -> Response {
    let DiscoveryResponse { version_info, resources, type_url, nonce, .. } = response;
    let known = TYPES.into_iter().find(|known| known.type_url() == type_url);
    let mut decoded = Vec::with_capacity(resources.len());
    let mut since_yield = 0;
    if let Some(known) = known {
        for any in resources {
            since_yield += any.value.len();
            decoded.push(decode_resource(known, context, any));
            if since_yield > YIELD_AFTER {
                since_yield = 0;
                tokio::task::yield_now().await;
            }
        }
    }
    Response { type_url, version: version_info, nonce, resources: decoded }
}

fn decode_resource(
    resource_type: &dyn ResourceType,
    context: &DecodeContext,
    any: Any,
) -> Result<Received, Rejected> {
    match decode(resource_type, context, any) {
        Ok(Unwrapped::Resource(decoded)) => {
            Ok(Received { name: decoded.name, resource: decoded.value, bytes: decoded.bytes })
        }
        Ok(Unwrapped::Heartbeat { name, .. }) => {
            Err(Rejected { name: Some(name), reason: "a resource is missing".to_owned() })
        }
        Err(DecodeError { name, field, reason, .. }) => {
            let reason = if field.is_empty() { reason } else { format!("{field}: {reason}") };
            Err(Rejected { name, reason })
        }
    }
}

const TYPES: [&dyn ResourceType; 4] = [&ListenerType, &RouteConfigurationType, &ClusterType, &EndpointsType];

/// Bytes decoded without a break.
const YIELD_AFTER: usize = 64 << 10;
