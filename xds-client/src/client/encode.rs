//! Turns a request of the protocol into a request of the wire.

use mesh_core::config::Name;
use xds_proto::envoy::config::core::v3 as core;
use xds_proto::envoy::service::discovery::v3::{DeltaDiscoveryRequest, DiscoveryRequest};
use xds_proto::google::rpc;

use crate::protocol::{Interest, Request};
use crate::transport::AdsRequest;

/// The request, with the node if it is the first of its stream.
pub(super) fn encode(request: Request, node: &core::Node) -> AdsRequest {
    let Request { type_url, nonce: response_nonce, error, with_node, interest } = request;
    let (type_url, node) = (type_url.to_owned(), with_node.then(|| node.clone()));
    let error_detail =
        error.map(|message| rpc::Status { code: INVALID_ARGUMENT, message, details: Vec::new() });
    match interest {
        Interest::Full { names, version } => AdsRequest::Sotw(DiscoveryRequest {
            version_info: version,
            node,
            resource_names: texts(&names),
            type_url,
            response_nonce,
            error_detail,
            ..DiscoveryRequest::default()
        }),
        Interest::Change { subscribe, unsubscribe, initial_versions } => {
            let versions = initial_versions.into_iter();
            AdsRequest::Delta(DeltaDiscoveryRequest {
                node,
                type_url,
                resource_names_subscribe: texts(&subscribe),
                resource_names_unsubscribe: texts(&unsubscribe),
                initial_resource_versions: versions
                    .map(|(name, version)| (name.to_string(), version.to_string()))
                    .collect(),
                response_nonce,
                error_detail,
                ..DeltaDiscoveryRequest::default()
            })
        }
    }
}

fn texts(names: &[Name]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

// TR-06
const INVALID_ARGUMENT: i32 = 3;
