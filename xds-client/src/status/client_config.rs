//! A status as a CSDS message.

use xds_proto::envoy::admin::v3::{ClientResourceStatus, UpdateFailureState};
use xds_proto::envoy::service::status::v3::ClientConfig;
use xds_proto::envoy::service::status::v3::client_config::GenericXdsConfig;
use xds_proto::google::protobuf::Any;

use super::clock::Clock;
use crate::bootstrap::Node;
use crate::client::Status;
use crate::protocol::{ResourceState, ResourceStatus};

/// TR-58, TR-61.
///
/// `client_scope` is empty: one client serves every target of its process and has no smaller scope.
pub(super) fn client_config(status: &Status, node: &Node, clock: Clock) -> ClientConfig {
    ClientConfig {
        node: Some(node.to_proto()),
        generic_xds_configs: status.resources.iter().map(|known| of_resource(known, clock)).collect(),
        ..ClientConfig::default()
    }
}

/// TR-59: the resource in use, and beside it the error of a later one.
fn of_resource(known: &ResourceStatus, clock: Clock) -> GenericXdsConfig {
    let type_url = || known.type_url.to_owned();
    GenericXdsConfig {
        type_url: type_url(),
        name: (*known.name).to_owned(),
        version_info: (*known.version).to_owned(),
        xds_config: known.bytes.as_ref().map(|bytes| Any { type_url: type_url(), value: bytes.to_vec() }),
        last_updated: known.updated.map(|at| clock.timestamp(at)),
        client_status: client_status(known.state).into(),
        error_state: error_state(known, clock),
        ..GenericXdsConfig::default()
    }
}

// TR-62
pub(super) fn client_status(state: ResourceState) -> ClientResourceStatus {
    match state {
        ResourceState::Requested => ClientResourceStatus::Requested,
        ResourceState::DoesNotExist => ClientResourceStatus::DoesNotExist,
        ResourceState::Acked => ClientResourceStatus::Acked,
        ResourceState::Nacked => ClientResourceStatus::Nacked,
        ResourceState::ReceivedError => ClientResourceStatus::ReceivedError,
        ResourceState::Timeout => ClientResourceStatus::Timeout,
    }
}

/// For states that are failures. A resource that does not exist is not a failure.
fn error_state(known: &ResourceStatus, clock: Clock) -> Option<UpdateFailureState> {
    let is_failure = match known.state {
        ResourceState::Nacked | ResourceState::ReceivedError | ResourceState::Timeout => true,
        ResourceState::Requested | ResourceState::DoesNotExist | ResourceState::Acked => false,
    };
    is_failure.then(|| UpdateFailureState {
        details: known.error.clone().unwrap_or_default(),
        version_info: known.rejected.as_ref().map(|(version, _)| (**version).to_owned()).unwrap_or_default(),
        last_update_attempt: known.rejected.as_ref().map(|(_, at)| clock.timestamp(*at)),
        ..UpdateFailureState::default()
    })
}
