//! All resources of one service.

use std::collections::BTreeMap;
use std::sync::Arc;

use prost::Message;
use xds_proto::envoy::config::endpoint::v3::ClusterLoadAssignment;
use xds_proto::envoy::extensions::filters::network::http_connection_manager::v3::HttpFilter;

use super::{
    LoadReporting, cluster, collections, cors, endpoints, family, fault, listener, rate_limit, route, session,
};
use crate::kinds::ObjectId;
use crate::model::{Cluster, Discovery, Route, Service, ServicePort, ServiceView};
use crate::resources::{
    ClientClass, Collection, EncodedResource, MadeBy, ResourceKind, ResourceSet, Rule, Rules, ScopeSelector,
    Scoped, Slot,
};
use crate::state::ClientFamily;

/// Everything that stands under the names of one service.
#[derive(Debug, Default)]
pub(super) struct Translation {
    pub(super) resources: BTreeMap<(Slot, Arc<str>), Scoped<Arc<EncodedResource>>>,
    pub(super) collections: BTreeMap<Arc<str>, Scoped<Arc<Collection>>>,
    /// The resources that are new, and the objects that they come from.
    pub(super) changed: Vec<(Slot, Arc<EncodedResource>, ObjectId)>,
}

/// What a view of the service adds to one name: in the order in which the selectors are tried.
type Variants<V> = Vec<(ScopeSelector, V)>;

/// What each view adds to one name, by the view's position.
type ByView<V> = BTreeMap<usize, Variants<V>>;

/// Translates views one after the other.
struct Translator<'t> {
    service: &'t Service,
    load_reporting: LoadReporting,
    /// What is served now: what has not changed keeps its allocation.
    served: &'t ResourceSet,
    /// By name: what each view has.
    resources: BTreeMap<(Slot, Arc<str>), ByView<Arc<EncodedResource>>>,
    collections: BTreeMap<Arc<str>, ByView<Arc<Collection>>>,
    changed: Vec<(Slot, Arc<EncodedResource>, ObjectId)>,
}

/// Clusters with their endpoints, and for every port a route configuration and a listener under every name that a
/// client may use.
pub(super) fn translate(
    service: &Service,
    load_reporting: LoadReporting,
    served: &ResourceSet,
) -> Translation {
    let mut translator = Translator {
        service,
        load_reporting,
        served,
        resources: BTreeMap::new(),
        collections: BTreeMap::new(),
        changed: Vec::new(),
    };
    for (place, (selector, view)) in service.views.iter().enumerate() {
        if let Some(view) = view {
            translator.view(place, selector, view);
        }
    }
    let views: Vec<&ScopeSelector> = service.views.iter().map(|(selector, _)| selector).collect();
    let resources = translator.resources.into_iter().map(|(name, found)| (name, scoped(&views, found)));
    let collections = translator.collections.into_iter().map(|(name, found)| (name, scoped(&views, found)));
    Translation {
        resources: resources.collect(),
        collections: collections.collect(),
        changed: translator.changed,
    }
}

/// What stands under a name, from what each view has there.
fn scoped<V: Clone + PartialEq>(views: &[&ScopeSelector], mut found: ByView<V>) -> Scoped<V> {
    let mut variants = Vec::new();
    let mut common = None;
    for (place, selector) in views.iter().enumerate() {
        match found.remove(&place) {
            Some(of_view) => {
                variants.extend(of_view.into_iter().map(|(selector, value)| (selector, Some(value))))
            }
            None => variants.push(((*selector).clone(), None)),
        }
    }
    // The last view is for everybody else.
    if variants.last().is_some_and(|(selector, _)| selector.is_everyone()) {
        common = variants.pop().and_then(|(_, value)| value);
    }
    Scoped::new(common, variants)
}

impl Translator<'_> {
    fn view(&mut self, place: usize, selector: &ScopeSelector, view: &ServiceView) {
        for one in &view.clusters {
            self.cluster(place, selector, view, one);
        }
        for (index, port) in view.ports.iter().enumerate() {
            let routed_by = if port.routed_by.is_empty() { &view.declared_by } else { &port.routed_by };
            let routed_by = Makers { rules: rules(port), ..Makers::of(routed_by, &[]) };
            let name = route_name(port, &self.service.host);
            self.routes((place, selector), &name, port, &routed_by);
            for listener in listener_names(&self.service.host, view, port, index == 0) {
                self.listener((place, selector, view), &listener, &name, port, &routed_by);
            }
        }
    }

    fn routes(&mut self, (place, selector): View<'_>, name: &str, port: &ServicePort, by: &Makers) {
        let common = route::translate(name, self.service, port, ClientFamily::Grpc);
        let families = [ClientFamily::MeshTonic, ClientFamily::Envoy];
        for family in families.into_iter().filter(|_| family::differ(&port.routes)) {
            let message = route::translate(name, self.service, port, family);
            if message != common {
                let selector = ScopeSelector { family: Some(family), ..selector.clone() };
                self.add(place, &selector, ResourceKind::Route, name, &message, by);
            }
        }
        self.add(place, selector, ResourceKind::Route, name, &common, by);
    }

    /// A client without support for a filter refuses the listener: so only listeners whose routes need a filter have it, and only
    /// for the families that know it.
    fn listener(
        &mut self,
        (place, selector, view): (usize, &ScopeSelector, &ServiceView),
        name: &str,
        routes: &str,
        port: &ServicePort,
        routed_by: &Makers,
    ) {
        let declared_by = Makers::of(&view.declared_by, &[]);
        let common = filters(view, port, ClientFamily::Grpc);
        let ids: Vec<ObjectId> = view.rate_limits.iter().map(|(id, _)| id.clone()).collect();
        for family in [ClientFamily::MeshTonic, ClientFamily::Envoy] {
            let filters = filters(view, port, family);
            if filters != common {
                let selector = ScopeSelector { family: Some(family), ..selector.clone() };
                let of = Makers::of(&ids, &view.declared_by);
                let of = if ids.is_empty() { routed_by } else { &of };
                let message = listener::translate(name, routes, filters);
                self.add(place, &selector, ResourceKind::Listener, name, &message, of);
            }
        }
        let message = listener::translate(name, routes, common);
        self.add(place, selector, ResourceKind::Listener, name, &message, &declared_by);
    }

    fn cluster(&mut self, place: usize, selector: &ScopeSelector, view: &ServiceView, one: &Cluster) {
        let ruled_by = Makers::of(&view.ruled_by, &view.declared_by);
        let load_reporting = self.load_reporting;
        let of_family = |family| cluster::translate(one, load_reporting, family);
        let common = of_family(ClientFamily::Grpc);
        for family in [ClientFamily::MeshTonic, ClientFamily::Envoy] {
            let message = of_family(family);
            if message != common {
                let selector = ScopeSelector { family: Some(family), ..selector.clone() };
                self.add(place, &selector, ResourceKind::Cluster, &one.name, &message, &ruled_by);
            }
        }
        self.add(place, selector, ResourceKind::Cluster, &one.name, &common, &ruled_by);
        let nothing = Vec::new();
        let list = match &one.discovery {
            Discovery::Endpoints(list) => list,
            Discovery::Unavailable(_) => &nothing,
            Discovery::LogicalDns { .. } => return,
        };
        let name = cluster::endpoints_name(one);
        if one.tls.is_some() && name != one.name {
            let gone = ClusterLoadAssignment { cluster_name: one.name.clone(), ..Default::default() };
            let by = &Makers::of(&view.declared_by, &[]);
            for class in [ClientClass::Plain, ClientClass::Collections] {
                let slot = Slot::new(ResourceKind::Endpoints, class);
                self.add(place, selector, slot, &one.name, &gone, by);
            }
        }
        for (client, mut assignment) in endpoints::translate(&name, list, &one.policy.locality) {
            let selector = both(selector, client);
            let by = &Makers::of(&view.declared_by, &[]);
            let inline = self.add(place, &selector, ResourceKind::Endpoints, &name, &assignment, by);
            for collection in collections::take(&mut assignment, &inline) {
                let known = self.served.scoped_collection(&collection.name);
                let known =
                    known.and_then(|known| known.iter().map(|(_, one)| one).find(|one| ***one == collection));
                let collection = known.map_or_else(|| Arc::new(collection), Arc::clone);
                let of_name = self.collections.entry(Arc::clone(&collection.name)).or_default();
                of_name.entry(place).or_default().push((selector.clone(), collection));
            }
            let slot = Slot::new(ResourceKind::Endpoints, ClientClass::Collections);
            self.add(place, &selector, slot, &name, &assignment, by);
        }
    }

    /// Adds a resource for some clients. With the content that is served already it is the served one.
    fn add(
        &mut self,
        place: usize,
        selector: &ScopeSelector,
        slot: impl Into<Slot>,
        name: &str,
        message: &impl Message,
        makers: &Makers,
    ) -> Arc<EncodedResource> {
        let (slot, bytes) = (slot.into(), message.encode_to_vec());
        let rules = makers.rules.clone().filter(|_| slot.kind() == ResourceKind::Route);
        let served = self.served.scoped(slot, name);
        let same = served.and_then(|served| served.iter().map(|(_, one)| one).find(|one| one.bytes == bytes));
        let resource = match same {
            Some(same) if same.made_by == makers.names && same.rules == rules => Arc::clone(same),
            Some(same) => Arc::new(makers.mark(EncodedResource::clone(same), rules)),
            None => {
                let known = served.and_then(Scoped::any).map(|one| Arc::clone(&one.name));
                let name = known.unwrap_or_else(|| Arc::from(name));
                let made = Arc::new(makers.mark(EncodedResource::new(name, bytes.into()), rules));
                self.changed.push((slot, Arc::clone(&made), makers.first.clone()));
                made
            }
        };
        let of_name = self.resources.entry((slot, Arc::clone(&resource.name))).or_default();
        of_name.entry(place).or_default().push((selector.clone(), Arc::clone(&resource)));
        resource
    }
}

/// The filters of a listener for a family, as far as the routes of its port need them.
fn filters(view: &ServiceView, port: &ServicePort, family: ClientFamily) -> Vec<HttpFilter> {
    let is_needed = |needs: fn(&Route) -> bool| port.routes.iter().any(needs);
    let cors = family == ClientFamily::Envoy && is_needed(|route| route.cors.is_some());
    let fails = port.routes.iter().any(|route| family::fails_a_share(route, family));
    let faults = fails || is_needed(|route| route.fault.is_some());
    let filters = cors.then(cors::filter).into_iter().chain(faults.then(fault::filter));
    if family == ClientFamily::Grpc {
        return filters.collect();
    }
    let limits = view.rate_limits.iter().map(|(id, policy)| rate_limit::filter(id, policy));
    let sessions = is_needed(|route| route.session.is_some()).then(session::filter);
    filters.chain(limits).chain(sessions).collect()
}

/// A view's place among the views of a service, and its clients.
type View<'v> = (usize, &'v ScopeSelector);

/// The objects that a resource comes from.
struct Makers {
    first: ObjectId,
    names: MadeBy,
    /// Of routes: the rule behind each.
    rules: Option<Rules>,
}

impl Makers {
    /// Those that decide most of it, then others; at least one.
    fn of(most: &[ObjectId], others: &[ObjectId]) -> Self {
        let all = most.iter().chain(others);
        let first = all.clone().next().cloned().expect("an object declares the service");
        Self { first, names: all.map(|id| Arc::from(id.to_string())).collect(), rules: None }
    }

    fn mark(&self, resource: EncodedResource, rules: Option<Rules>) -> EncodedResource {
        resource.made_by(Arc::clone(&self.names)).with_rules(rules)
    }
}

/// The rule behind each route of a port; `None`: no route has one.
fn rules(port: &ServicePort) -> Option<Rules> {
    let rule = |route: &Route| {
        let origin = route.origin.as_ref()?;
        Some(Rule { object: origin.object.to_string().into(), field: origin.field.clone() })
    };
    port.routes.iter().any(|route| route.origin.is_some()).then(|| port.routes.iter().map(rule).collect())
}

/// The clients that both select.
fn both(view: &ScopeSelector, place: ScopeSelector) -> ScopeSelector {
    let mut labels = view.labels.clone();
    labels.extend(place.labels);
    ScopeSelector { labels, locality: place.locality, ..view.clone() }
}

/// As Istio names it.
fn route_name(port: &ServicePort, host: &str) -> String {
    format!("outbound|{}||{host}", port.number)
}

fn listener_names(host: &str, view: &ServiceView, port: &ServicePort, is_first: bool) -> Vec<String> {
    std::iter::once(host)
        .chain(view.aliases.iter().map(String::as_str))
        .flat_map(|name| {
            let alone = is_first.then(|| name.to_owned());
            std::iter::once(format!("{name}:{}", port.number)).chain(alone)
        })
        .collect()
}
