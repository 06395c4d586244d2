//! What holds for every type: wrapping, names, types, panics.

use std::sync::Arc;

use bytes::Bytes;
use envoy_types::pb::envoy::config::cluster::v3::Cluster as ProtoCluster;
use envoy_types::pb::envoy::config::endpoint::v3::ClusterLoadAssignment as ProtoAssignment;
use envoy_types::pb::envoy::config::listener::v3::Listener as ProtoListener;
use envoy_types::pb::envoy::config::route::v3::RouteConfiguration as ProtoRoutes;
use envoy_types::pb::envoy::service::discovery::v3::Resource;
use envoy_types::pb::google::protobuf::Any;
use mesh_core::config::{EndpointSet, Name};
use proptest::prelude::*;
use prost::Message;

use super::testing::{broken_any, pack_any};
use super::*;

const TYPES: [&dyn ResourceType; 4] = [&ListenerType, &RouteConfigurationType, &ClusterType, &EndpointsType];

fn endpoints(name: &str) -> ProtoAssignment {
    ProtoAssignment { cluster_name: name.into(), ..Default::default() }
}

fn decode_endpoints(any: Any) -> Result<Decoded, DecodeError> {
    decode(&EndpointsType, &DecodeContext::default(), any)
}

/// Proves: TR-17.
#[test]
fn bare_and_wrapped_resources_are_the_same() {
    let bare = decode_endpoints(pack_any(endpoints("a"))).unwrap();
    let wrapper =
        Resource { name: "a".into(), resource: Some(pack_any(endpoints("a"))), ..Default::default() };
    let wrapped = decode_endpoints(pack_any(wrapper)).unwrap();
    for decoded in [bare, wrapped] {
        assert_eq!(&*decoded.name, "a");
        assert_eq!(decoded.bytes, endpoints("a").encode_to_vec());
        assert_eq!(*decoded.value.downcast::<EndpointSet>().unwrap(), EndpointSet::default());
    }
    let other = || pack_any(ProtoCluster { name: "a".into(), ..Default::default() });
    let wrapped = pack_any(Resource { resource: Some(other()), ..Default::default() });
    let twice = pack_any(Resource {
        resource: Some(pack_any(Resource { resource: Some(pack_any(endpoints("a"))), ..Default::default() })),
        ..Default::default()
    });
    let rows = [
        (other(), "found \"type.googleapis.com/envoy.config.cluster.v3.Cluster\""),
        (wrapped, "found \"type.googleapis.com/envoy.config.cluster.v3.Cluster\""),
        (twice, "found \"type.googleapis.com/envoy.service.discovery.v3.Resource\""),
        (Any::default(), "found \"\""),
        (pack_any(Resource::default()), "without a resource"),
        (broken_any::<Resource>(), "envoy.service.discovery.v3.Resource: "),
    ];
    for (any, reason) in rows {
        let error = decode_endpoints(any).unwrap_err();
        assert!(error.reason.contains(reason), "{error}");
        assert_eq!((error.type_name, error.name), ("ClusterLoadAssignment", None));
    }
}

/// Proves: RV-01.
#[test]
fn resources_without_a_name_or_with_broken_bytes_cannot_be_attributed() {
    for (resource_type, field) in TYPES.into_iter().zip(["name", "name", "name", "cluster_name"]) {
        let error = resource_type.decode(&DecodeContext::default(), &Bytes::new()).unwrap_err();
        assert_eq!((error.name.clone(), error.field.as_str()), (None, field));
        assert!(error.to_string().ends_with(&format!(" (no name): {field}: must not be empty")), "{error}");
        let broken = Any { type_url: resource_type.type_url().into(), value: vec![0xff; 3] };
        let error = decode(resource_type, &DecodeContext::default(), broken).unwrap_err();
        assert_eq!((error.name, error.field.as_str()), (None, ""));
    }
    let urls = [
        "type.googleapis.com/envoy.config.listener.v3.Listener",
        "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
        "type.googleapis.com/envoy.config.cluster.v3.Cluster",
        "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
    ];
    assert_eq!(TYPES.map(ResourceType::type_url), urls);
    assert_eq!(TYPES.map(ResourceType::is_full_state), [true, false, true, false]);
}

#[derive(Debug)]
struct Panicking;

impl ResourceType for Panicking {
    fn type_url(&self) -> &'static str {
        "type.googleapis.com/example.Panicking"
    }

    fn is_full_state(&self) -> bool {
        false
    }

    fn decode(&self, _: &DecodeContext, bytes: &Bytes) -> Result<(Name, AnyResource), DecodeError> {
        assert!(!bytes.is_empty(), "there are {} bytes", bytes.len());
        Ok(("name".into(), Arc::new(())))
    }
}

/// Proves: RV-04.
#[test]
fn panic_in_a_decoder_refuses_the_resource() {
    let any = |value| Any { type_url: Panicking.type_url().into(), value };
    let error = decode(&Panicking, &DecodeContext::default(), any(vec![])).unwrap_err();
    assert_eq!(error.to_string(), "Panicking (no name): the decoder panicked: there are 0 bytes");
    assert!(decode(&Panicking, &DecodeContext::default(), any(vec![1])).is_ok());
}

/// Proves: RV-03.
#[test]
fn context_holds_the_server_and_the_bootstrap_and_nothing_of_the_application() {
    use crate::bootstrap::{Bootstrap, ChannelCredentials, ServerConfig, ServerFeatures, TlsCredentials};
    let features = ServerFeatures { trusted_xds_server: true, ..Default::default() };
    let servers = [ChannelCredentials::Insecure, ChannelCredentials::Tls(TlsCredentials::default())]
        .map(|credentials| ServerConfig::new("a:1", credentials).with_features(features));
    let bootstrap = Bootstrap::builder().server(servers[0].clone()).build().unwrap();
    let contexts = servers.map(|server| {
        let DecodeContext { trusted_server, certificate_providers, guards } =
            DecodeContext::new(&bootstrap, &server);
        (trusted_server, certificate_providers, guards)
    });
    assert_eq!(contexts[0], contexts[1]);
    assert!(contexts[0].0);
}

/// Messages that decode, as seeds for changes.
fn seeds() -> Vec<(&'static dyn ResourceType, Vec<u8>)> {
    let listeners: [ProtoListener; 2] = [super::listener::samples::api(), super::listener::samples::socket()];
    let routes: ProtoRoutes = super::route::samples::full();
    let clusters: [ProtoCluster; 2] = [super::cluster::samples::eds(), super::cluster::samples::everything()];
    let assignment: ProtoAssignment = super::endpoint::samples::two_priorities();
    let mut seeds: Vec<(&'static dyn ResourceType, Vec<u8>)> =
        vec![(&RouteConfigurationType, routes.encode_to_vec()), (&EndpointsType, assignment.encode_to_vec())];
    seeds.extend(listeners.map(|listener| (&ListenerType as _, listener.encode_to_vec())));
    seeds.extend(clusters.map(|cluster| (&ClusterType as _, cluster.encode_to_vec())));
    seeds
}

#[test]
fn seeds_are_valid() {
    for (resource_type, bytes) in seeds() {
        resource_type.decode(&DecodeContext::default(), &bytes.into()).unwrap();
    }
}

/// Proves: RV-02.
#[test]
fn fields_that_are_not_known_are_ignored() {
    // Field 5000, the number 1; as a member of any message, or of a oneof that has no other member set.
    const UNKNOWN: [u8; 4] = [0xc0, 0xb8, 0x02, 0x01];
    for (resource_type, mut bytes) in seeds() {
        bytes.extend(UNKNOWN);
        resource_type.decode(&DecodeContext::default(), &bytes.into()).unwrap();
    }
    let cluster = super::cluster::samples::everything();
    let mut changed = cluster.clone();
    changed.connect_timeout = super::testing::seconds(-1);
    changed.alt_stat_name = "other".into();
    changed.close_connections_on_host_health_failure = true;
    let read = |cluster: &ProtoCluster| -> Arc<Cluster> {
        super::testing::decode(&ClusterType, &DecodeContext::default(), cluster).unwrap()
    };
    assert_eq!(read(&changed), read(&cluster));
    let unset = ProtoCluster { cluster_discovery_type: None, ..cluster };
    let mut unknown_type = unset.encode_to_vec();
    unknown_type.extend(UNKNOWN);
    let error = ClusterType.decode(&DecodeContext::default(), &unknown_type.into()).unwrap_err();
    assert!(error.reason.ends_with("found STATIC"), "{error}");
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        for resource_type in TYPES {
            let _ = resource_type.decode(&DecodeContext::default(), &bytes.clone().into());
        }
    }

    #[test]
    fn changed_resources_never_panic(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
        keep_length in any::<bool>(),
    ) {
        let context = DecodeContext { trusted_server: true, ..Default::default() };
        for (resource_type, mut bytes) in seeds() {
            for (index, value) in &changes {
                let at = index.index(bytes.len());
                bytes[at] = *value;
            }
            if !keep_length {
                bytes.truncate(cut.index(bytes.len()));
            }
            let _ = resource_type.decode(&context, &bytes.into());
        }
    }
}
