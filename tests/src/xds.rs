//! xDS resources as JSON, each as small as it can be.

use std::net::SocketAddr;

use serde_json::{Value, json};

/// A listener for clients whose routes are a resource of their own.
pub fn listener(name: &str, routes: &str) -> Value {
    json!({
        "@type": "type.googleapis.com/envoy.config.listener.v3.Listener",
        "name": name,
        "api_listener": {"api_listener": {
            "@type": "type.googleapis.com/\
                envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "rds": {"route_config_name": routes, "config_source": {"ads": {}}},
            "http_filters": [{"name": "router", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
            }}],
        }},
    })
}

/// Routes for every host: each a match and the cluster that it leads to.
pub fn routes(name: &str, rules: &[(Value, &str)]) -> Value {
    let routes: Vec<_> =
        rules.iter().map(|(rule, cluster)| json!({"match": rule, "route": {"cluster": cluster}})).collect();
    json!({
        "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
        "name": name,
        "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}],
    })
}

/// Routes for every host that lead to one cluster.
pub fn route_to(name: &str, cluster: &str) -> Value {
    routes(name, &[(json!({"prefix": ""}), cluster)])
}

/// A cluster whose endpoints are a resource of their own.
pub fn cluster(name: &str, endpoints: &str) -> Value {
    json!({
        "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
        "name": name,
        "type": "EDS",
        "eds_cluster_config": {"eds_config": {"ads": {}}, "service_name": endpoints},
    })
}

/// Endpoints in one locality.
pub fn endpoints(name: &str, addresses: &[SocketAddr]) -> Value {
    let endpoints: Vec<_> = addresses
        .iter()
        .map(|address| {
            let socket = json!({"address": address.ip().to_string(), "port_value": address.port()});
            json!({"endpoint": {"address": {"socket_address": socket}}})
        })
        .collect();
    json!({
        "@type": "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
        "cluster_name": name,
        "endpoints": [{
            "locality": {"region": "r"},
            "load_balancing_weight": 1,
            "lb_endpoints": endpoints,
        }],
    })
}

/// All that a target needs: the listener `name`, the routes `routes`, the cluster `cluster` and its endpoints under the same
/// name.
pub fn service(name: &str, routes: &str, cluster_name: &str, addresses: &[SocketAddr]) -> [Value; 4] {
    [
        cluster(cluster_name, cluster_name),
        endpoints(cluster_name, addresses),
        listener(name, routes),
        route_to(routes, cluster_name),
    ]
}
