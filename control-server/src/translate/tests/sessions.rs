//! Sessions.

use prost::Message;
use xds_proto::envoy::config::listener::v3::Listener;
use xds_proto::envoy::config::route::v3::{FilterConfig, RouteConfiguration};
use xds_proto::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;

use super::{LoadReporting, ORDERS, Plane, document, services};
use crate::resources::{ClientScope, ResourceKind};
use crate::state::ClientFamily::{self, Envoy, Grpc, MeshTonic};

const FILTER: &str = "envoy.filters.http.stateful_session";

/// A client that does not know the filter would refuse a listener with it, and a route that demands it.
#[test]
fn filter_is_in_the_listeners_of_clients_that_know_it() {
    let spec = "{parentRefs: [{group: \"\", kind: Service, name: orders}], rules: [{sessionPersistence: {sessionName: a}, backendRefs: \
                [{name: orders, port: 80}]}]}";
    let set = Plane::new(LoadReporting::Off).read(&(services() + &document("GRPCRoute", "orders", spec)));
    let bytes = |kind: ResourceKind, name: &str, family: ClientFamily| {
        let client = ClientScope { family, ..Default::default() };
        set.get_for(kind.into(), name, &client).unwrap().bytes.clone()
    };
    let filters = |family| -> Vec<String> {
        let listener =
            Listener::decode(bytes(ResourceKind::Listener, "orders.shop.svc.cluster.local:80", family))
                .unwrap();
        let any = listener.api_listener.unwrap().api_listener.unwrap();
        let manager = HttpConnectionManager::decode(&*any.value).unwrap();
        manager.http_filters.into_iter().map(|filter| filter.name).collect()
    };
    let has_it = |family| filters(family).iter().any(|name| name == FILTER);
    assert_eq!([Grpc, MeshTonic, Envoy].map(has_it), [false, true, true]);
    let routes = RouteConfiguration::decode(bytes(ResourceKind::Route, ORDERS, Grpc)).unwrap();
    let any = &routes.virtual_hosts[0].routes[0].typed_per_filter_config[FILTER];
    assert!(FilterConfig::decode(&*any.value).unwrap().is_optional);
}
