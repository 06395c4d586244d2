//! Which clients a resource is for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use xds_proto::envoy::config::core::v3::Node;
use xds_proto::google::protobuf::{Struct, Value, value::Kind};

use crate::state::ClientFamily;

/// The properties of a client that may change what it is served.
///
/// A client states them in its node; until connections carry an identity they are not proven, so they choose
/// configuration and never permissions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientScope {
    /// `NAMESPACE` of the node's metadata, else the namespace in the id of an Istio node; `None`: not stated.
    pub namespace: Option<String>,
    /// `LABELS` of the node's metadata.
    pub labels: BTreeMap<String, String>,
    /// The node's locality.
    pub locality: Locality,
    /// The library that the client says it is.
    pub family: ClientFamily,
    /// The services that its bootstrap lets it ask about calls, `ALLOWED_GRPC_SERVICES` of the node's metadata; `None`: any, where no
    /// node has been seen.
    pub may_ask: Option<BTreeSet<String>>,
}

/// A place; any part may be empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Locality {
    /// The widest part.
    pub region: String,
    /// A part of the region.
    pub zone: String,
    /// A part of the zone.
    pub sub_zone: String,
}

/// A condition on clients: all set parts must hold. Without any part it selects every client.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScopeSelector {
    /// The client's namespace.
    pub namespace: Option<Arc<str>>,
    /// Labels that the client must have.
    pub labels: BTreeMap<String, String>,
    /// The client's region, zone and subzone, as far as given.
    pub locality: Vec<String>,
    /// The library that the client says it is.
    pub family: Option<ClientFamily>,
}

impl ClientScope {
    /// As a node states it.
    pub fn of(node: &Node) -> Self {
        let metadata = node.metadata.as_ref();
        let stated = metadata.and_then(|metadata| text(metadata, "NAMESPACE"));
        let namespace = stated.or_else(|| istio_namespace(&node.id)).filter(|name| !name.is_empty());
        let labels = metadata.and_then(|metadata| match metadata.fields.get("LABELS")?.kind.as_ref()? {
            Kind::StructValue(labels) => Some(labels),
            _ => None,
        });
        let label = |name: &String, labels: &Struct| Some((name.clone(), text(labels, name)?.to_owned()));
        let labels =
            labels.map(|labels| labels.fields.keys().filter_map(|name| label(name, labels)).collect());
        let locality = node.locality.as_ref().map(|locality| Locality {
            region: locality.region.clone(),
            zone: locality.zone.clone(),
            sub_zone: locality.sub_zone.clone(),
        });
        let mut scope = Self {
            namespace: namespace.map(str::to_owned),
            labels: labels.unwrap_or_default(),
            locality: locality.unwrap_or_default(),
            family: ClientFamily::of_agent(&node.user_agent_name),
            may_ask: Some(
                metadata.map(|metadata| texts(metadata, "ALLOWED_GRPC_SERVICES")).unwrap_or_default(),
            ),
        };
        scope.add_topology();
        scope
    }

    /// Adds the labels that stand for the locality, where the client does not state them.
    pub(crate) fn add_topology(&mut self) {
        for (name, part) in TOPOLOGY.iter().zip(self.locality.parts()) {
            if !part.is_empty() && !self.labels.contains_key(*name) {
                self.labels.insert((*name).to_owned(), part.to_owned());
            }
        }
    }
}

/// Labels that stand for the parts of a locality.
pub(crate) const TOPOLOGY: [&str; 3] =
    ["topology.kubernetes.io/region", "topology.kubernetes.io/zone", "topology.istio.io/subzone"];

fn text<'a>(fields: &'a Struct, name: &str) -> Option<&'a str> {
    match fields.fields.get(name)?.kind.as_ref()? {
        Kind::StringValue(text) => Some(text),
        _ => None,
    }
}

/// The texts of a list; others in it are passed over.
fn texts(fields: &Struct, name: &str) -> BTreeSet<String> {
    let list = match fields.fields.get(name).and_then(|field| field.kind.as_ref()) {
        Some(Kind::ListValue(list)) => list.values.as_slice(),
        _ => &[],
    };
    let text = |value: &Value| match &value.kind {
        Some(Kind::StringValue(text)) => Some(text.clone()),
        _ => None,
    };
    list.iter().filter_map(text).collect()
}

/// The namespace in `sidecar~IP~POD.NAMESPACE~DOMAIN`.
fn istio_namespace(id: &str) -> Option<&str> {
    let mut parts = id.split('~');
    let (_, _, workload, _) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    workload.rsplit_once('.').map(|(_, namespace)| namespace)
}

impl Locality {
    /// `region/zone/subzone`, where parts at the end may be missing.
    pub(crate) fn parse(text: &str) -> Self {
        let mut parts = text.split('/').map(str::to_owned);
        let mut next = || parts.next().unwrap_or_default();
        Self { region: next(), zone: next(), sub_zone: next() }
    }

    /// Its parts, from the widest.
    pub(crate) fn parts(&self) -> [&str; 3] {
        [&self.region, &self.zone, &self.sub_zone]
    }
}

impl ScopeSelector {
    /// Whether it is for a client.
    pub fn selects(&self, client: &ClientScope) -> bool {
        self.namespace.as_deref().is_none_or(|wanted| client.namespace.as_deref() == Some(wanted))
            && self.labels.iter().all(|(name, value)| client.labels.get(name) == Some(value))
            && self.locality.iter().zip(client.locality.parts()).all(|(wanted, found)| wanted == found)
            && self.family.is_none_or(|wanted| client.family == wanted)
    }

    /// Whether it is for every client.
    pub fn is_everyone(&self) -> bool {
        *self == Self::default()
    }
}

impl std::fmt::Display for ScopeSelector {
    /// For example `namespace=shop, labels app=web`; nothing for every client.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let labels = self.labels.iter().map(|(name, value)| format!("{name}={value}"));
        let labels = labels.collect::<Vec<_>>().join(",");
        let parts = [
            self.namespace.as_ref().map(|namespace| format!("namespace={namespace}")),
            (!labels.is_empty()).then(|| format!("labels {labels}")),
            (!self.locality.is_empty()).then(|| format!("locality {}", self.locality.join("/"))),
            self.family.map(|family| format!("library {}", family.name())),
        ];
        f.write_str(&parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
    }
}

/// What stands under one name: for every client the same, or different things by scope. `V` is cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scoped<V> {
    /// For clients that no variant selects; `None`: nothing.
    common: Option<V>,
    /// In the order in which they are tried.
    variants: Option<Arc<[Variant<V>]>>,
}

/// What the clients that are selected get; `None`: nothing.
type Variant<V> = (ScopeSelector, Option<V>);

impl<V> Default for Scoped<V> {
    fn default() -> Self {
        Self { common: None, variants: None }
    }
}

impl<V: PartialEq> Scoped<V> {
    /// The same for every client.
    pub fn common(value: V) -> Self {
        Self { common: Some(value), variants: None }
    }

    /// Different by scope: the first selector that selects a client counts, `common` where none does. Variants that change
    /// nothing are left out, so that a name costs what differs.
    pub fn new(common: Option<V>, mut variants: Vec<(ScopeSelector, Option<V>)>) -> Self {
        // A variant at the end that is like what follows it selects nothing that differs.
        while variants.last().is_some_and(|(_, value)| *value == common) {
            variants.pop();
        }
        Self { common, variants: (!variants.is_empty()).then(|| variants.into()) }
    }

    /// What a client gets.
    pub fn get(&self, client: &ClientScope) -> Option<&V> {
        let variant = self.variants().iter().find(|(selector, _)| selector.selects(client));
        variant.map_or(self.common.as_ref(), |(_, value)| value.as_ref())
    }

    /// What clients get that state nothing, else what the first variant has.
    pub fn any(&self) -> Option<&V> {
        self.common.as_ref().or_else(|| self.variants().iter().find_map(|(_, value)| value.as_ref()))
    }

    /// Every value with the clients that it is for, in the order in which they are tried.
    pub fn iter(&self) -> impl Iterator<Item = (Option<&ScopeSelector>, &V)> {
        let variants = self.variants().iter();
        let variants = variants.filter_map(|(selector, value)| Some((Some(selector), value.as_ref()?)));
        variants.chain(self.common.as_ref().map(|value| (None, value)))
    }

    fn variants(&self) -> &[Variant<V>] {
        self.variants.as_deref().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use xds_proto::google::protobuf::ListValue;

    use super::*;

    fn client(namespace: &str, labels: &[(&str, &str)], locality: &str) -> ClientScope {
        ClientScope {
            namespace: (!namespace.is_empty()).then(|| namespace.to_owned()),
            labels: labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            locality: Locality::parse(locality),
            ..ClientScope::default()
        }
    }

    fn selector(namespace: &str, labels: &[(&str, &str)], locality: &str) -> ScopeSelector {
        let ClientScope { namespace, labels, .. } = client(namespace, labels, "");
        let locality = locality.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        ScopeSelector { namespace: namespace.map(Arc::from), labels, locality, family: None }
    }

    #[test]
    fn selector_holds_if_all_its_parts_hold() {
        let web = client("shop", &[("app", "web"), ("tier", "1")], "eu/a/1");
        let rows = [
            (selector("", &[], ""), true),
            (selector("shop", &[], ""), true),
            (selector("qa", &[], ""), false),
            (selector("", &[("app", "web")], ""), true),
            (selector("shop", &[("app", "db")], ""), false),
            (selector("", &[("zone", "x")], ""), false),
            (selector("", &[], "eu"), true),
            (selector("", &[], "eu/a"), true),
            (selector("", &[], "eu/b"), false),
            (selector("shop", &[("app", "web")], "eu/a/1"), true),
        ];
        for (selector, expected) in rows {
            assert_eq!(selector.selects(&web), expected, "{selector}");
        }
        assert!(
            !selector("shop", &[], "").selects(&client("", &[], "")),
            "a namespace that is not stated is none"
        );
    }

    #[test]
    fn first_variant_that_selects_a_client_counts() {
        let variants = vec![(selector("shop", &[], ""), Some(1)), (selector("qa", &[], ""), None)];
        let scoped = Scoped::new(Some(2), variants);
        let get = |namespace| scoped.get(&client(namespace, &[], "")).copied();
        assert_eq!([get("shop"), get("qa"), get("")], [Some(1), None, Some(2)]);
        assert_eq!(scoped.iter().count(), 2);
    }

    #[test]
    fn variant_that_changes_nothing_is_left_out() {
        let same = Scoped::new(Some(1), vec![(selector("shop", &[], ""), Some(1))]);
        assert_eq!(same, Scoped::common(1));
        let hidden =
            Scoped::new(Some(1), vec![(selector("a", &[], ""), Some(2)), (selector("b", &[], ""), Some(1))]);
        assert_eq!(hidden.iter().count(), 2);
    }

    #[test]
    fn scope_is_read_from_the_node() {
        let string = |text: &str| xds_proto::google::protobuf::Value {
            kind: Some(Kind::StringValue(text.to_owned())),
        };
        let labels = Struct { fields: [("app".to_owned(), string("web"))].into() };
        let labels = xds_proto::google::protobuf::Value { kind: Some(Kind::StructValue(labels)) };
        let services =
            ListValue { values: vec![string("a:1"), Value { kind: Some(Kind::NumberValue(1.0)) }] };
        let services = Value { kind: Some(Kind::ListValue(services)) };
        let fields = [
            ("NAMESPACE".to_owned(), string("shop")),
            ("LABELS".to_owned(), labels),
            ("ALLOWED_GRPC_SERVICES".to_owned(), services),
        ];
        let fields = fields.into();
        let may_ask =
            |services: &[&str]| Some(services.iter().map(|service| (*service).to_owned()).collect());
        let id = "sidecar~10.0.0.1~web-1.qa~qa.svc.cluster.local".to_owned();
        let node = Node { id, metadata: Some(Struct { fields }), ..Node::default() };
        let stated = ClientScope { may_ask: may_ask(&["a:1"]), ..client("shop", &[("app", "web")], "") };
        assert_eq!(ClientScope::of(&node), stated);
        let bare = Node { metadata: None, ..node };
        assert_eq!(ClientScope::of(&bare), ClientScope { may_ask: may_ask(&[]), ..client("qa", &[], "") });
        let nothing = ClientScope { may_ask: may_ask(&[]), ..ClientScope::default() };
        assert_eq!(ClientScope::of(&Node::default()), nothing);
    }
}
