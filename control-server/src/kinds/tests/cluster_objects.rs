//! Objects that a cluster writes: read as they are, every field of them.

use std::sync::Arc;

use crate::kinds::endpoint_slice::AddressType;
use crate::kinds::service::TargetPort;
use crate::kinds::{Kind, Object, Outcome, Spec, decode_document};
use crate::yaml::parse;

fn only(text: &str) -> Arc<Object> {
    let documents = parse(text).unwrap();
    let decoded = decode_document(&"case.yaml".into(), &documents[0]);
    let [one] = decoded.as_slice() else { panic!("{decoded:?}") };
    assert_eq!(one.diagnostics, [], "{text}");
    match &one.outcome {
        Outcome::Object(object) => Arc::clone(object),
        other => panic!("{other:?}"),
    }
}

#[test]
fn service_of_a_cluster_is_read() {
    let object = only(include_str!("service.yaml"));
    let Spec::Service(service) = &object.spec else { panic!("{object:?}") };
    let ports: Vec<_> = service
        .ports
        .iter()
        .map(|port| (port.name.as_str(), port.port, port.target_port.clone(), port.app_protocol.as_deref()))
        .collect();
    let name = |text: &str| Some(TargetPort::Name(text.to_owned()));
    assert_eq!(
        ports,
        [
            ("grpc", 50051, name("grpc"), Some("kubernetes.io/h2c")),
            ("admin", 9090, Some(TargetPort::Number(9091)), None)
        ]
    );
    assert_eq!(service.selector.get("app").map(String::as_str), Some("greeter"));
    assert!(!service.is_headless());
    let headless = only(
        "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {clusterIP: None, selector: {app: a}}}",
    );
    assert!(matches!(&headless.spec, Spec::Service(service) if service.is_headless()));
    let external = "{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {type: ExternalName, externalName: a.example.}}";
    assert!(matches!(&only(external).spec, Spec::Service(service) if service.external_name.is_some()));
}

#[test]
fn endpoint_slice_of_a_cluster_is_read() {
    let object = only(include_str!("endpoint_slice.yaml"));
    let Spec::EndpointSlice(slice) = &object.spec else { panic!("{object:?}") };
    assert_eq!(slice.address_type, AddressType::Ipv4);
    let endpoints: Vec<_> = slice
        .endpoints
        .iter()
        .map(|endpoint| {
            let conditions = endpoint.conditions;
            let states = [conditions.is_ready(), conditions.is_serving(), conditions.is_terminating()];
            (endpoint.addresses[0].as_str(), endpoint.zone(), states)
        })
        .collect();
    assert_eq!(
        endpoints,
        [
            ("10.0.0.1", Some("eu-west-1a"), [true, true, false]),
            ("10.0.0.2", Some("eu-west-1b"), [false, true, true]),
            ("10.0.0.3", Some("eu-west-1c"), [true, true, false]),
        ]
    );
    assert_eq!(slice.endpoints[0].hints.as_ref().unwrap().for_zones[0].name, "eu-west-1a");
    let ports: Vec<_> = slice.ports.iter().map(|port| (port.name.as_str(), port.port)).collect();
    assert_eq!(ports, [("grpc", Some(50051)), ("admin", Some(9091))]);
}

#[test]
fn reference_grant_names_who_may_use_what() {
    let grant = |to: &str| {
        let text = format!(
            "{{apiVersion: gateway.networking.k8s.io/v1beta1, kind: ReferenceGrant, metadata: {{name: a, namespace: shop}}, \
             spec: {{from: [{{group: gateway.networking.k8s.io, kind: GRPCRoute, namespace: web}}], to: [{to}]}}}}"
        );
        only(&text)
    };
    let lets = |object: &Object, namespace: &str, name: &str| match &object.spec {
        Spec::ReferenceGrant(grant) => grant.lets_route_use_service(Kind::GrpcRoute, namespace, name),
        other => panic!("{other:?}"),
    };
    let all = grant("{group: '', kind: Service}");
    assert!(lets(&all, "web", "orders"));
    assert!(!lets(&all, "other", "orders"), "another namespace");
    let one = grant("{group: '', kind: Service, name: orders}");
    assert!(lets(&one, "web", "orders"));
    assert!(!lets(&one, "web", "users"), "another service");
    assert!(!lets(&grant("{group: '', kind: Secret}"), "web", "orders"), "another kind");
}
