//! All resources of one service.

use prost::Message;

use super::{LoadReporting, Made, MadeCollection, cluster, collections, endpoints, fault, listener, route};
use crate::kinds::ObjectId;
use crate::model::{Discovery, Service, ServicePort};
use crate::resources::{ClientClass, ResourceKind, Slot};

/// Clusters with their endpoints, and for every port a route configuration and a listener under every name that a
/// client may use.
pub(super) fn translate(
    service: &Service,
    load_reporting: LoadReporting,
) -> (Vec<Made>, Vec<MadeCollection>) {
    let (mut made, mut members) = (Vec::new(), Vec::new());
    for one in service.clusters.iter().filter(|cluster| !cluster.policy.is_withheld) {
        let ruled_by = service.ruled_by.as_ref().unwrap_or(&service.declared_by);
        made.push(make(ResourceKind::Cluster, &one.name, &cluster::translate(one, load_reporting), ruled_by));
        if let Discovery::Endpoints(list) = &one.discovery {
            let mut assignment = endpoints::translate(&one.name, list);
            made.push(make(ResourceKind::Endpoints, &one.name, &assignment, &service.declared_by));
            members.extend(collections::take(&mut assignment));
            let slot = Slot::new(ResourceKind::Endpoints, ClientClass::Collections);
            made.push(make(slot, &one.name, &assignment, &service.declared_by));
        }
    }
    for (index, port) in service.ports.iter().enumerate() {
        let routed_by = port.routed_by.first().unwrap_or(&service.declared_by);
        let name = route_name(port, &service.host);
        made.push(make(ResourceKind::Route, &name, &route::translate(&name, service, port), routed_by));
        // A client without support for a filter refuses the listener: so only listeners with faults have the filter.
        let filters = if port.routes.iter().any(|route| route.fault.is_some()) {
            vec![fault::filter()]
        } else {
            Vec::new()
        };
        for listener in listener_names(service, port, index == 0) {
            let message = listener::translate(&listener, &name, filters.clone());
            made.push(make(ResourceKind::Listener, &listener, &message, &service.declared_by));
        }
    }
    (made, members)
}

fn make(slot: impl Into<Slot>, name: &str, message: &impl Message, made_by: &ObjectId) -> Made {
    Made {
        slot: slot.into(),
        name: name.to_owned(),
        bytes: message.encode_to_vec().into(),
        made_by: made_by.clone(),
    }
}

/// As Istio names it.
fn route_name(port: &ServicePort, host: &str) -> String {
    format!("outbound|{}||{host}", port.number)
}

fn listener_names(service: &Service, port: &ServicePort, is_first: bool) -> Vec<String> {
    std::iter::once(&service.host)
        .chain(&service.aliases)
        .flat_map(|name| {
            let alone = is_first.then(|| name.clone());
            std::iter::once(format!("{name}:{}", port.number)).chain(alone)
        })
        .collect()
}
