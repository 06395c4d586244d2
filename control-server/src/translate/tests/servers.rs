//! What servers are told: whose connections they take, and whose calls they answer.

use std::sync::Arc;

use prost::Message;
use serde_json::json;
use xds_proto::envoy::config::listener::v3::Listener;

use super::{LoadReporting, Plane, document};
use crate::authz::{Call, Verdict, decide};
use crate::model::Settings;
use crate::resources::{ClientScope, EncodedResource, ResourceKind, ResourceSet, SERVER_LISTENERS, Slot};
use crate::state::ClientFamily;

/// A server, as `NAMESPACE name=value .. [port=N] [family=grpc|mesh] [may-ask=TARGET]`; without the last it may ask any service.
#[derive(Debug, Clone)]
struct Server {
    scope: ClientScope,
    port: u32,
}

impl Server {
    fn parse(text: &str) -> Self {
        let mut server = Self { scope: ClientScope::default(), port: 50051 };
        server.scope.family = ClientFamily::MeshTonic;
        for word in text.split_whitespace() {
            match word.split_once('=') {
                None => server.scope.namespace = Some(word.to_owned()),
                Some(("port", port)) => server.port = port.parse().unwrap(),
                Some(("family", "grpc")) => server.scope.family = ClientFamily::Grpc,
                Some(("may-ask", target)) => server.scope.may_ask = Some([target.to_owned()].into()),
                Some((name, value)) => drop(server.scope.labels.insert(name.to_owned(), value.to_owned())),
            }
        }
        server
    }

    fn resource(&self, set: &ResourceSet) -> Option<Arc<EncodedResource>> {
        let name = format!("{SERVER_LISTENERS}0.0.0.0:{}", self.port);
        set.get_for(Slot::from(ResourceKind::Listener), &name, &self.scope)
    }

    fn listener(&self, set: &ResourceSet) -> Listener {
        Listener::decode(self.resource(set).expect("a listener").bytes.clone()).unwrap()
    }

    /// Its chains, as `tls` and `plain`, with the protocol that they match.
    fn chains(&self, set: &ResourceSet) -> String {
        let chains = self.listener(set).filter_chains.into_iter().map(|chain| {
            let security = if chain.transport_socket.is_some() { "tls" } else { "plain" };
            let protocol = chain.filter_chain_match.map(|one| one.transport_protocol).unwrap_or_default();
            format!("{security} {protocol}").trim().to_owned()
        });
        chains.collect::<Vec<_>>().join(", ")
    }
}

/// A call, as `CALLER /path [host=..] [ip=..] [sub=..] [name=value]`: the caller is `-` in plaintext, `namespace/account` of the
/// mesh, or an identity without its scheme.
fn call(text: &str, port: u32) -> Call {
    let mut call = Call { method: "POST".to_owned(), port, ..Call::default() };
    for (place, word) in text.split_whitespace().enumerate() {
        match (place, word.split_once('=')) {
            (0, _) if word == "-" => {}
            (0, _) if word.contains("/ns/") => call.principal = Some(format!("spiffe://{word}")),
            (0, _) => {
                let (namespace, account) = word.split_once('/').unwrap();
                call.principal = Some(format!("spiffe://cluster.local/ns/{namespace}/sa/{account}"));
            }
            (_, Some(("host", host))) => call.host = Some(host.to_owned()),
            (_, Some(("ip", ip))) => call.address = Some(ip.parse().unwrap()),
            (_, Some(("method", method))) => call.method = method.to_owned(),
            (_, Some(("sub", sub))) => {
                call.claims =
                    Some(json!({"iss": "issuer", "sub": sub, "groups": ["dev", "ops"], "a.b": {"c": "d"}}));
            }
            (_, Some((name, value))) => drop(call.headers.insert(name.to_owned(), value.to_owned())),
            (_, None) => call.path = Some(word.to_owned()),
        }
    }
    call
}

/// A table of cases: a name, then lines `server: ..`, `chains: ..` and `CALL -> VERDICT[: REASON]`, then the documents. A
/// verdict `none` says that the server gets no listener.
fn check(table: &str, settings: &Settings) {
    let failures: Vec<String> =
        table.split("== ").skip(1).filter_map(|case| failure(case, settings)).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

fn failure(case: &str, settings: &Settings) -> Option<String> {
    let (head, documents) = case.split_once("---\n").unwrap_or((case, ""));
    let (name, lines) = head.split_once('\n').unwrap();
    let mut plane = Plane::with(settings.clone(), LoadReporting::Off);
    let set = plane.read(&format!("---\n{documents}"));
    let mut server = Server::parse("shop");
    let wrong = lines.lines().find_map(|line| {
        if let Some(text) = line.strip_prefix("server: ") {
            server = Server::parse(text);
            return None;
        }
        if let Some(expected) = line.strip_prefix("chains: ") {
            let found = server.chains(&set);
            return (found != expected).then(|| format!("{line}: found {found}"));
        }
        let (asked, expected) = line.split_once(" -> ").unwrap();
        let found = match server.resource(&set) {
            None => "none".to_owned(),
            Some(_) => {
                let decision = decide(&server.listener(&set), &call(asked, server.port));
                let verdict = match decision.verdict {
                    Verdict::Allowed => "allowed",
                    Verdict::Denied => "denied",
                    Verdict::Open => "open",
                };
                let trial = decision.trial.map(|trial| format!("; on trial {trial}")).unwrap_or_default();
                format!("{verdict}: {}{trial}", decision.reason)
            }
        };
        (!found.starts_with(expected)).then(|| format!("{line}: found {found}"))
    })?;
    Some(format!("{name}: {wrong}: {:#?}", plane.diagnostics))
}

/// Cases M3, M4, B5, B6, B7, B9, P7 and J7 of the identity cases, and what a policy that cannot be read or honoured does.
#[test]
fn servers_get_what_the_policies_mean_for_them() {
    check(include_str!("servers.txt"), &Settings::default());
}

/// Case P7 of the identity cases.
#[test]
fn trust_domain_of_the_mesh_has_two_names() {
    let settings = Settings { trust_domain: "mesh.east".to_owned(), ..Settings::default() };
    check(include_str!("trust_domain.txt"), &settings);
}

/// Proves: LDS-14.
#[test]
fn listener_has_the_address_that_its_name_says() {
    let mut plane = Plane::new(LoadReporting::Off);
    let set = plane.read("");
    let server = Server::parse("shop").scope;
    let address = |address: &str| {
        let name = format!("{SERVER_LISTENERS}{address}");
        let resource = set.get_for(Slot::from(ResourceKind::Listener), &name, &server)?;
        assert_eq!(crate::translate::accept::refusal(ResourceKind::Listener, &resource.bytes), None);
        let listener = Listener::decode(resource.bytes.clone()).unwrap();
        assert_eq!(listener.name, name);
        let text = format!("{:?}", listener.address.unwrap());
        Some(text)
    };
    assert!(address("0.0.0.0:80").unwrap().contains("address: \"0.0.0.0\", resolver_name"), "IPv4");
    let v6 = address("[::]:50051").unwrap();
    assert!(v6.contains("\"::\"") && v6.contains("PortValue(50051)"), "{v6}");
    for wrong in ["", "80", "orders:80", "0.0.0.0"] {
        assert_eq!(address(wrong), None, "{wrong}");
    }
}

/// A server that does not say where it belongs would get around the policies of its namespace.
#[test]
fn server_without_namespace_gets_no_listener() {
    let set = Plane::new(LoadReporting::Off).read("");
    assert!(Server::parse("app=web").resource(&set).is_none());
    assert!(Server::parse("shop").resource(&set).is_some());
}

#[test]
fn change_of_policies_is_a_change_of_listeners() {
    let mut plane = Plane::new(LoadReporting::Off);
    let policy = document("AuthorizationPolicy", "a", "{rules: [{}]}");
    let before = plane.read("");
    let with = plane.read(&policy);
    let again = plane.read(&(policy.clone() + "# the same\n"));
    let without = plane.read("");
    let changes = |new: &ResourceSet, old: &ResourceSet| {
        let mut names = Vec::new();
        new.changes_since(old, |_, name| names.push(name.to_string()));
        names
    };
    assert_eq!(changes(&with, &before), [SERVER_LISTENERS]);
    assert_eq!(changes(&again, &with), [""; 0]);
    assert_eq!(changes(&without, &again), [SERVER_LISTENERS]);
    let server = Server::parse("shop");
    let versions =
        [&before, &with, &again, &without].map(|set| server.resource(set).unwrap().version.clone());
    assert_eq!((&versions[0], &versions[1]), (&versions[3], &versions[2]));
    assert_ne!(versions[0], versions[1]);
    // What a server refuses of it shows on the policy.
    assert_eq!(*server.resource(&with).unwrap().made_by, ["AuthorizationPolicy shop/a".into()]);
}
