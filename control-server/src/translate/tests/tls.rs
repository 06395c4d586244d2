//! The TLS that clients are told to use.

use prost::Message;
use xds_proto::envoy::config::core::v3::transport_socket::ConfigType;
use xds_proto::envoy::extensions::transport_sockets::tls::v3::UpstreamTlsContext;
use xds_proto::envoy::extensions::transport_sockets::tls::v3::common_tls_context::ValidationContextType;
use xds_proto::envoy::r#type::matcher::v3::string_matcher::MatchPattern;

use super::{LoadReporting, Plane, assignment, document};

/// The TLS of `orders`: identity, roots, names, SNI; then the endpoints' addresses.
fn orders(policies: &str, endpoints: &str) -> String {
    let entry = format!(
        "{{hosts: [orders.shop.svc.cluster.local], location: MESH_INTERNAL, resolution: STATIC, ports: [{{number: 80, name: grpc}}],
          endpoints: [{endpoints}]}}"
    );
    let mut plane = Plane::new(LoadReporting::Off);
    let resources = plane.read(&(document("ServiceEntry", "orders", &entry) + policies)).to_map();
    let cluster = super::cluster(&resources, super::ORDERS);
    let service = cluster.eds_cluster_config.unwrap().service_name;
    let endpoints = assignment(&resources, &service).endpoints;
    let addresses = endpoints.iter().flat_map(|locality| &locality.lb_endpoints);
    let addresses: Vec<String> =
        addresses.map(|one| format!("{one:?}").split("10.0.0.").nth(1).unwrap()[..1].to_owned()).collect();
    let addresses = addresses.join(",");
    let Some(socket) = cluster.transport_socket else { return format!("plaintext to {addresses}") };
    let Some(ConfigType::TypedConfig(any)) = socket.config_type else { panic!("a context") };
    let tls = UpstreamTlsContext::decode(&*any.value).unwrap();
    let common = tls.common_tls_context.unwrap();
    let Some(ValidationContextType::ValidationContext(validation)) = common.validation_context_type else {
        panic!("a validation context")
    };
    let name = |instance: Option<
        xds_proto::envoy::extensions::transport_sockets::tls::v3::CertificateProviderPluginInstance,
    >| { instance.map_or_else(|| "-".to_owned(), |instance| instance.instance_name) };
    let roots = match validation.system_root_certs {
        Some(_) => "system".to_owned(),
        None => name(validation.ca_certificate_provider_instance),
    };
    #[expect(deprecated, reason = "the field that gRPC reads")]
    let names = validation.match_subject_alt_names.into_iter().map(|one| match one.match_pattern.unwrap() {
        MatchPattern::Exact(exact) => exact,
        MatchPattern::Prefix(prefix) => format!("{prefix}*"),
        other => panic!("{other:?}"),
    });
    let names = names.collect::<Vec<_>>().join(" ");
    let identity = name(common.tls_certificate_provider_instance);
    format!("{identity} {roots} [{names}] sni={} to {addresses}", tls.sni)
}

fn rule(tls: &str) -> String {
    document("DestinationRule", "orders", &format!("{{host: orders, trafficPolicy: {{tls: {tls}}}}}"))
}

fn peers(spec: &str) -> String {
    document("PeerAuthentication", "peers", spec)
}

const ONE: &str = "{address: 10.0.0.1}";

#[test]
fn rule_states_tls_of_every_mode() {
    let rows = [
        ("{mode: DISABLE}", "plaintext to 1"),
        ("{mode: ISTIO_MUTUAL}", "default default [spiffe://cluster.local/ns/shop/sa/*] sni= to 1"),
        (
            "{mode: ISTIO_MUTUAL, subjectAltNames: ['spiffe://a/b'], sni: x.y}",
            "default default [spiffe://a/b] sni=x.y to 1",
        ),
        ("{mode: SIMPLE}", "- system [orders.shop.svc.cluster.local] sni=orders.shop.svc.cluster.local to 1"),
        ("{mode: SIMPLE, caCertificates: system, sni: a.b}", "- system [a.b] sni=a.b to 1"),
        (
            "{mode: SIMPLE, credentialName: web, subjectAltNames: [a, b]}",
            "- web [a b] sni=orders.shop.svc.cluster.local to 1",
        ),
        ("{mode: MUTUAL, credentialName: web, sni: a.b}", "web web [a.b] sni=a.b to 1"),
        // What clients cannot do is no plaintext.
        ("{mode: MUTUAL, clientCertificate: /a, privateKey: /b}", "plaintext to "),
        ("{mode: SIMPLE, caCertificates: /a}", "plaintext to "),
        ("{mode: SIMPLE, insecureSkipVerify: true}", "plaintext to "),
        ("{mode: ISTIO_MUTUAL, caCrl: /a}", "plaintext to "),
    ];
    for (tls, expected) in rows {
        assert_eq!(orders(&rule(tls), ONE), expected, "{tls}");
    }
}

/// Case M4 of the identity cases: clients do what the servers' listeners take, by the same precedence.
#[test]
fn clients_follow_the_policies_of_the_servers() {
    let accounts = "{address: 10.0.0.1, labels: {app: web}, serviceAccount: front}, {address: 10.0.0.2, labels: {app: web}, serviceAccount: back}";
    let both = "default default [spiffe://cluster.local/ns/shop/sa/back spiffe://cluster.local/ns/shop/sa/front] sni= to 1,2";
    let two = "{address: 10.0.0.1, labels: {app: web}}, {address: 10.0.0.2, labels: {app: db}}";
    let any = "default default [spiffe://cluster.local/ns/shop/sa/*] sni=";
    let mesh = "---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: mesh, namespace: istio-system}\nspec: ";
    let rows = [
        (String::new(), ONE, "plaintext to 1".to_owned()),
        (
            String::new(),
            "{address: 10.0.0.1, labels: {security.istio.io/tlsMode: istio}}",
            format!("{any} to 1"),
        ),
        (format!("{mesh}{{mtls: {{mode: STRICT}}}}\n"), accounts, both.to_owned()),
        (peers("{mtls: {mode: STRICT}}"), two, format!("{any} to 1,2")),
        (peers("{mtls: {mode: PERMISSIVE}}"), two, "plaintext to 1,2".to_owned()),
        // Mesh DISABLE, one workload STRICT: the other one cannot be called in the same way.
        (
            format!("{mesh}{{mtls: {{mode: DISABLE}}}}\n")
                + &peers("{selector: {matchLabels: {app: web}}, mtls: {mode: STRICT}}"),
            two,
            format!("{any} to 1"),
        ),
        (
            peers(
                "{selector: {matchLabels: {app: web}}, mtls: {mode: STRICT}, portLevelMtls: {80: {mode: DISABLE}}}",
            ),
            two,
            "plaintext to 1,2".to_owned(),
        ),
        // A policy that cannot be read may be a strict one.
        (peers("{mtls: {mode: STRICTER}}"), two, format!("{any} to 1,2")),
        // What a rule says goes before.
        (peers("{mtls: {mode: STRICT}}") + &rule("{mode: DISABLE}"), two, "plaintext to 1,2".to_owned()),
    ];
    for (policies, endpoints, expected) in rows {
        assert_eq!(orders(&policies, endpoints), expected, "{policies}");
    }
}

#[test]
fn service_outside_of_the_mesh_is_called_in_plaintext() {
    let entry = "{hosts: [api.example], resolution: DNS, ports: [{number: 80, name: grpc}]}";
    let mut plane = Plane::new(LoadReporting::Off);
    let policy = peers("{mtls: {mode: STRICT}}");
    let resources = plane.read(&(document("ServiceEntry", "api", entry) + &policy)).to_map();
    assert_eq!(super::cluster(&resources, "outbound|80||api.example").transport_socket, None);
}

/// Proves: SEC-14.
#[test]
fn tls_that_clients_refuse_is_no_plaintext() {
    let entry = "{hosts: [orders.shop.svc.cluster.local], resolution: STATIC, ports: [{number: 80, name: grpc}], endpoints: [{address: 10.0.0.1}]}";
    let service = document("ServiceEntry", "orders", entry);
    let mut plane = Plane::new(LoadReporting::Off);
    let good = plane.read(&service).to_map();
    let name = super::cluster(&good, super::ORDERS).eds_cluster_config.unwrap().service_name;
    assert_eq!(assignment(&good, &name).endpoints.len(), 1);
    plane.translator.refusal = |_, bytes| {
        let cluster = xds_proto::envoy::config::cluster::v3::Cluster::decode(bytes.clone()).ok()?;
        cluster.transport_socket.map(|_| "no TLS here".to_owned())
    };
    let set = plane.read(&(service + &rule("{mode: ISTIO_MUTUAL}"))).to_map();
    let cluster = super::cluster(&set, super::ORDERS);
    let name = cluster.eds_cluster_config.unwrap().service_name;
    assert_eq!((cluster.transport_socket, name.contains("no TLS here")), (None, true), "{name}");
    assert_eq!(assignment(&set, &name).endpoints, []);
    assert!(
        plane.diagnostics.iter().any(|one| one.message.contains("calls fail")),
        "{:?}",
        plane.diagnostics
    );
}

/// A client without the certificate refuses the cluster with TLS and keeps the one before: its endpoints are gone.
///
/// Proves: SEC-14.
#[test]
fn endpoints_of_a_cluster_without_tls_are_gone_once_there_is_tls() {
    let entry = "{hosts: [orders.shop.svc.cluster.local], resolution: STATIC, ports: [{number: 80, name: grpc}], endpoints: [{address: 10.0.0.1}]}";
    let service = document("ServiceEntry", "orders", entry);
    let mut plane = Plane::new(LoadReporting::Off);
    let endpoints = |resources: &_, name: &str| assignment(resources, name).endpoints.len();
    let plaintext = plane.read(&service).to_map();
    assert_eq!(endpoints(&plaintext, super::ORDERS), 1);
    let secured = plane.read(&(service.clone() + &rule("{mode: ISTIO_MUTUAL}"))).to_map();
    let name = super::cluster(&secured, super::ORDERS).eds_cluster_config.unwrap().service_name;
    assert_ne!(name, super::ORDERS);
    assert_eq!((endpoints(&secured, &name), endpoints(&secured, super::ORDERS)), (1, 0));
    let again = plane.read(&service).to_map();
    assert_eq!(endpoints(&again, super::ORDERS), 1);
}
