//! Rules for every type: wrapping, names, types, panics.

use std::sync::Arc;

use bytes::Bytes;
use mesh_core::config::Name;
use proptest::prelude::*;
use prost::Message;
use xds_proto::envoy::config::cluster::v3::Cluster as ProtoCluster;
use xds_proto::envoy::config::endpoint::v3::ClusterLoadAssignment as ProtoAssignment;
use xds_proto::envoy::config::listener::v3::Listener as ProtoListener;
use xds_proto::envoy::config::route::v3::RouteConfiguration as ProtoRoutes;
use xds_proto::envoy::service::discovery::v3::Resource;
use xds_proto::google::protobuf::Any;

use super::testing::{broken_any, pack_any};
use super::*;

/// The four types with names in their messages, and the two without.
const TYPES: [&dyn ResourceType; 6] = [
    &ListenerType,
    &RouteConfigurationType,
    &ClusterType,
    &EndpointsType,
    &EndpointCollectionType,
    &LbEndpointType,
];

fn endpoints(name: &str) -> ProtoAssignment {
    ProtoAssignment { cluster_name: name.into(), ..Default::default() }
}

fn decode_endpoints(any: Any) -> Result<Unwrapped, DecodeError> {
    decode(&EndpointsType, &DecodeContext::default(), any)
}

#[track_caller]
fn resource(unwrapped: Result<Unwrapped, DecodeError>) -> Decoded {
    match unwrapped.unwrap() {
        Unwrapped::Resource(decoded) => decoded,
        other => panic!("{other:?}"),
    }
}

/// A wrapper around an assignment with the name `inner`.
fn wrapper(name: &str, inner: &str) -> Resource {
    Resource { name: name.into(), resource: Some(pack_any(endpoints(inner))), ..Default::default() }
}

/// Proves: TR-17.
#[test]
fn bare_and_wrapped_resources_are_the_same() {
    let bare = resource(decode_endpoints(pack_any(endpoints("a"))));
    let wrapped = resource(decode_endpoints(pack_any(wrapper("a", "a"))));
    let unnamed = resource(decode_endpoints(pack_any(wrapper("", "a"))));
    for decoded in [bare, wrapped, unnamed] {
        assert_eq!(&*decoded.name, "a");
        assert_eq!(decoded.bytes, endpoints("a").encode_to_vec());
        assert_eq!(
            *decoded.value.downcast::<ClusterLoadAssignment>().unwrap(),
            ClusterLoadAssignment::default()
        );
    }
    let other = || pack_any(ProtoCluster { name: "a".into(), ..Default::default() });
    let around = |any| pack_any(Resource { resource: Some(any), ..Default::default() });
    let rows = [
        (other(), "found \"type.googleapis.com/envoy.config.cluster.v3.Cluster\""),
        (around(other()), "found \"type.googleapis.com/envoy.config.cluster.v3.Cluster\""),
        (
            around(pack_any(wrapper("", "a"))),
            "found \"type.googleapis.com/envoy.service.discovery.v3.Resource\"",
        ),
        (Any::default(), "found \"\""),
        (pack_any(Resource::default()), "without a resource and a name"),
        (broken_any::<Resource>(), "envoy.service.discovery.v3.Resource: "),
    ];
    for (any, reason) in rows {
        let error = decode_endpoints(any).unwrap_err();
        assert!(error.reason.contains(reason), "{error}");
        assert_eq!((error.type_name, error.name), ("ClusterLoadAssignment", None));
    }
}

#[test]
fn names_from_outside_and_inside_are_the_same() {
    const TYPE: &str = "envoy.config.endpoint.v3.ClusterLoadAssignment";
    let [one, same, other] = ["a=1&b=2", "b=2&a=1", "a=2"].map(|id| format!("xdstp://x/{TYPE}/id?{id}"));
    let (one, same, other) = (one.as_str(), same.as_str(), other.as_str());
    let rows = [
        ("equal", "a", "a", Ok("a")),
        ("nothing from outside", "", "a", Ok("a")),
        ("another spelling", one, same, Ok(same)),
        ("another parameter", one, other, Err("cluster_name")),
        ("different", "a", "b", Err("cluster_name")),
        ("nothing inside", "a", "", Err("cluster_name")),
    ];
    for (row, outside, inside, expected) in rows {
        let context = DecodeContext::default();
        let named = decode_named(&EndpointsType, &context, outside, pack_any(endpoints(inside)));
        let wrapped = decode_endpoints(pack_any(wrapper(outside, inside)));
        for found in [named.map(Unwrapped::Resource), wrapped] {
            match expected {
                Ok(name) => assert_eq!(&*resource(found).name, name, "{row}"),
                Err(field) => {
                    let error = found.unwrap_err();
                    assert_eq!((error.name.as_deref(), &*error.field), (Some(outside), field), "{row}");
                }
            }
        }
    }
    // An error before the name can be read has the name from outside.
    for any in [broken_any::<ProtoAssignment>(), Any::default()] {
        let error = decode_named(&EndpointsType, &DecodeContext::default(), "a", any).unwrap_err();
        assert_eq!(error.name.as_deref(), Some("a"), "{error}");
    }
}

#[test]
fn wrappers_have_versions_and_times_to_live() {
    use std::time::Duration;
    let good = || Resource { version: "7".into(), ttl: super::testing::seconds(5), ..wrapper("a", "a") };
    let decoded = resource(decode_endpoints(pack_any(good())));
    assert_eq!((&*decoded.version, decoded.ttl), ("7", Some(Duration::from_secs(5))));
    let bare = resource(decode_endpoints(pack_any(endpoints("a"))));
    assert_eq!((&*bare.version, bare.ttl), ("", None));
    for (ttl, expected) in [(super::testing::seconds(5), Some(Duration::from_secs(5))), (None, None)] {
        let heartbeat = Resource { resource: None, ttl, ..good() };
        match decode_endpoints(pack_any(heartbeat)).unwrap() {
            Unwrapped::Heartbeat { name, version, ttl } => {
                assert_eq!((&*name, &*version, ttl), ("a", "7", expected));
            }
            other => panic!("{other:?}"),
        }
    }
    let negative = Resource { ttl: super::testing::seconds(-1), ..good() };
    let error = decode_endpoints(pack_any(negative)).unwrap_err();
    assert_eq!((error.name.as_deref(), &*error.field), (Some("a"), "ttl"));
}

#[test]
fn resources_that_are_too_large_are_refused_by_name_without_a_look() {
    let size = 1 << 10;
    let context = DecodeContext { max_resource_size: Some(size), ..Default::default() };
    let padded = |mut bytes: Vec<u8>, size: usize| {
        // Field 1000, which no message has, with the needed length; three bytes each for its tag and length.
        let rest = size - bytes.len() - 4;
        bytes.extend([0xc2, 0x3e, (rest & 0x7f) as u8 | 0x80, (rest >> 7) as u8]);
        bytes.resize(size, 0);
        bytes
    };
    let any = |value: Vec<u8>| Any { type_url: EndpointsType.type_url().into(), value };
    let at_limit = padded(endpoints("a").encode_to_vec(), size);
    resource(decode(&EndpointsType, &context, any(at_limit)));
    let above = padded(endpoints("a").encode_to_vec(), size + 1);
    let error = decode(&EndpointsType, &context, any(above.clone())).unwrap_err();
    assert_eq!(
        error.to_string(),
        "ClusterLoadAssignment a: its 1025 bytes are more than the limit of 1024 (Options::max_resource_size)"
    );
    let error = decode_named(&EndpointsType, &context, "b", any(above)).unwrap_err();
    assert_eq!(error.name.as_deref(), Some("b"));
    let error = decode(&EndpointsType, &context, any(vec![0xff; size + 1])).unwrap_err();
    assert_eq!(error.name, None);
    // An unknown field is no error in any of the four.
    for (resource_type, bytes) in seeds() {
        assert!(resource_type.peek_name(&bytes.into()).is_some(), "{resource_type:?}");
    }
    assert_eq!(LbEndpointType.peek_name(&vec![0x0a, 1, b'a'].into()), None);
}

/// Proves: RV-01.
#[test]
fn resources_without_a_name_or_with_broken_bytes_cannot_be_attributed() {
    let nameless = "has no name: it must be wrapped in envoy.service.discovery.v3.Resource";
    let empty = "must not be empty";
    let expected = [("name", empty), ("name", empty), ("name", empty), ("cluster_name", empty)];
    for (resource_type, (field, reason)) in
        TYPES.into_iter().zip(expected.into_iter().chain([("", nameless); 2]))
    {
        let error = resource_type.decode(&DecodeContext::default(), None, &Bytes::new()).unwrap_err();
        assert_eq!((error.name, &*error.field, &*error.reason), (None, field, reason));
        let broken = Any { type_url: resource_type.type_url().into(), value: vec![0xff; 3] };
        let error = decode(resource_type, &DecodeContext::default(), broken).unwrap_err();
        assert_eq!((error.name, &*error.field), (None, ""));
    }
    let urls = [
        "type.googleapis.com/envoy.config.listener.v3.Listener",
        "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
        "type.googleapis.com/envoy.config.cluster.v3.Cluster",
        "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
        "type.googleapis.com/envoy.config.endpoint.v3.LbEndpointCollection",
        "type.googleapis.com/envoy.config.endpoint.v3.LbEndpoint",
    ];
    assert_eq!(TYPES.map(ResourceType::type_url), urls);
    assert_eq!(TYPES.map(ResourceType::is_full_state), [true, false, true, false, false, false]);
}

/// Proves: TR-41.
#[test]
fn sources_of_further_resources_are_the_same_server() {
    use super::testing::{ads, elsewhere, from_self, source};
    use xds_proto::envoy::config::core::v3::ConfigSource;
    use xds_proto::envoy::config::core::v3::config_source::ConfigSourceSpecifier::PathConfigSource;
    let rows = [
        (ads(), true),
        (from_self(), true),
        (elsewhere(), false),
        (source(PathConfigSource(Default::default())), false),
        (Some(ConfigSource::default()), false),
        (None, false),
    ];
    for (source, is_accepted) in rows {
        let messages: [(&dyn ResourceType, Vec<u8>); 4] = [
            (&ListenerType, super::listener::samples::rds_from(source.clone()).encode_to_vec()),
            (&ClusterType, super::cluster::samples::eds_from(source.clone()).encode_to_vec()),
            (&EndpointsType, super::endpoint::samples::leds_from(source.clone()).encode_to_vec()),
            (&ListenerType, super::listener::samples::rds_of_server_from(source.clone()).encode_to_vec()),
        ];
        for (resource_type, bytes) in messages {
            let found = resource_type.decode(&DecodeContext::default(), None, &bytes.into());
            match found {
                Ok(_) => assert!(is_accepted, "{resource_type:?} takes {source:?}"),
                Err(error) => {
                    assert!(!is_accepted, "{error}");
                    assert_eq!(error.reason, "must be ads or self");
                }
            }
        }
    }
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

    fn decode(
        &self,
        _: &DecodeContext,
        _: Option<&Name>,
        bytes: &Bytes,
    ) -> Result<(Name, AnyResource), DecodeError> {
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
        let context = DecodeContext::new(&bootstrap, &server);
        let DecodeContext {
            server,
            trusted_server,
            certificate_providers,
            allowed_grpc_services,
            guards,
            incremental,
            max_resource_size,
            max_regex_size,
            regexes,
            filters,
            lb_policies,
        } = context;
        assert_eq!((&*server, incremental, max_resource_size), ("a:1", false, None));
        assert_eq!((max_regex_size, regexes.compiled()), (16 << 20, 0));
        assert_eq!(filters, FilterRegistry::default());
        assert!(allowed_grpc_services.is_empty());
        assert_eq!(lb_policies, LbPolicyRegistry::default());
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
fn corpus_seeds_are_valid() {
    for (resource_type, bytes) in seeds() {
        resource_type.decode(&DecodeContext::default(), None, &bytes.into()).unwrap();
    }
}

/// Proves: RV-02.
#[test]
fn fields_that_are_not_known_are_ignored() {
    // Field 5000, the number 1; as a member of any message, or of a oneof that has no other member set.
    const UNKNOWN: [u8; 4] = [0xc0, 0xb8, 0x02, 0x01];
    for (resource_type, mut bytes) in seeds() {
        bytes.extend(UNKNOWN);
        resource_type.decode(&DecodeContext::default(), None, &bytes.into()).unwrap();
    }
    let cluster = super::cluster::samples::everything();
    let mut changed = cluster.clone();
    changed.cleanup_interval = super::testing::seconds(-1);
    changed.alt_stat_name = "other".into();
    changed.close_connections_on_host_health_failure = true;
    let read = |cluster: &ProtoCluster| -> Arc<Cluster> {
        super::testing::decode(&ClusterType, &DecodeContext::default(), cluster).unwrap()
    };
    assert_eq!(read(&changed), read(&cluster));
    let unset = ProtoCluster { cluster_discovery_type: None, ..cluster };
    let mut unknown_type = unset.encode_to_vec();
    unknown_type.extend(UNKNOWN);
    let error = ClusterType.decode(&DecodeContext::default(), None, &unknown_type.into()).unwrap_err();
    assert!(error.reason.ends_with("found STATIC"), "{error}");
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..512),
        named in any::<bool>(),
    ) {
        for resource_type in TYPES {
            let name = Some(Name::from("x")).filter(|_| named);
            let _ = resource_type.decode(&DecodeContext::default(), name.as_ref(), &bytes.clone().into());
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
            let _ = resource_type.decode(&context, None, &bytes.into());
        }
    }
}
