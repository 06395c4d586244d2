//! Endpoints as resources of their own.

use std::sync::Arc;

use prost::Message;
use xds_proto::envoy::config::endpoint::v3::locality_lb_endpoints::LbConfig;
use xds_proto::envoy::config::endpoint::v3::{ClusterLoadAssignment, LbEndpoint};

use super::{LoadReporting, Plane, document};
use crate::resources::{ClientClass, Collection, ResourceKind, ResourceSet, Slot};

fn service(endpoints: &[&str]) -> String {
    let spec = format!(
        "{{hosts: [a.b], resolution: STATIC, ports: [{{number: 80, name: grpc}}], endpoints: [{}]}}",
        endpoints.join(", ")
    );
    document("ServiceEntry", "a", &spec)
}

/// One translator over several versions of a service.
fn versions(texts: &[&[&str]]) -> Vec<ResourceSet> {
    let mut plane = Plane::new(LoadReporting::Off);
    texts.iter().map(|endpoints| plane.read(&service(endpoints))).collect()
}

fn referring(set: &ResourceSet) -> ClusterLoadAssignment {
    let slot = Slot::new(ResourceKind::Endpoints, ClientClass::Collections);
    ClusterLoadAssignment::decode(set.get(slot, CLUSTER).unwrap().bytes.clone()).unwrap()
}

/// The collections that the cluster refers to, in order.
fn collections(set: &ResourceSet) -> Vec<Arc<Collection>> {
    let found = referring(set).endpoints.into_iter().map(|locality| {
        assert!(locality.lb_endpoints.is_empty());
        let Some(LbConfig::LedsClusterLocalityConfig(leds)) = locality.lb_config else { panic!("no LEDS") };
        Arc::clone(set.collection(&leds.leds_collection_name).unwrap())
    });
    found.collect()
}

const CLUSTER: &str = "outbound|80||a.b";

#[test]
fn locality_refers_to_its_endpoints() {
    let endpoints = [
        "{address: 10.0.0.2, weight: 3, locality: r 1/z}",
        "{address: 10.0.0.1, locality: r 1/z}",
        "{address: \"fd00::1\", locality: r2}",
    ];
    let set = &versions(&[&endpoints])[0];
    let found = collections(set);
    let names: Vec<Vec<&str>> =
        found.iter().map(|one| one.members().iter().map(|member| &*member.name).collect()).collect();
    let folder = "xdstp:///envoy.config.endpoint.v3.LbEndpoint/outbound%7C80%7C%7Ca.b";
    let first = format!("{folder}/0.r%201%2Fz%2F");
    assert_eq!(&*found[0].name, format!("{first}/*"));
    assert_eq!(names[0], [format!("{first}/10.0.0.1:80"), format!("{first}/10.0.0.2:80")]);
    assert_eq!(names[1], [format!("{folder}/0.r2%2F%2F/fd00::1:80")]);
    let localities = referring(set).endpoints;
    assert_eq!(localities[0].load_balancing_weight.as_ref().unwrap().value, 4);

    // The same endpoints as inline.
    let inline = set.get(ResourceKind::Endpoints, CLUSTER).unwrap();
    let inline = ClusterLoadAssignment::decode(inline.bytes.clone()).unwrap();
    for (locality, collection) in inline.endpoints.iter().zip(&found) {
        let members = collection.members().iter();
        let mut members: Vec<_> =
            members.map(|member| LbEndpoint::decode(member.bytes.clone()).unwrap()).collect();
        for endpoint in &locality.lb_endpoints {
            members.remove(members.iter().position(|member| member == endpoint).unwrap());
        }
        assert!(members.is_empty());
    }
}

#[test]
fn changed_endpoint_keeps_others_and_their_referrers() {
    let sets = versions(&[
        &["{address: 10.0.0.1}", "{address: 10.0.0.2, weight: 2}"],
        &["{address: 10.0.0.1}", "{address: 10.0.0.3, weight: 2}"],
        &["{address: 10.0.0.1}", "{address: 10.0.0.3, weight: 2}"],
        &["{address: 10.0.0.9, locality: r}"],
    ]);
    let slot = Slot::new(ResourceKind::Endpoints, ClientClass::Collections);
    assert!(Arc::ptr_eq(sets[0].get(slot, CLUSTER).unwrap(), sets[1].get(slot, CLUSTER).unwrap()));
    let [before, after] = [&collections(&sets[0])[0], &collections(&sets[1])[0]];
    assert_ne!(before.version(), after.version());
    assert_eq!(before.members()[0], after.members()[0]);
    assert!(sets[2].is_same(&sets[1]));
    assert_eq!(sets[3].collections().count(), 1, "nothing stays of a locality that is gone");
    assert_eq!(sets[3].count(ResourceKind::LbEndpoint), 0, "members are made when someone asks for them");
    assert_eq!(collections(&sets[3])[0].members().len(), 1);
    assert_eq!(sets[3].count(ResourceKind::LbEndpoint), 1);
}
