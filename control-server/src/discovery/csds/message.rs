//! A client as a CSDS message.

use std::time::{Instant, SystemTime};

use xds_proto::envoy::admin::v3::{ClientResourceStatus, UpdateFailureState};
use xds_proto::envoy::config::core::v3::Node;
use xds_proto::envoy::service::status::v3::client_config::GenericXdsConfig;
use xds_proto::envoy::service::status::v3::{ClientConfig, ConfigStatus};
use xds_proto::google::protobuf::{Any, Timestamp};

use crate::discovery::config::ConfigState;
use crate::discovery::stream::Entry;

/// This moment on both clocks: streams have only the monotonic one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) instant: Instant,
    pub(super) wall: SystemTime,
}

/// Whether the answer includes the resources themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Contents {
    Told,
    Left,
}

/// One stream of a client; the scope is its number in the admin API.
pub(super) fn client(
    now: Moment,
    id: u64,
    node: Option<&Node>,
    entries: &[Entry],
    contents: Contents,
) -> ClientConfig {
    ClientConfig {
        node: node.cloned(),
        generic_xds_configs: entries.iter().map(|entry| resource(now, entry, contents)).collect(),
        client_scope: format!("ads/{id}"),
        ..ClientConfig::default()
    }
}

fn resource(now: Moment, entry: &Entry, contents: Contents) -> GenericXdsConfig {
    let type_url = || entry.kind.type_url().to_owned();
    let any = entry
        .resource
        .as_ref()
        .filter(|_| contents == Contents::Told)
        .map(|resource| Any { type_url: type_url(), value: resource.bytes.to_vec() });
    let version = entry.version.as_ref().or(entry.accepted.as_ref());
    let sent = entry.sent.and_then(|sent| timestamp(now, sent));
    let error_state = (entry.state == ConfigState::Error).then(|| UpdateFailureState {
        last_update_attempt: sent,
        details: entry.reason.as_deref().unwrap_or_default().to_owned(),
        version_info: entry.version.as_deref().unwrap_or_default().to_owned(),
        ..UpdateFailureState::default()
    });
    GenericXdsConfig {
        type_url: type_url(),
        name: entry.name.as_ref().to_owned(),
        version_info: version.map(|version| version.as_ref().to_owned()).unwrap_or_default(),
        xds_config: any,
        last_updated: sent,
        config_status: config_status(entry.state).into(),
        client_status: client_status(entry).into(),
        error_state,
        is_static_resource: false,
    }
}

fn config_status(state: ConfigState) -> ConfigStatus {
    match state {
        ConfigState::Synced => ConfigStatus::Synced,
        ConfigState::NotSent => ConfigStatus::NotSent,
        ConfigState::Stale => ConfigStatus::Stale,
        ConfigState::Error => ConfigStatus::Error,
    }
}

/// The state that the client itself would report, as far as this server knows it.
fn client_status(entry: &Entry) -> ClientResourceStatus {
    match entry.state {
        ConfigState::Synced => ClientResourceStatus::Acked,
        ConfigState::Error => ClientResourceStatus::Nacked,
        ConfigState::NotSent if entry.is_missing => ClientResourceStatus::DoesNotExist,
        ConfigState::NotSent | ConfigState::Stale => ClientResourceStatus::Requested,
    }
}

fn timestamp(now: Moment, at: Instant) -> Option<Timestamp> {
    let wall = now.wall.checked_sub(now.instant.saturating_duration_since(at))?;
    let wall = jiff::Timestamp::try_from(wall).ok().filter(|wall| *wall >= jiff::Timestamp::UNIX_EPOCH)?;
    Some(Timestamp { seconds: wall.as_second(), nanos: wall.subsec_nanosecond() })
}
