//! Case E3: every resource knows the objects that it comes from.

use super::*;

/// `made_by` of a resource, in order.
fn makers(resources: &Resources, kind: ResourceKind, name: &str) -> Vec<String> {
    resources[&(kind, Arc::from(name))].made_by.iter().map(ToString::to_string).collect()
}

#[test]
fn resource_names_the_objects_that_decide_it() {
    let root = "{hosts: [orders], http: [{match: [{uri: {exact: /a}}], delegate: {name: rules}}, \
                {route: [{destination: {host: orders, subset: v1}}]}]}";
    let text = services()
        + &document("VirtualService", "root", root)
        + &document("VirtualService", "rules", "{http: [{route: [{destination: {host: orders}}]}]}")
        + &document(
            "DestinationRule",
            "more",
            "{host: orders, trafficPolicy: {loadBalancer: {simple: RANDOM}}}",
        );
    let (resources, _) = translate_with_diagnostics(&text);
    let of = |kind, name| makers(&resources, kind, name);
    let (entry, rule, more) =
        ("ServiceEntry shop/orders", "DestinationRule shop/orders", "DestinationRule shop/more");
    assert_eq!(of(ResourceKind::Cluster, ORDERS), [more, rule, entry], "the rule with the policy first");
    assert_eq!(of(ResourceKind::Endpoints, ORDERS), [entry]);
    assert_eq!(of(ResourceKind::Route, ORDERS), ["VirtualService shop/root", "VirtualService shop/rules"]);
    assert_eq!(of(ResourceKind::Listener, "orders.shop:80"), [entry]);
    let users = "outbound|80||users.shop.svc.cluster.local";
    for kind in [ResourceKind::Cluster, ResourceKind::Route] {
        assert_eq!(of(kind, users), ["ServiceEntry shop/users"]);
    }
}

#[test]
fn renamed_object_is_known_by_its_new_name_and_sends_nothing() {
    let rule = |name| {
        document("DestinationRule", name, "{host: users, trafficPolicy: {loadBalancer: {simple: RANDOM}}}")
    };
    let mut plane = Plane::new(LoadReporting::Off);
    let users = "outbound|80||users.shop.svc.cluster.local";
    let before = plane.read(&(services() + &rule("a"))).to_map();
    let after = plane.read(&(services() + &rule("b"))).to_map();
    let key = (ResourceKind::Cluster, Arc::from(users));
    assert_eq!(before[&key].version, after[&key].version);
    assert_eq!(makers(&after, ResourceKind::Cluster, users)[0], "DestinationRule shop/b");
}

/// Annotations are notes of people and tools: not one byte is sent for them.
#[test]
fn annotations_change_no_resource() {
    let text = services()
        + &document(
            "VirtualService",
            "orders",
            "{hosts: [orders], http: [{route: [{destination: {host: orders, subset: v1}}]}]}",
        )
        + &document(
            "TrafficPolicy",
            "users",
            "{targetRefs: [{kind: Service, name: users}], defaults: {timeout: 1s}}",
        );
    let annotated = |note: u32| {
        let metadata = format!("namespace: shop, annotations: {{note: '{note}'}}}}");
        text.replace("namespace: shop}", &metadata)
    };
    let mut plane = Plane::new(LoadReporting::Off);
    let before = plane.read(&annotated(0)).to_map();
    for note in 1..100 {
        let after = plane.read(&annotated(note)).to_map();
        assert_eq!(after.len(), before.len());
        let is_same = |(key, one): (&_, &Arc<EncodedResource>)| Arc::ptr_eq(one, &after[key]);
        assert!(before.iter().all(is_same), "{note}");
    }
}
