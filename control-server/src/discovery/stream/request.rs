//! A request of either variant of the protocol, as the state machine reads it.

use std::collections::HashMap;

use xds_proto::envoy::config::core::v3::Node;
use xds_proto::envoy::service::discovery::v3::{DeltaDiscoveryRequest, DiscoveryRequest};

use super::limits::Refusal;

/// A request of either variant.
#[derive(Debug)]
pub(in crate::discovery) struct Request {
    pub(super) node: Option<Node>,
    pub(super) type_url: String,
    pub(super) nonce: String,
    /// The text of `error_detail`.
    pub(super) refusal: Option<String>,
    pub(super) ask: Ask,
    /// The limit that the request exceeds; it has no other content then.
    pub(super) excess: Option<Refusal>,
}

/// The subscriptions of a request.
#[derive(Debug)]
pub(super) enum Ask {
    /// SotW: all names, and the version accepted last.
    Whole { names: Vec<String>, version: String },
    /// Delta: changes, and in the first request the resources that the client has, name to version.
    Change { subscribe: Vec<String>, unsubscribe: Vec<String>, holds: HashMap<String, String> },
}

impl Request {
    /// A request that was not decoded.
    pub(in crate::discovery) fn refused(excess: Refusal) -> Self {
        Self { excess: Some(excess), ..DiscoveryRequest::default().into() }
    }
}

impl From<DiscoveryRequest> for Request {
    fn from(request: DiscoveryRequest) -> Self {
        Self {
            node: request.node,
            type_url: request.type_url,
            nonce: request.response_nonce,
            refusal: request.error_detail.map(|status| clip(status.message, MAX_REASON)),
            ask: Ask::Whole { names: request.resource_names, version: request.version_info },
            excess: None,
        }
    }
}

impl From<DeltaDiscoveryRequest> for Request {
    fn from(request: DeltaDiscoveryRequest) -> Self {
        Self {
            node: request.node,
            type_url: request.type_url,
            nonce: request.response_nonce,
            refusal: request.error_detail.map(|status| clip(status.message, MAX_REASON)),
            ask: Ask::Change {
                subscribe: request.resource_names_subscribe,
                unsubscribe: request.resource_names_unsubscribe,
                holds: request.initial_resource_versions,
            },
            excess: None,
        }
    }
}

impl Ask {
    /// The number of names.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Whole { names, .. } => names.len(),
            Self::Change { subscribe, unsubscribe, .. } => subscribe.len() + unsubscribe.len(),
        }
    }
}

/// The longest prefix of at most `limit` bytes.
pub(super) fn clip(mut text: String, limit: usize) -> String {
    text.truncate(text.floor_char_boundary(limit));
    text
}

const MAX_REASON: usize = 4096;
